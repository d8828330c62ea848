/*
 * The queue worker of a database: takes rows that are due, has them answered, and
 * sleeps until a commit wakes it or the next row is due.
 *
 * It is there alone, so what a worker before it left is its own at once.  While it
 * works off a long queue it looks for rows from where it found the last ones,
 * past all that are dealt with and still stand in the index; now and then, and
 * before it sleeps, from the beginning.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pg/compat.h"
#include "pg/settings.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "queue/progress.h"
#include "queue/queuebatch.h"
#include "queue/wake.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

/*
 * Each claim has its costs, and ends with fewer requests in flight than there may
 * be, so that a quick model wants large ones.  A slow one does not: rows for other
 * models wait until a claim is dealt with, and who ends with it has tried all of it.
 */
#define SMALL_CLAIM 1000
#define QUICK_MS 1000

PGDLLEXPORT void smrt_queueworker_main(Datum arg);

/* What it keeps between two rounds. */
typedef struct Rounds
{
	MemoryContext context;		/* reset after each */
	bool		unwanted;		/* the database is to have no worker any more */
	bool		took_over;		/* what a worker before left */
	TimestampTz from;			/* where to look for rows */
	int			claim;			/* rows to take, if the settings permit */
	TimestampTz kept_house_at;
	TimestampTz next;			/* when a row is due, if there was none */
} Rounds;

static uint32 wait_event;

static void fix_settings(void);
static bool try_round(Rounds *rounds);
static bool play_round(Rounds *rounds);
static SmrtQueueBatch *take(Rounds *rounds, const char *table);
static SmrtQueueBatch *take_leased(const Rounds *rounds, const char *table);
static int	claim_size(const Rounds *rounds);
static void begin(Rounds *rounds);
static void commit(Rounds *rounds);
static void heed_signals(void);
static void rest(TimestampTz until, bool may_be_woken);

void
smrt_queueworker_main(Datum arg)
{
	Rounds		rounds = {.from = DT_NOBEGIN};

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, StatementCancelHandler);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg), InvalidOid, 0);
	if (!smrt_wake_attach())
		proc_exit(1);
	smrt_progress_begin(SMRT_WORK_QUEUE_WORKER);
	fix_settings();
	wait_event = smrt_wait_event("SageMakerQueueWorker");
	rounds.context = AllocSetContextCreate(TopMemoryContext,
										   "sagemaker_rt queue worker",
										   ALLOCSET_DEFAULT_SIZES);
	while (!rounds.unwanted)
	{
		heed_signals();
		if (try_round(&rounds) || rounds.unwanted || smrt_wake_take())
			continue;
		rest(rounds.next, true);
		(void) smrt_wake_take();
	}
}

/* Whatever the configuration, the database or the role say of them. */
static void
fix_settings(void)
{
	static const struct
	{
		const char *name;
		const char *value;
	}			fixed[] = {
		{"application_name", "sagemaker_rt queue worker"},
		{"search_path", "pg_catalog, pg_temp"},
		{"client_encoding", "UTF8"},	/* what is asked outside transactions */
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"row_security", "on"},
		{"session_replication_role", "origin"},
		{"statement_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"lock_timeout", "10s"},	/* a table that is being altered */
		{"jit", "off"},
	};

	for (int i = 0; i < lengthof(fixed); i++)
		SetConfigOption(fixed[i].name, fixed[i].value, PGC_SUSET,
						PGC_S_OVERRIDE);
}

/* An error ends a round, and makes a pause, but not the worker. */
static bool
try_round(Rounds *rounds)
{
	volatile bool worked = false;
	volatile bool failed = false;

	PG_TRY();
	{
		worked = play_round(rounds);
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		disable_all_timeouts(false);
		EmitErrorReport();
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(TopMemoryContext);
		FlushErrorState();
		RESUME_INTERRUPTS();
		failed = true;
	}
	PG_END_TRY();
	MemoryContextReset(rounds->context);
	if (failed)
	{
		rounds->from = DT_NOBEGIN;
		rounds->took_over = false;	/* what it had itself */
		rounds->next = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												   1000 * (int64) smrt_settings.queue.retry_delay);
		rest(rounds->next, false);
	}
	return worked;
}

/* False: there was nothing to do, and rounds->next says until when. */
static bool
play_round(Rounds *rounds)
{
	SmrtQueueBatch *batch = NULL;
	TimestampTz now;
	bool		worked = false;
	char	   *table;

	rounds->next = DT_NOEND;
	begin(rounds);
	now = GetCurrentTransactionStartTimestamp();
	table = smrt_queuetable_find();
	rounds->unwanted = !smrt_wake_is_configured();
	if (rounds->unwanted || table == NULL)
		rounds->took_over = false;
	else
	{
		if (!rounds->took_over)
			smrt_queuetable_end_leases(table);
		rounds->took_over = true;
		if (TimestampDifferenceExceeds(rounds->kept_house_at, now,
									   1000 * smrt_settings.queue.interval))
		{
			worked = smrt_queuetable_clean(table);
			if (!worked)
				rounds->kept_house_at = now;
			rounds->from = DT_NOBEGIN;
			batch = take_leased(rounds, table);
		}
		if (batch == NULL)
			batch = take(rounds, table);
		if (batch == NULL && !worked)
			rounds->next = smrt_queuetable_next(table);
	}
	commit(rounds);
	if (batch == NULL)
		return worked;
	smrt_queuebatch_answer(table, batch);
	rounds->claim = TimestampDifferenceExceeds(now, GetCurrentTimestamp(), QUICK_MS) ?
		batch->n_rows / 2 : 2 * batch->n_rows;
	return true;
}

/* What waits, or else, before it sleeps, what was taken and not answered. */
static SmrtQueueBatch *
take(Rounds *rounds, const char *table)
{
	int			n = claim_size(rounds);
	SmrtQueueBatch *batch = smrt_queuetable_take(table, false, rounds->from, n);

	if (batch == NULL && rounds->from != DT_NOBEGIN)
		batch = smrt_queuetable_take(table, false, DT_NOBEGIN, n);
	rounds->from = batch != NULL ? batch->oldest : DT_NOBEGIN;
	return batch != NULL ? batch : take_leased(rounds, table);
}

static SmrtQueueBatch *
take_leased(const Rounds *rounds, const char *table)
{
	smrt_queuetable_bury(table);
	return smrt_queuetable_take(table, true, DT_NOBEGIN, claim_size(rounds));
}

static int
claim_size(const Rounds *rounds)
{
	return Min(Max(rounds->claim, SMALL_CLAIM), smrt_settings.queue.batch_rows);
}

static void
begin(Rounds *rounds)
{
	pgstat_report_activity(STATE_RUNNING, "taking rows of the queue");
	smrt_progress_enter(SMRT_PROGRESS_READING);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(rounds->context);
}

static void
commit(Rounds *rounds)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_activity(STATE_IDLE, NULL);
	(void) pgstat_report_stat(true);
	MemoryContextSwitchTo(rounds->context);
}

/* Between rounds there is nothing to cancel. */
static void
heed_signals(void)
{
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/* Until then, or the setting's interval is over, or a commit or a signal comes. */
static void
rest(TimestampTz until, bool may_be_woken)
{
	TimestampTz last = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												   1000 * (int64) smrt_settings.queue.interval);

	until = Min(until, last);
	smrt_progress_at(InvalidOid, InvalidOid);
	smrt_progress_enter(SMRT_PROGRESS_WAITING);
	for (;;)
	{
		/* Rounded up: a row is not due before. */
		long		ms = 1 + TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
															 until);

		if (GetCurrentTimestamp() >= until)
			return;
		if (WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					  ms, wait_event) & WL_LATCH_SET)
			ResetLatch(MyLatch);
		heed_signals();
		if (may_be_woken)
			return;
	}
}
