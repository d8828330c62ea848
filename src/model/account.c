/*
 * Accounts in shared memory.  The lock is for which is whose, and for what is in
 * them but the number of rows: to count a row that has not failed takes no lock.  A
 * pointer to an account is good until its leader forgets it, which is after its
 * workers' end.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "model/account.h"
#include "pg/shared.h"
#include "utils/memutils.h"

/* 2 kB each.  A statement more than that counts in each of its processes. */
#define MAX_ACCOUNTS 256

typedef struct Shared
{
	int			n_used;			/* read without the lock, too */
	SmrtAccount accounts[MAX_ACCOUNTS];
} Shared;

static Shared *shared;			/* NULL: not loaded by the postmaster */
static List *known;				/* that this process uses; those that are not shared
								 * are its own */

static bool is_mine(const SmrtAccount *account, const char *model);
static SmrtAccount *find_shared(const char *model);
static SmrtAccount *find_free(void);
static void open_account(SmrtAccount *account, const char *model);
static SmrtAccount *know(SmrtAccount *account);
static bool is_shared(const SmrtAccount *account);

void
smrt_account_install(void)
{
	static const SmrtSharedStruct structure = {
		.name = "sagemaker_rt accounts",
		.size = sizeof(Shared),
		.place = (void **) &shared,
	};

	smrt_shared_add(&structure);
}

SmrtAccount *
smrt_account_get(const char *model)
{
	SmrtAccount *account = smrt_account_find(model);

	if (account != NULL)
		return account;
	smrt_lock(SMRT_LOCK_ACCOUNTS, LW_EXCLUSIVE);
	/* A worker may have been quicker. */
	account = find_shared(model);
	if (account == NULL && (account = find_free()) != NULL)
	{
		open_account(account, model);
		shared->n_used++;
	}
	smrt_unlock(SMRT_LOCK_ACCOUNTS);
	if (account != NULL)
		return know(account);
	account = know(MemoryContextAlloc(TopMemoryContext, sizeof(SmrtAccount)));
	open_account(account, model);
	return account;
}

SmrtAccount *
smrt_account_find(const char *model)
{
	SmrtAccount *account;
	ListCell   *cell;

	foreach(cell, known)
		if (is_mine(lfirst(cell), model))
			return lfirst(cell);
	smrt_lock(SMRT_LOCK_ACCOUNTS, LW_SHARED);
	account = find_shared(model);
	smrt_unlock(SMRT_LOCK_ACCOUNTS);
	return account != NULL ? know(account) : NULL;
}

/* Of the statement that this process works on. */
static bool
is_mine(const SmrtAccount *account, const char *model)
{
	return account->leader == smrt_shared_leader() &&
		account->statement == GetCurrentStatementStartTimestamp() &&
		strncmp(account->model, model, sizeof(account->model) - 1) == 0;
}

static SmrtAccount *
find_shared(const char *model)
{
	for (int i = 0; shared != NULL && shared->n_used > 0 && i < MAX_ACCOUNTS; i++)
		if (is_mine(&shared->accounts[i], model))
			return &shared->accounts[i];
	return NULL;
}

static SmrtAccount *
find_free(void)
{
	for (int i = 0; shared != NULL && i < MAX_ACCOUNTS; i++)
		if (shared->accounts[i].leader == 0)
			return &shared->accounts[i];
	return NULL;
}

static void
open_account(SmrtAccount *account, const char *model)
{
	memset(account, 0, sizeof(*account));
	pg_atomic_init_u64(&account->rows, 0);
	account->leader = smrt_shared_leader();
	account->statement = GetCurrentStatementStartTimestamp();
	strlcpy(account->model, model, sizeof(account->model));
}

static SmrtAccount *
know(SmrtAccount *account)
{
	MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);

	known = lappend(known, account);
	MemoryContextSwitchTo(before);
	return account;
}

List *
smrt_accounts(void)
{
	List	   *accounts = list_copy(known);

	for (int i = 0; shared != NULL && shared->n_used > 0 && i < MAX_ACCOUNTS; i++)
		if (shared->accounts[i].leader == MyProcPid)
			accounts = list_append_unique_ptr(accounts, &shared->accounts[i]);
	return accounts;
}

void
smrt_accounts_forget(TimestampTz except)
{
	ListCell   *cell;

	foreach(cell, known)
		if (!is_shared(lfirst(cell)))
			pfree(lfirst(cell));
	list_free(known);
	known = NIL;
	if (shared == NULL || shared->n_used == 0)
		return;
	smrt_lock(SMRT_LOCK_ACCOUNTS, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_ACCOUNTS; i++)
		if (shared->accounts[i].leader == MyProcPid &&
			shared->accounts[i].statement != except)
		{
			shared->accounts[i].leader = 0;
			shared->n_used--;
		}
	smrt_unlock(SMRT_LOCK_ACCOUNTS);
}

static bool
is_shared(const SmrtAccount *account)
{
	return shared != NULL && account >= shared->accounts &&
		account < shared->accounts + MAX_ACCOUNTS;
}
