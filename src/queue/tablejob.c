/*
 * Running table jobs.
 *
 * Rows are read in the order of their keys, each round from where the last one
 * ended, so that a long job reads the table once.  What is missed, because others
 * held it or another job came or went, is found by another pass; the last one
 * finds nothing that can be done.
 *
 * Rows are locked to skip those that others are about to change, and for no
 * longer than it takes to read them: jobs for other columns of the table read them
 * too, and skip what is locked when they write.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "pg/searchpath.h"
#include "queue/boundrows.h"
#include "queue/failedrows.h"
#include "queue/jobquery.h"
#include "queue/progress.h"
#include "queue/share.h"
#include "queue/tablejob.h"
#include "queue/tally.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define MS_BETWEEN_NOTICES 10000

/* Fewer failed rows than this say nothing about all of them. */
#define FEW_FAILED_ROWS 100

typedef struct Run
{
	const SmrtTableJob *job;
	SmrtJobCounts *counts;
	SmrtTally	tally;
	SmrtShare	share;
	MemoryContext context;		/* as long as the job */
	MemoryContext round;		/* reset round by round */
	HeapTuple	last;			/* row of the round before; NULL: begin at the front */
	TupleDesc	last_desc;
	int			n_passes;
	bool		is_useful;		/* the pass has written some */
	int64		n_sent;
	TimestampTz began_at;
	TimestampTz noticed_at;
} Run;

/* What a round has in hand. */
typedef struct Round
{
	SmrtBoundTable *binding;
	SmrtBoundRows *bound;
	SmrtRowset *set;
	SmrtJobRow *rows;
	SmrtPrediction *predictions;
	bool	   *written;
	SmrtEngineCounts engine;
	int64		n_written;
	int64		n_failed;
	bool		has_news;		/* for the table of failed rows */
	const SmrtFailure *endpoint_failure;	/* ends the job; or NULL */
} Round;

static void run_rounds(Run *run);
static bool is_over(const Run *run);
static bool run_round(Run *run);
static void begin_transaction(void);
static void end_transaction(void);
static void read_rows(Run *run, Round *round);
static void remember_last(Run *run, const SmrtBoundRows *bound);
static void leave_out_failed(Run *run, Round *round);
static void judge(Run *run, Round *round);
static void write_rows(Run *run, Round *round);
static void count(Run *run, const Round *round);
static void end_if_endpoint_failed(Run *run, const Round *round);
static void end_if_too_many_failed(const Run *run);
static void tell_progress(Run *run, bool is_end);

void
smrt_tablejob_init(SmrtTableJob *job)
{
	memset(job, 0, sizeof(*job));
	job->spec.needs_key = true;
	job->rows_per_transaction = 1000;
	job->max_attempts = 3;
	job->max_failed_rows = -1;
	job->max_failed_ratio = 0.5;
}

void
smrt_tablejob_run(const SmrtTableJob *job, SmrtJobCounts *counts)
{
	Run			run = {.job = job,.counts = counts};
	MemoryContext before;

	/* What is below the portal stays when transactions end. */
	run.context = AllocSetContextCreate(PortalContext, "sagemaker_rt job",
										ALLOCSET_DEFAULT_SIZES);
	run.round = AllocSetContextCreate(run.context, "sagemaker_rt round",
									  ALLOCSET_DEFAULT_SIZES);
	run.began_at = run.noticed_at = GetCurrentTimestamp();
	before = MemoryContextSwitchTo(run.context);
	smrt_tally_init(&run.tally);
	smrt_share_join(&run.share, job->spec.relation,
					get_attnum(job->spec.relation, linitial(job->spec.targets)));
	smrt_progress_begin(SMRT_WORK_TABLE_JOB);
	smrt_progress_at(job->spec.relation, job->spec.function);
	/* A session's lock outlives the error, and so does a place among those at work. */
	PG_TRY();
	{
		run_rounds(&run);
	}
	PG_FINALLY();
	{
		smrt_progress_end();
		smrt_share_leave(&run.share);
	}
	PG_END_TRY();
	tell_progress(&run, true);
	MemoryContextSwitchTo(before);
	MemoryContextDelete(run.context);
}

static void
run_rounds(Run *run)
{
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	do
	{
		run->last = NULL;
		run->is_useful = false;
		run->n_passes++;
		while (!is_over(run) && run_round(run))
			tell_progress(run, false);
	} while (run->is_useful && run->job->rows == NULL && !is_over(run));
	SPI_finish();
}

static bool
is_over(const Run *run)
{
	const SmrtTableJob *job = run->job;

	return (job->max_rows > 0 && run->n_sent >= job->max_rows) ||
		(job->max_time_ms > 0 &&
		 TimestampDifferenceExceeds(run->began_at, GetCurrentTimestamp(),
									(int) Min(job->max_time_ms, INT_MAX)));
}

/* False when there were no more rows. */
static bool
run_round(Run *run)
{
	Round		round = {0};

	MemoryContextReset(run->round);
	MemoryContextSwitchTo(run->round);
	smrt_share_look(&run->share);
	smrt_progress_enter(SMRT_PROGRESS_READING);
	begin_transaction();
	read_rows(run, &round);
	end_transaction();
	if (round.bound->n == 0)
		return false;
	smrt_progress_add(&(SmrtProgressCounts) {.seen = round.bound->n});
	begin_transaction();
	leave_out_failed(run, &round);
	end_transaction();
	smrt_progress_enter(SMRT_PROGRESS_ASKING);
	smrt_rowset_send(round.set);
	smrt_progress_enter(SMRT_PROGRESS_WRITING);
	begin_transaction();
	judge(run, &round);
	write_rows(run, &round);
	end_transaction();
	count(run, &round);
	end_if_endpoint_failed(run, &round);
	end_if_too_many_failed(run);
	return true;
}

/* Types' functions may want a snapshot, which a procedure has not by itself. */
static void
begin_transaction(void)
{
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
end_transaction(void)
{
	PopActiveSnapshot();
	SPI_commit();
	SPI_start_transaction();
}

static void
read_rows(Run *run, Round *round)
{
	const SmrtTableJob *job = run->job;
	int64		n = job->rows_per_transaction;
	int			pinned = smrt_searchpath_pin();
	Portal		cursor;

	if (job->max_rows > 0)
		n = Min(n, job->max_rows - run->n_sent);
	round->binding = smrt_boundtable_make(&job->spec);
	cursor = smrt_jobquery_open(&(SmrtJobQuery) {
		.job = job,
		.binding = round->binding,
		.share = &run->share,
		.last = run->last,
		.last_desc = run->last_desc,
		.max_rows = (int) n,
	});
	/* SPI has left us in memory of its own. */
	MemoryContextSwitchTo(run->round);
	round->bound = smrt_boundrows_fetch(cursor, (int) n);
	SPI_cursor_close(cursor);
	smrt_searchpath_restore(pinned);
	if (round->bound->n > 0)
		remember_last(run, round->bound);
}

static void
remember_last(Run *run, const SmrtBoundRows *bound)
{
	MemoryContext before = MemoryContextSwitchTo(run->context);

	if (run->last != NULL)
		heap_freetuple(run->last);
	run->last = heap_copytuple(bound->tuples[bound->n - 1]);
	if (run->last_desc == NULL)
		run->last_desc = CreateTupleDescCopy(bound->desc);
	MemoryContextSwitchTo(before);
}

/*
 * What failed for good, or often enough, is not sent again with the same input, and
 * by one job nothing is.
 */
static void
leave_out_failed(Run *run, Round *round)
{
	const SmrtTableJob *job = run->job;
	int			n = round->bound->n;
	int			pinned;

	round->set = smrt_rowset_create(round->binding->model, true,
									&round->engine);
	smrt_boundrows_feed(round->binding, round->bound, round->set);
	round->rows = palloc0(n * sizeof(SmrtJobRow));
	for (int i = 0; i < n; i++)
	{
		round->rows[i].key = smrt_boundrows_key(round->binding, round->bound, i);
		smrt_rowset_digest(round->set, i, round->rows[i].digest);
	}
	pinned = smrt_searchpath_pin();
	smrt_failedrows_find(job->namespace, round->binding, round->rows, n);
	smrt_searchpath_restore(pinned);
	for (int i = 0; i < n; i++)
	{
		SmrtJobRow *row = &round->rows[i];

		row->is_left_out = row->is_known && row->is_same &&
			(row->is_permanent || row->attempts >= job->max_attempts ||
			 run->n_passes > 1);
		if (row->is_left_out)
			smrt_rowset_leave_out(round->set, i);
		else
			run->n_sent++;
	}
}

/* What became of each row: a prediction to be written, or a failure. */
static void
judge(Run *run, Round *round)
{
	static const SmrtFailure failed_before = {0};
	static const SmrtFailure no_prediction = {
		.blame = SMRT_BLAME_ROW,
		.sqlstate = ERRCODE_NULL_VALUE_NOT_ALLOWED,
		.message = "the prediction is null",
	};
	int			n = round->bound->n;

	round->predictions = palloc(n * sizeof(SmrtPrediction));
	round->written = palloc(n * sizeof(bool));
	for (int i = 0; i < n; i++)
	{
		SmrtPrediction *prediction = &round->predictions[i];

		smrt_rowset_read(round->set, round->binding->model, i, prediction);
		if (round->rows[i].is_left_out)
			prediction->failure = &failed_before;
		/* It would be wanted, and paid for, again and again. */
		else if (prediction->failure == NULL && prediction->sent &&
				 prediction->is_null && run->job->rows == NULL)
			prediction->failure = &no_prediction;
		else if (prediction->failure != NULL &&
				 prediction->failure->blame == SMRT_BLAME_ENDPOINT)
			round->endpoint_failure = prediction->failure;
	}
}

/* Triggers of the table have the search_path of the session. */
static void
write_rows(Run *run, Round *round)
{
	const SmrtTableJob *job = run->job;
	int			pinned;
	SmrtWriting writing = {.skip_locked = true,.isolate = true,
	.insert = job->insert,.only_unscored = job->rows == NULL};

	round->n_written = smrt_boundrows_write(round->binding, round->bound,
											round->predictions, round->written,
											&writing);
	for (int i = 0; i < round->bound->n; i++)
	{
		SmrtJobRow *row = &round->rows[i];
		const SmrtFailure *failure = round->predictions[i].failure;

		if (!row->is_left_out && failure != NULL &&
			failure->blame != SMRT_BLAME_ENDPOINT)
			row->failure = failure;
		row->is_settled = row->is_known && round->written[i];
		round->n_failed += row->failure != NULL;
		round->has_news |= row->failure != NULL || row->is_settled;
	}
	if (!round->has_news)
		return;
	pinned = smrt_searchpath_pin();
	smrt_failedrows_record(job->namespace, round->binding, round->rows,
						   round->bound->n);
	smrt_searchpath_restore(pinned);
}

/* What is committed. */
static void
count(Run *run, const Round *round)
{
	SmrtJobCounts *counts = run->counts;
	SmrtJobCounts before = *counts;

	counts->scored += round->n_written;
	counts->failed += round->n_failed;
	for (int i = 0; i < round->bound->n; i++)
	{
		const SmrtJobRow *row = &round->rows[i];

		counts->skipped += row->is_left_out && run->n_passes == 1;
		if (row->failure != NULL)
			smrt_tally_add(&run->tally, row->failure);
		counts->unwritten += round->predictions[i].failure == NULL &&
			!round->written[i];
	}
	run->is_useful |= round->n_written > 0;
	smrt_progress_add(&(SmrtProgressCounts) {
		.scored = round->n_written,
		.failed = round->n_failed,
		.skipped = counts->skipped - before.skipped +
			counts->unwritten - before.unwritten,
		.requests = round->engine.requests,
	});
}

static void
end_if_endpoint_failed(Run *run, const Round *round)
{
	if (round->endpoint_failure == NULL)
		return;
	tell_progress(run, true);
	smrt_failure_report(ERROR, round->endpoint_failure);
}

static void
end_if_too_many_failed(const Run *run)
{
	const SmrtTableJob *job = run->job;
	const SmrtJobCounts *counts = run->counts;
	int64		n = counts->failed + counts->scored;
	bool		too_many = job->max_failed_rows >= 0 &&
		counts->failed > job->max_failed_rows;
	bool		too_great_a_part = counts->failed >= FEW_FAILED_ROWS &&
		counts->failed > job->max_failed_ratio * n;

	if (!too_many && !too_great_a_part)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg(INT64_FORMAT " of " INT64_FORMAT " rows failed, more than %s permits: %s",
					counts->failed, n,
					too_many ? "max_failed_rows" : "max_failed_ratio",
					smrt_tally_counts(&run->tally)),
			 errdetail_internal("%s", smrt_tally_messages(&run->tally)),
			 errhint("What was scored is stored. Rows that failed for good are sent again after sagemaker_retry_failed().")));
}

static void
tell_progress(Run *run, bool is_end)
{
	const SmrtJobCounts *counts = run->counts;
	TimestampTz now = GetCurrentTimestamp();

	if (!is_end && !TimestampDifferenceExceeds(run->noticed_at, now,
											   MS_BETWEEN_NOTICES))
		return;
	run->noticed_at = now;
	ereport(NOTICE,
			(errmsg(INT64_FORMAT " rows scored, " INT64_FORMAT " failed, " INT64_FORMAT " left out since they failed before, " INT64_FORMAT " held or changed by others",
					counts->scored, counts->failed, counts->skipped,
					counts->unwritten)));
}
