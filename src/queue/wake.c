/*
 * Slots, and the callback of transactions that fills the worker's flag.
 *
 * A latch alone would not do: whatever the worker waits for meanwhile, a lock or
 * an answer, resets it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "pg/compat.h"
#include "pg/settings.h"
#include "pg/shared.h"
#include "port/atomics.h"
#include "queue/wake.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/varlena.h"

/* Databases that can have a worker: more need more than one server. */
#define MAX_WORKERS 64

typedef struct Slot
{
	Oid			database;		/* InvalidOid: free */
	Latch	   *latch;			/* of the worker */
	pg_atomic_uint32 woken;
} Slot;

typedef struct Shared
{
	Latch	   *launcher;		/* NULL: there is none */
	Slot		slots[MAX_WORKERS];
} Shared;

static Shared *shared;			/* NULL: not loaded by the postmaster */
static Slot *mine;

static bool has_enqueued;		/* in this transaction */

static ProcessUtility_hook_type next_utility;

static void make(void);
static void detach(int code, Datum arg);
static void unwatch(int code, Datum arg);
static void on_transaction(XactEvent event, void *arg);
static void on_utility(SMRT_UTILITY_PARAMETERS);
static void wake(void);
static Slot *find(Oid database);

void
smrt_wake_install(void)
{
	static const SmrtSharedStruct structure = {
		.name = "sagemaker_rt queue",
		.size = sizeof(Shared),
		.place = (void **) &shared,
		.make = make,
	};

	smrt_shared_add(&structure);
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
}

static void
make(void)
{
	for (int i = 0; i < MAX_WORKERS; i++)
		pg_atomic_init_u32(&shared->slots[i].woken, 0);
}

List *
smrt_wake_databases(void)
{
	List	   *names;

	/* The setting's check has split it before. */
	(void) SplitGUCList(pstrdup(smrt_settings.queue.databases), ',', &names);
	return names;
}

/*
 * Of backends.
 */

void
smrt_wake_at_commit(void)
{
	static bool registered = false;

	if (has_enqueued)
		return;
	if (!registered)
		RegisterXactCallback(on_transaction, NULL);
	registered = true;
	has_enqueued = true;
	if (!smrt_wake_is_configured())
		ereport(WARNING,
				(errmsg("no worker is configured for the queue of database \"%s\"",
						get_database_name(MyDatabaseId)),
				 shared == NULL ?
				 errdetail("Rows wait until there is one: sagemaker_rt is not in shared_preload_libraries.") :
				 errdetail("Rows wait until there is one: sagemaker_rt.queue_databases does not have the database.")));
}

bool
smrt_wake_is_configured(void)
{
	char	   *database = get_database_name(MyDatabaseId);
	ListCell   *cell;

	if (shared == NULL)
		return false;
	foreach(cell, smrt_wake_databases())
		if (strcmp(lfirst(cell), database) == 0)
			return true;
	return false;
}

/* A prepared transaction is another one's to commit. */
static void
on_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (has_enqueued)
				wake();
			has_enqueued = false;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			has_enqueued = false;
			break;
		default:
			break;
	}
}

/*
 * Whether a prepared transaction has enqueued nobody remembers: the worker looks.
 * The subscriber of a two-phase subscription commits without a statement, and leaves
 * its rows to the worker's timer.
 */
static void
on_utility(SMRT_UTILITY_PARAMETERS)
{
	TransactionStmt *statement = (TransactionStmt *) pstmt->utilityStmt;
	bool		is_commit = IsA(statement, TransactionStmt) &&
		statement->kind == TRANS_STMT_COMMIT_PREPARED;

	(next_utility ? next_utility : standard_ProcessUtility)
		(SMRT_UTILITY_ARGUMENTS);
	if (is_commit)
		wake();
}

static void
wake(void)
{
	Slot	   *slot;

	if (shared == NULL)
		return;
	smrt_lock(SMRT_LOCK_WAKE, LW_SHARED);
	slot = find(MyDatabaseId);
	if (slot != NULL)
	{
		pg_atomic_write_u32(&slot->woken, 1);
		SetLatch(slot->latch);
	}
	smrt_unlock(SMRT_LOCK_WAKE);
}

/*
 * Of workers.
 */

bool
smrt_wake_attach(void)
{
	Slot	   *slot;

	smrt_lock(SMRT_LOCK_WAKE, LW_EXCLUSIVE);
	slot = find(MyDatabaseId) == NULL ? find(InvalidOid) : NULL;
	if (slot != NULL)
	{
		slot->database = MyDatabaseId;
		slot->latch = MyLatch;
		pg_atomic_write_u32(&slot->woken, 1);
	}
	if (shared->launcher != NULL)
		SetLatch(shared->launcher);
	smrt_unlock(SMRT_LOCK_WAKE);
	mine = slot;
	if (slot != NULL)
		before_shmem_exit(detach, (Datum) 0);
	return slot != NULL;
}

static void
detach(int code, Datum arg)
{
	smrt_lock(SMRT_LOCK_WAKE, LW_EXCLUSIVE);
	mine->database = InvalidOid;
	mine->latch = NULL;
	if (shared->launcher != NULL)
		SetLatch(shared->launcher);
	smrt_unlock(SMRT_LOCK_WAKE);
}

bool
smrt_wake_take(void)
{
	return pg_atomic_exchange_u32(&mine->woken, 0) != 0;
}

/*
 * Of the launcher.
 */

void
smrt_wake_watch(void)
{
	smrt_lock(SMRT_LOCK_WAKE, LW_EXCLUSIVE);
	shared->launcher = MyLatch;
	smrt_unlock(SMRT_LOCK_WAKE);
	before_shmem_exit(unwatch, (Datum) 0);
}

static void
unwatch(int code, Datum arg)
{
	smrt_lock(SMRT_LOCK_WAKE, LW_EXCLUSIVE);
	shared->launcher = NULL;
	smrt_unlock(SMRT_LOCK_WAKE);
}

bool
smrt_wake_is_attached(Oid database)
{
	bool		attached;

	smrt_lock(SMRT_LOCK_WAKE, LW_SHARED);
	attached = find(database) != NULL;
	smrt_unlock(SMRT_LOCK_WAKE);
	return attached;
}

/* The lock is held. */
static Slot *
find(Oid database)
{
	for (int i = 0; i < MAX_WORKERS; i++)
		if (shared->slots[i].database == database)
			return &shared->slots[i];
	return NULL;
}
