/*
 * Failed rows, an account for each model of the statement.  A statement is known by
 * its timestamp; what it did not tell itself, because no scan of ours ended it, is
 * told before the transaction's end.
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/failures.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"

/* Failures that are told by themselves; a reader has seen enough then. */
#define MAX_TOLD 5

/* Kinds that are counted apart, and different messages that are kept. */
#define MAX_STATES 8
#define MAX_MESSAGES 5
#define MAX_MESSAGE 256

/* Before so many rows a ratio says nothing. */
#define MIN_ROWS 100

typedef struct Account
{
	char	   *model;
	int64		rows;
	int64		failed;
	int64		told;			/* by themselves, or in a summary */
	int			n_states;
	struct
	{
		int			sqlstate;
		int64		count;
	}			states[MAX_STATES];
	int			n_messages;
	char		messages[MAX_MESSAGES][MAX_MESSAGE];
	bool		warns;			/* what is not told yet wants to be */
} Account;

static MemoryContext context;	/* of the accounts */
static List *accounts;
static TimestampTz statement;	/* that they are of */

static Account *account_of(const SmrtModel *model);
static Account *find(const SmrtModel *model);
static void forget(void);
static void on_transaction_end(XactEvent event, void *arg);
static void count(Account *account, const SmrtReportWords *words);
static void require_budget(const SmrtModel *model, const Account *account,
						   const SmrtReportWords *last);
static char *by_sqlstate(const Account *account);
static char *messages_of(const Account *account);

void
smrt_failures_note_success(const SmrtModel *model)
{
	account_of(model)->rows++;
}

bool
smrt_failures_note(const SmrtModel *model, const SmrtReportWords *words)
{
	Account    *account = account_of(model);
	bool		tell = account->told < MAX_TOLD;

	count(account, words);
	require_budget(model, account, words);
	account->warns = smrt_model_on_error(model) == SMRT_ON_ERROR_WARNING;
	account->told += tell;
	return tell;
}

static Account *
account_of(const SmrtModel *model)
{
	MemoryContext before;
	Account    *account;

	if (context == NULL)
	{
		context = AllocSetContextCreate(TopMemoryContext,
										"sagemaker_rt failures",
										ALLOCSET_SMALL_SIZES);
		RegisterXactCallback(on_transaction_end, NULL);
	}
	if (statement != GetCurrentStatementStartTimestamp())
	{
		smrt_failures_tell();
		forget();
		statement = GetCurrentStatementStartTimestamp();
	}
	account = find(model);
	if (account != NULL)
		return account;
	before = MemoryContextSwitchTo(context);
	account = palloc0(sizeof(Account));
	account->model = pstrdup(model->name);
	accounts = lappend(accounts, account);
	MemoryContextSwitchTo(before);
	return account;
}

static Account *
find(const SmrtModel *model)
{
	ListCell   *cell;

	if (statement != GetCurrentStatementStartTimestamp())
		return NULL;
	foreach(cell, accounts)
		if (strcmp(((Account *) lfirst(cell))->model, model->name) == 0)
			return lfirst(cell);
	return NULL;
}

static void
forget(void)
{
	accounts = NIL;
	MemoryContextReset(context);
}

static void
on_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PARALLEL_PRE_COMMIT)
		smrt_failures_tell();
	else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		forget();
}

static void
count(Account *account, const SmrtReportWords *words)
{
	int			state = 0;
	int			message = 0;
	char		text[MAX_MESSAGE];

	account->rows++;
	account->failed++;
	while (state < account->n_states &&
		   account->states[state].sqlstate != words->sqlstate)
		state++;
	if (state < MAX_STATES)
	{
		account->n_states = Max(account->n_states, state + 1);
		account->states[state].sqlstate = words->sqlstate;
		account->states[state].count++;
	}
	if (account->n_messages == MAX_MESSAGES)
		return;
	strlcpy(text, words->message,
			1 + pg_mbcliplen(words->message, strlen(words->message),
							 MAX_MESSAGE - 1));
	while (message < account->n_messages &&
		   strcmp(account->messages[message], text) != 0)
		message++;
	if (message == account->n_messages)
		strcpy(account->messages[account->n_messages++], text);
}

static void
require_budget(const SmrtModel *model, const Account *account,
			   const SmrtReportWords *last)
{
	int			max_rows = model->max_failed_rows >= 0 ?
		model->max_failed_rows : smrt_settings.max_failed_rows;
	double		max_ratio = model->max_failed_ratio >= 0 ?
		model->max_failed_ratio : smrt_settings.max_failed_ratio;
	bool		too_many = max_rows > 0 && account->failed > max_rows;
	bool		too_often = account->rows >= MIN_ROWS &&
		account->failed > max_ratio * account->rows;

	if (!too_many && !too_often)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("model %s: too many rows have failed, the last one so: %s",
					model->name, last->message),
			 errdetail(INT64_FORMAT " of " INT64_FORMAT " rows have failed (%s), %s is %g.",
					   account->failed, account->rows, by_sqlstate(account),
					   too_many ? "max_failed_rows" : "max_failed_ratio",
					   too_many ? max_rows : max_ratio)));
}

int64
smrt_failures_count(const SmrtModel *model)
{
	const Account *account = find(model);

	return account != NULL ? account->failed : 0;
}

char *
smrt_failures_by_sqlstate(const SmrtModel *model)
{
	const Account *account = find(model);

	return account != NULL && account->failed > 0 ? by_sqlstate(account) : NULL;
}

void
smrt_failures_tell(void)
{
	ListCell   *cell;

	foreach(cell, accounts)
	{
		Account    *account = lfirst(cell);

		if (!account->warns || account->failed <= account->told)
			continue;
		account->told = account->failed;
		ereport(WARNING,
				(errmsg("model %s: " INT64_FORMAT " of " INT64_FORMAT " rows have failed",
						account->model, account->failed, account->rows),
				 errdetail_internal("%s. %s", by_sqlstate(account),
									messages_of(account))));
	}
}

static char *
by_sqlstate(const Account *account)
{
	StringInfoData text;
	int64		others = account->failed;

	initStringInfo(&text);
	for (int i = 0; i < account->n_states; i++)
	{
		appendStringInfo(&text, "%s%s: " INT64_FORMAT, i > 0 ? ", " : "",
						 unpack_sql_state(account->states[i].sqlstate),
						 account->states[i].count);
		others -= account->states[i].count;
	}
	if (others > 0)
		appendStringInfo(&text, ", others: " INT64_FORMAT, others);
	return text.data;
}

static char *
messages_of(const Account *account)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < account->n_messages; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? "; " : "", account->messages[i]);
	return text.data;
}
