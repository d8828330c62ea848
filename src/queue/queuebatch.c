/*
 * A batch's way:
 *
 *     transaction   as the role: inputs read by key, made rows of a request
 *     none          the model is asked, until some rows are answered   <-+
 *     transaction   as the role: these predictions written onto          | until all
 *                   unchanged inputs; as ourselves: what has become of   | are
 *                   each of these rows                                   |
 *                   while the next requests are in flight ---------------+
 *
 * So what is asked for again after a crash is what was in flight and one write.
 * What a table's triggers, policies and types do is done as the role, in a
 * security-restricted operation and a subtransaction.  It may fail, and take as
 * long as a lease.  Nothing that is read in the first transaction is trusted
 * in a later one: the table may be another one by then.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/jsonvalue.h"
#include "model/valuetext.h"
#include "pg/alloc.h"
#include "pg/isolated.h"
#include "pg/report.h"
#include "pg/settings.h"
#include "pgstat.h"
#include "queue/boundrows.h"
#include "queue/progress.h"
#include "queue/queuebatch.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

/* Rows with more than this are not in memory at once. */
#define MANY_BYTES (64 * 1024 * 1024)

/* A part of a batch, on its way. */
typedef struct Work
{
	const char *table;
	const SmrtQueueBatch *batch;
	MemoryContext context;		/* of this part */
	MemoryContext round;		/* of it, reset write by write */
	int			from;			/* rows of the batch */
	int			to;
	SmrtVerdict *verdicts;		/* of all rows of the batch */
	Oid			role;
	const SmrtBoundTable *binding;
	SmrtBoundRows *rows;
	SmrtRowset *set;			/* has the same rows */
	int			n_known;		/* of these, from the first one on: answered */
	int			n_written;
	bool		is_too_large;	/* to be held at once: nothing else was done */
	SmrtEngineCounts engine;
	int64		n_requests;		/* of it that were counted */
} Work;

/* Somebody else is at work on the row: his input is the one to ask for. */
static const SmrtFailure moved_on = {
	.blame = SMRT_BLAME_ENDPOINT,
	.sqlstate = ERRCODE_T_R_SERIALIZATION_FAILURE,
	.message = "the row was locked, or its inputs changed, while the model was asked",
};

static void answer(Work *work);
static ErrorData *read_rows(Work *work);
static ErrorData *missing_role(const char *role);
static bool write_rows(Work *work, ErrorData *error);
static void count(Work *work);
static void answer_halves(const Work *work);
static void begin(MemoryContext context);
static void commit(MemoryContext context);
static ErrorData *run_as_role(void (*step) (void *arg), Work *work);
static void end_process(void);
static void read_inputs(void *arg);
static const SmrtBoundTable *bind_names(const Work *work);
static Oid find_relation(const char *name);
static ErrorData *ask(Work *work);
static void write_predictions(void *arg);
static bool is_as_it_was(const SmrtBoundTable *was, const SmrtBoundTable *is);
static bool same_columns(const SmrtColumn *a, const SmrtColumn *b, int n);
static void soften(const SmrtModel *model, SmrtPrediction *prediction,
				   SmrtVerdict *verdict);
static char *result_json(const SmrtModel *model,
						 const SmrtPrediction *prediction);
static void judge(const Work *work, int i, SmrtVerdict *verdict,
				  const SmrtFailure *failure);
static void judge_rest(const Work *work, const ErrorData *error);
static SmrtBlame blame_of_error(const ErrorData *error);

void
smrt_queuebatch_answer(const char *table, const SmrtQueueBatch *batch)
{
	MemoryContext before = CurrentMemoryContext;
	Work		work = {.table = table,.batch = batch,
		.context = AllocSetContextCreate(before, "sagemaker_rt queue batch",
										 ALLOCSET_DEFAULT_SIZES),
		.to = batch->n_rows,
		.verdicts = palloc0(batch->n_rows * sizeof(SmrtVerdict)),
	};

	answer(&work);
	MemoryContextSwitchTo(before);
	MemoryContextDelete(work.context);
}

static void
answer(Work *work)
{
	ErrorData  *error = read_rows(work);

	if (work->to - work->from > 1 &&
		(work->is_too_large ||
		 (error != NULL && smrt_report_is_of_row(error->sqlerrcode))))
	{
		answer_halves(work);
		return;
	}
	work->round = AllocSetContextCreate(work->context, "sagemaker_rt queue write",
										ALLOCSET_DEFAULT_SIZES);
	do
	{
		if (error == NULL)
			error = ask(work);
	} while (write_rows(work, error) && work->n_written < work->rows->n);
}

static ErrorData *
read_rows(Work *work)
{
	ErrorData  *error;

	smrt_progress_enter(SMRT_PROGRESS_READING);
	begin(work->context);
	work->role = get_role_oid(work->batch->role, true);
	error = OidIsValid(work->role) ? run_as_role(read_inputs, work) :
		missing_role(work->batch->role);
	commit(work->context);
	return error;
}

static ErrorData *
missing_role(const char *role)
{
	ErrorData  *error = palloc0(sizeof(ErrorData));

	error->sqlerrcode = ERRCODE_UNDEFINED_OBJECT;
	error->message = psprintf("role \"%s\" does not exist", role);
	return error;
}

/* What is answered; or else, and false, that error of all rows that are left. */
static bool
write_rows(Work *work, ErrorData *error)
{
	smrt_progress_enter(SMRT_PROGRESS_WRITING);
	begin(work->round);
	if (error == NULL)
		error = run_as_role(write_predictions, work);
	if (error != NULL)
		judge_rest(work, error);
	smrt_queuetable_record(work->table, work->batch, work->from, work->to,
						   work->verdicts);
	commit(work->context);
	count(work);
	work->n_written = work->n_known;
	if (work->set != NULL)
		smrt_rowset_forget(work->set);
	MemoryContextReset(work->round);
	return error == NULL;
}

/* What is committed, and was not counted yet. */
static void
count(Work *work)
{
	SmrtProgressCounts counts = {
		.requests = work->engine.requests - work->n_requests,
	};

	work->n_requests = work->engine.requests;
	for (int i = work->from; i < work->to; i++)
	{
		SmrtVerdict *verdict = &work->verdicts[i];

		if (verdict->state == NULL || verdict->is_recorded)
			continue;
		verdict->is_recorded = true;
		counts.seen++;
		if (verdict->sqlstate != 0)
			counts.failed++;
		else if (verdict->message != NULL)
			counts.skipped++;
		else
			counts.scored++;
	}
	smrt_progress_add(&counts);
}

/*
 * Something was raised that may be about one row only, or they were too much.  One
 * after the other is in memory.
 */
static void
answer_halves(const Work *work)
{
	int			middle = (work->from + work->to) / 2;

	MemoryContextReset(work->context);
	for (int i = 0; i < 2; i++)
	{
		Work		half = {.table = work->table,.batch = work->batch,
			.context = work->context,.verdicts = work->verdicts,
			.from = i == 0 ? work->from : middle,
			.to = i == 0 ? middle : work->to,
		};

		MemoryContextSwitchTo(work->context);
		answer(&half);
		MemoryContextReset(work->context);
	}
}

static void
begin(MemoryContext context)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(context);
}

/* Locks of the session that functions of users took go, too. */
static void
commit(MemoryContext context)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	LockReleaseSession(USER_LOCKMETHOD);
	MemoryContextSwitchTo(context);
}

/* Code that catches being cancelled ends with the worker. */
static ErrorData *
run_as_role(void (*step) (void *arg), Work *work)
{
	static TimeoutId last_resort = MAX_TIMEOUTS;
	int			lease_ms = smrt_settings.queue.lease * 1000;
	ErrorData  *error;

	if (last_resort == MAX_TIMEOUTS)
		last_resort = RegisterTimeout(USER_TIMEOUT, end_process);
	enable_timeout_after(STATEMENT_TIMEOUT, lease_ms);
	enable_timeout_after(last_resort, 2 * lease_ms);
	error = smrt_isolated_run(step, work, work->role);
	disable_timeout(STATEMENT_TIMEOUT, false);
	disable_timeout(last_resort, false);
	QueryCancelPending = false; /* it may have come too late */
	return error;
}

static void
end_process(void)
{
	kill(MyProcPid, SIGTERM);
}

static void
read_inputs(void *arg)
{
	Work	   *work = arg;
	int			n = work->to - work->from;
	ArrayType **keys = palloc(n * sizeof(ArrayType *));
	const char **ids = palloc(n * sizeof(char *));

	for (int i = 0; i < n; i++)
		keys[i] = work->batch->rows[work->from + i].key;
	work->binding = bind_names(work);
	work->rows = smrt_boundrows_read(work->binding, n, keys);
	for (int i = work->from; i < work->to; i++)
		work->verdicts[i] = (SmrtVerdict) {.state = "done",
			.message = "the row is not there, or cannot be seen by its role"};
	for (int i = 0; i < work->rows->n; i++)
		work->verdicts[work->from + work->rows->numbers[i]].state = NULL;
	work->is_too_large = work->rows->bytes > MANY_BYTES && n > 1;
	if (work->is_too_large)
		return;
	work->set = smrt_rowset_create(work->binding->model, true,
								   &work->engine);
	smrt_boundrows_feed(work->binding, work->rows, work->set);
	for (int i = 0; i < work->rows->n; i++)
		ids[i] = work->batch->rows[work->from + work->rows->numbers[i]].inference_id;
	smrt_rowset_name_requests(work->set, ids);
}

static const SmrtBoundTable *
bind_names(const Work *work)
{
	const SmrtQueueBatch *batch = work->batch;
	SmrtTableSpec spec = {
		.relation = find_relation(batch->relation),
		.function = smrt_boundtable_function(batch->model),
		.targets = batch->columns,
		.needs_key = true,
		.has_no_targets = batch->columns == NIL,
	};

	memcpy(spec.stamps, batch->stamps, sizeof(spec.stamps));
	return smrt_boundtable_make(&spec);
}

static Oid
find_relation(const char *name)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(name));

	return RangeVarGetRelid(makeRangeVarFromNameList(names), AccessShareLock, false);
}

/*
 * Outside of any transaction, until half of what may be in flight is answered: the
 * other half is on its way while that is written.
 */
static ErrorData *
ask(Work *work)
{
	const SmrtModel *model = work->binding->model;
	ErrorData  *volatile error = NULL;

	smrt_progress_at(work->binding->relation, model->function);
	smrt_progress_enter(SMRT_PROGRESS_ASKING);
	pgstat_report_activity(STATE_RUNNING, work->binding->model_name);
	PG_TRY();
	{
		work->n_known = smrt_rowset_advance(work->set, model->max_rows *
											((model->concurrency + 1) / 2));
	}
	PG_CATCH();
	{
		LWLockReleaseAll();
		pgstat_report_wait_end();
		MemoryContextSwitchTo(work->context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	pgstat_report_activity(STATE_IDLE, NULL);
	return error;
}

static void
write_predictions(void *arg)
{
	Work	   *work = arg;
	SmrtBoundRows rows = *work->rows;
	const SmrtBoundTable *binding = bind_names(work);
	SmrtPrediction *predictions;
	bool	   *written;
	SmrtWriting writing = {.skip_locked = true,.isolate = true};

	if (!is_as_it_was(work->binding, binding))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("table %s or model %s was changed while the model was asked",
						binding->relation_name, binding->model_name)));
	rows.n = work->n_known - work->n_written;
	rows.tuples += work->n_written;
	rows.numbers += work->n_written;
	predictions = palloc0(Max(rows.n, 1) * sizeof(SmrtPrediction));
	written = palloc0(Max(rows.n, 1) * sizeof(bool));
	for (int i = 0; i < rows.n; i++)
	{
		SmrtVerdict *verdict = &work->verdicts[work->from + rows.numbers[i]];

		*verdict = (SmrtVerdict) {.state = "done"};
		smrt_rowset_read(work->set, binding->model, work->n_written + i,
						 &predictions[i]);
		soften(binding->model, &predictions[i], verdict);
		if (binding->n_targets == 0 && predictions[i].failure == NULL)
			verdict->result = result_json(binding->model, &predictions[i]);
	}
	if (binding->n_targets > 0)
		(void) smrt_boundrows_write(binding, &rows, predictions, written, &writing);
	for (int i = 0; i < rows.n; i++)
	{
		int			number = work->from + rows.numbers[i];
		SmrtVerdict *verdict = &work->verdicts[number];

		if (predictions[i].failure != NULL)
			judge(work, number, verdict, predictions[i].failure);
		else if (binding->n_targets > 0 && !written[i])
			judge(work, number, verdict, &moved_on);
		verdict->sent_at = smrt_rowset_sent_at(work->set, work->n_written + i);
	}
}

/* Whether what was read under one binding can be written under the other. */
static bool
is_as_it_was(const SmrtBoundTable *was, const SmrtBoundTable *is)
{
	return was->relation == is->relation &&
		was->model->function == is->model->function &&
		was->n_keys == is->n_keys && was->n_inputs == is->n_inputs &&
		was->n_targets == is->n_targets &&
		same_columns(was->keys, is->keys, is->n_keys) &&
		same_columns(was->inputs, is->inputs, is->n_inputs) &&
		same_columns(was->written, is->written, is->n_targets);
}

static bool
same_columns(const SmrtColumn *a, const SmrtColumn *b, int n)
{
	for (int i = 0; i < n; i++)
		if (a[i].number != b[i].number || a[i].type != b[i].type)
			return false;
	return true;
}

/* What would fail each time is NULL if the model says so, and the row is done. */
static void
soften(const SmrtModel *model, SmrtPrediction *prediction,
	   SmrtVerdict *verdict)
{
	const SmrtFailure *failure = prediction->failure;

	if (failure == NULL || failure->blame != SMRT_BLAME_ROW ||
		smrt_model_on_error(model) == SMRT_ON_ERROR_ERROR)
		return;
	verdict->sqlstate = failure->sqlstate;
	verdict->message = failure->message;
	prediction->failure = NULL;
	prediction->is_null = true;
}

static char *
result_json(const SmrtModel *model, const SmrtPrediction *prediction)
{
	SmrtModelArgument type = smrt_value_part(get_func_rettype(model->function));
	SmrtBuf		json;

	smrt_buf_init(&json, &smrt_alloc_palloc, MaxAllocSize / 2);
	smrt_jsonvalue_write(&type, prediction->value, prediction->is_null,
						 SMRT_NULLS_DEFAULT, &json);
	smrt_buf_append_char(&json, '\0');
	if (!smrt_buf_ok(&json))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the prediction is too large")));
	return pg_any_to_server(json.data, json.len - 1, PG_UTF8);
}

/*
 * Judgements.
 */

static void
judge(const Work *work, int i, SmrtVerdict *verdict,
	  const SmrtFailure *failure)
{
	bool		again = failure->blame == SMRT_BLAME_ENDPOINT ||
		(failure->blame == SMRT_BLAME_MOMENT &&
		 work->batch->rows[i].attempts < smrt_settings.queue.max_attempts);

	*verdict = (SmrtVerdict) {
		.state = again ? "failed" : "dead",
		.is_free = failure->blame == SMRT_BLAME_ENDPOINT,
		.sqlstate = failure->sqlstate,
		.message = failure->message,
	};
}

/* Of rows that were not written; if none were read, of all. */
static void
judge_rest(const Work *work, const ErrorData *error)
{
	SmrtFailure failure = {.blame = blame_of_error(error),
		.sqlstate = error->sqlerrcode,.message = error->message};

	if (work->rows == NULL)
		for (int i = work->from; i < work->to; i++)
			judge(work, i, &work->verdicts[i], &failure);
	else
		for (int i = work->n_written; i < work->rows->n; i++)
		{
			int			number = work->from + work->rows->numbers[i];

			judge(work, number, &work->verdicts[number], &failure);
			work->verdicts[number].sent_at = work->set == NULL ? 0 :
				smrt_rowset_sent_at(work->set, i);
		}
}

/*
 * Of what was raised about all rows at once.  What somebody else may mend, or what
 * comes of others being at work, passes; what the role may not, or what is gone,
 * does not.
 */
static SmrtBlame
blame_of_error(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION:
			return SMRT_BLAME_ENDPOINT;
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			return SMRT_BLAME_MOMENT;
		default:
			return SMRT_BLAME_ROW;
	}
}
