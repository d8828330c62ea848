/*
 * What is made of the accounts of failed rows: errors and warnings.  What a statement
 * did not tell itself, because no scan of ours ended it, is told before the
 * transaction's end.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "model/account.h"
#include "model/failures.h"
#include "pg/shared.h"

/* Failures that are told by themselves; a reader has seen enough then. */
#define MAX_TOLD 5

/* Before so many rows a ratio says nothing. */
#define MIN_ROWS 100

static int64 n_noted;			/* by this process */
static TimestampTz statement;	/* whose accounts it last asked for */

static SmrtAccount *account_of(const SmrtModel *model);
static void on_transaction_end(XactEvent event, void *arg);
static void tell(TimestampTz except);
static void count(SmrtAccount *account, const SmrtReportWords *words);
static void require_budget(const SmrtModel *model, const SmrtAccount *account,
						   const SmrtReportWords *last);
static int64 rows_of(const SmrtAccount *account);
static char *by_sqlstate(const SmrtAccount *account);
static char *messages_of(const SmrtAccount *account);

void
smrt_failures_install(void)
{
	smrt_account_install();
	RegisterXactCallback(on_transaction_end, NULL);
}

static void
on_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		smrt_failures_tell();
	else if (event != XACT_EVENT_PARALLEL_PRE_COMMIT)
		smrt_accounts_forget(0);
}

void
smrt_failures_note_success(const SmrtModel *model)
{
	pg_atomic_fetch_add_u64(&account_of(model)->rows, 1);
}

bool
smrt_failures_note(const SmrtModel *model, const SmrtReportWords *words)
{
	SmrtAccount *account = account_of(model);
	SmrtAccount copy;
	bool		tells;

	n_noted++;
	smrt_lock(SMRT_LOCK_ACCOUNTS, LW_EXCLUSIVE);
	count(account, words);
	tells = account->told < MAX_TOLD;
	account->told += tells;
	account->warns = smrt_model_on_error(model) == SMRT_ON_ERROR_WARNING;
	copy = *account;
	smrt_unlock(SMRT_LOCK_ACCOUNTS);
	require_budget(model, &copy, words);
	return tells;
}

/* A statement that said nothing at its end does it when the next one begins. */
static SmrtAccount *
account_of(const SmrtModel *model)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();

	if (statement != now)
	{
		tell(now);
		smrt_accounts_forget(now);
		statement = now;
	}
	return smrt_account_get(model->name);
}

static void
count(SmrtAccount *account, const SmrtReportWords *words)
{
	int			state = 0;
	int			message = 0;
	char		text[SMRT_ACCOUNT_MESSAGE_SIZE];

	pg_atomic_fetch_add_u64(&account->rows, 1);
	account->failed++;
	while (state < account->n_states &&
		   account->states[state].sqlstate != words->sqlstate)
		state++;
	if (state < SMRT_ACCOUNT_STATES)
	{
		account->n_states = Max(account->n_states, state + 1);
		account->states[state].sqlstate = words->sqlstate;
		account->states[state].count++;
	}
	if (account->n_messages == SMRT_ACCOUNT_MESSAGES)
		return;
	strlcpy(text, words->message,
			1 + pg_mbcliplen(words->message, strlen(words->message),
							 SMRT_ACCOUNT_MESSAGE_SIZE - 1));
	while (message < account->n_messages &&
		   strcmp(account->messages[message], text) != 0)
		message++;
	if (message == account->n_messages)
		strcpy(account->messages[account->n_messages++], text);
}

static void
require_budget(const SmrtModel *model, const SmrtAccount *account,
			   const SmrtReportWords *last)
{
	int			max_rows = model->max_failed_rows >= 0 ?
		model->max_failed_rows : smrt_settings.max_failed_rows;
	double		max_ratio = model->max_failed_ratio >= 0 ?
		model->max_failed_ratio : smrt_settings.max_failed_ratio;
	int64		rows = rows_of(account);
	bool		too_many = max_rows > 0 && account->failed > max_rows;
	bool		too_often = rows >= MIN_ROWS && account->failed > max_ratio * rows;

	if (!too_many && !too_often)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("model %s: too many rows have failed, the last one so: %s",
					model->name, last->message),
			 errdetail(INT64_FORMAT " of " INT64_FORMAT " rows have failed (%s), %s is %g.",
					   account->failed, rows, by_sqlstate(account),
					   too_many ? "max_failed_rows" : "max_failed_ratio",
					   too_many ? max_rows : max_ratio)));
}

static int64
rows_of(const SmrtAccount *account)
{
	return (int64) pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &account->rows));
}

int64
smrt_failures_count(void)
{
	return n_noted;
}

bool
smrt_failures_describe(const SmrtModel *model, char **by_state, char **messages)
{
	const SmrtAccount *account = smrt_account_find(model->name);
	SmrtAccount copy;

	if (account == NULL)
		return false;
	smrt_lock(SMRT_LOCK_ACCOUNTS, LW_SHARED);
	copy = *account;
	smrt_unlock(SMRT_LOCK_ACCOUNTS);
	*by_state = by_sqlstate(&copy);
	*messages = messages_of(&copy);
	return copy.failed > 0;
}

void
smrt_failures_tell(void)
{
	tell(0);
}

/* Who leads the statement tells for its workers. */
static void
tell(TimestampTz except)
{
	ListCell   *cell;

	if (IsParallelWorker())
		return;
	foreach(cell, smrt_accounts())
	{
		SmrtAccount *account = lfirst(cell);
		SmrtAccount copy;

		smrt_lock(SMRT_LOCK_ACCOUNTS, LW_EXCLUSIVE);
		copy = *account;
		if (copy.warns && copy.statement != except)
			account->told = account->failed;
		smrt_unlock(SMRT_LOCK_ACCOUNTS);
		if (copy.warns && copy.statement != except && copy.failed > copy.told)
			ereport(WARNING,
					(errmsg("model %s: " INT64_FORMAT " of " INT64_FORMAT " rows have failed",
							copy.model, copy.failed, rows_of(&copy)),
					 errdetail_internal("%s. %s", by_sqlstate(&copy),
										messages_of(&copy))));
	}
}

static char *
by_sqlstate(const SmrtAccount *account)
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
messages_of(const SmrtAccount *account)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < account->n_messages; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? "; " : "", account->messages[i]);
	return text.data;
}
