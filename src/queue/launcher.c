/*
 * Launching.
 *
 * The postmaster starts the launcher after recovery, hence not on a standby, and
 * again whenever it ends.  Workers are started by the launcher, and started again
 * by it alone: the postmaster would go on starting one whose database was
 * dropped.  Who starts, and does not come to attach itself, is tried again after
 * a pause that grows.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pg/compat.h"
#include "pg/settings.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "queue/launcher.h"
#include "queue/progress.h"
#include "queue/wake.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define MIN_PAUSE_MS 1000
#define MAX_PAUSE_MS 30000

/* A database that shall have a worker. */
typedef struct Charge
{
	char	   *name;
	Oid			database;		/* InvalidOid: not known to exist */
	int			pause_ms;		/* before the next start */
	TimestampTz started_at;		/* 0: never */
} Charge;

PGDLLEXPORT void smrt_launcher_main(Datum arg);

static List *read_charges(const List *before);
static long look_after(Charge *charge);
static Oid find_database(const char *name);
static void start_worker(Charge *charge);

void
smrt_launcher_install(void)
{
	BackgroundWorker worker = {
		.bgw_name = "sagemaker_rt launcher",
		.bgw_type = "sagemaker_rt launcher",
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = 1,
		.bgw_library_name = "sagemaker_rt",
		.bgw_function_name = "smrt_launcher_main",
	};

	if (!smrt_preloaded)
		return;
	smrt_wake_install();
	smrt_progress_install();
	RegisterBackgroundWorker(&worker);
}

void
smrt_launcher_main(Datum arg)
{
	List	   *charges;
	uint32		wait_event;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	smrt_wake_watch();
	wait_event = smrt_wait_event("SageMakerLauncher");
	charges = read_charges(NIL);
	for (;;)
	{
		long		sleep_ms = MAX_PAUSE_MS;
		ListCell   *cell;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			charges = read_charges(charges);
		}
		foreach(cell, charges)
			sleep_ms = Min(sleep_ms, look_after(lfirst(cell)));
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 sleep_ms, wait_event);
	}
}

/*
 * Those of the setting, in a memory context of their own, in which they become
 * current.  What was known before of a database is kept, the rest freed.
 */
static List *
read_charges(const List *before)
{
	static MemoryContext context = NULL;
	MemoryContext old = context;
	List	   *charges = NIL;
	ListCell   *name;

	context = AllocSetContextCreate(TopMemoryContext, "sagemaker_rt launcher",
									ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(context);
	foreach(name, smrt_wake_databases())
	{
		Charge	   *charge = palloc0(sizeof(Charge));
		ListCell   *cell;

		charge->pause_ms = MIN_PAUSE_MS;
		foreach(cell, before)
			if (strcmp(((Charge *) lfirst(cell))->name, lfirst(name)) == 0)
				*charge = *(Charge *) lfirst(cell);
		charge->name = lfirst(name);
		charges = lappend(charges, charge);
	}
	if (old != NULL)
		MemoryContextDelete(old);
	return charges;
}

/* Starts its worker if it has none; when to look again, in ms. */
static long
look_after(Charge *charge)
{
	long		ms;

	if (OidIsValid(charge->database) && smrt_wake_is_attached(charge->database))
	{
		charge->pause_ms = MIN_PAUSE_MS;
		return MAX_PAUSE_MS;
	}
	ms = charge->started_at == 0 ? charge->pause_ms :
		TimestampDifferenceMilliseconds(charge->started_at,
										GetCurrentTimestamp());
	if (ms < charge->pause_ms)
		return charge->pause_ms - ms;
	charge->database = find_database(charge->name);
	if (!OidIsValid(charge->database))
		return MAX_PAUSE_MS;
	charge->pause_ms = Min(2 * charge->pause_ms, MAX_PAUSE_MS);
	start_worker(charge);
	return charge->pause_ms;
}

/*
 * One that takes connections.  Without the index: who is connected to no database
 * may not have it at hand.
 */
static Oid
find_database(const char *name)
{
	MemoryContext before = CurrentMemoryContext;
	Oid			database = InvalidOid;
	Relation	relation;
	SysScanDesc scan;
	HeapTuple	tuple;
	ScanKeyData key;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	relation = table_open(DatabaseRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_database_datname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(name));
	scan = systable_beginscan(relation, InvalidOid, false, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple) &&
		((Form_pg_database) GETSTRUCT(tuple))->datallowconn)
		database = ((Form_pg_database) GETSTRUCT(tuple))->oid;
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(before);
	return database;
}

static void
start_worker(Charge *charge)
{
	BackgroundWorker worker = {
		.bgw_type = "sagemaker_rt queue worker",
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_library_name = "sagemaker_rt",
		.bgw_function_name = "smrt_queueworker_main",
		.bgw_main_arg = ObjectIdGetDatum(charge->database),
		.bgw_notify_pid = MyProcPid,
	};
	BackgroundWorkerHandle *handle;

	snprintf(worker.bgw_name, BGW_MAXLEN, "sagemaker_rt queue worker of %s",
			 charge->name);
	charge->started_at = GetCurrentTimestamp();
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start the queue worker of database \"%s\"",
						charge->name),
				 errhint("Consider increasing the configuration parameter \"max_worker_processes\".")));
	else
		pfree(handle);
}
