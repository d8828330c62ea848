/*
 * What became of a statement's rows, for each model, where a failed row is no error
 * by itself.  An account is the statement's: its parallel workers write into the
 * same, where the postmaster has loaded the library and there is room; else each
 * process has its own.  A transaction's end is an account's, too.
 */
#ifndef SMRT_MODEL_ACCOUNT_H
#define SMRT_MODEL_ACCOUNT_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "port/atomics.h"

/* Kinds that are counted apart, and different messages that are kept. */
#define SMRT_ACCOUNT_STATES 8
#define SMRT_ACCOUNT_MESSAGES 5
#define SMRT_ACCOUNT_MESSAGE_SIZE 256

/* Under SMRT_LOCK_ACCOUNTS, what follows rows. */
typedef struct SmrtAccount
{
	int			leader;			/* process that leads the statement; 0: free */
	TimestampTz statement;		/* when that began */
	char		model[256];		/* its name, cut off */
	pg_atomic_uint64 rows;		/* that were told of */
	int64		failed;			/* of them */
	int64		told;			/* by themselves, or in a summary */
	bool		warns;			/* what is not told yet wants to be */
	int			n_states;
	struct
	{
		int			sqlstate;
		int64		count;
	}			states[SMRT_ACCOUNT_STATES];
	int			n_messages;
	char		messages[SMRT_ACCOUNT_MESSAGES][SMRT_ACCOUNT_MESSAGE_SIZE];
} SmrtAccount;

/* From _PG_init(), where the postmaster loads the library. */
extern void smrt_account_install(void);

/* A model's account in this statement, a new one if need be. */
extern SmrtAccount *smrt_account_get(const char *model);

/* The same; NULL: there is none. */
extern SmrtAccount *smrt_account_find(const char *model);

/*
 * All that this process leads, of its parallel workers too; in a worker those that
 * it knows.  The list is palloc'ed.
 */
extern List *smrt_accounts(void);

/*
 * Frees those that this process leads, of all statements but one that began then; 0:
 * of all.  No worker may be at work for them.
 */
extern void smrt_accounts_forget(TimestampTz except);

#endif							/* SMRT_MODEL_ACCOUNT_H */
