/*
 * Rows in hand.  Their bytes lie in one buffer until all are sent; of what comes
 * back each row keeps its own piece.
 *
 * Errors about a value are caught in a subtransaction, since types of users may
 * run anything.  So no parallel worker may isolate rows.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "model/pack.h"
#include "model/predict.h"
#include "model/result.h"
#include "model/rowset.h"
#include "model/row.h"
#include "pg/alloc.h"
#include "pg/report.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

typedef struct Row
{
	size_t		begin;			/* in the set's cells */
	size_t		len;
	bool		skipped;		/* the model does not want it: NULL */
	bool		left_out;
	bool		is_known;		/* what became of it */
	TimestampTz sent_at;		/* 0: not yet, or never */
	SmrtFailure *failure;
	SmrtOutcome outcome;		/* with a piece: of a row that was answered */
} Row;

struct SmrtRowset
{
	MemoryContext context;
	MemoryContext scratch;		/* reset row by row */
	MemoryContext answers;		/* pieces and responses that may be read */
	SmrtModel	model;
	SmrtEngine *engine;
	bool		isolate;
	SmrtBuf		cells;			/* all rows, one after the other */
	size_t		frame;			/* bytes of a request around a row */
	int			n_rows;
	int		   *order;			/* in which they are sent; NULL: none was */
	int			n_fed;			/* of these, to the engine */
	int			n_taken;		/* came out of it */
	int			n_known;		/* are known of all rows, from the first one on */
	int			size;			/* of rows */
	Row		   *rows;
	const char *const *inference_ids;	/* by row, or NULL */
	SmrtFailure *ended_by;		/* the endpoint fails: no more is sent */
};

/* One row's writing or reading, which may fail. */
typedef struct Step
{
	void		(*run) (struct Step *step);
	SmrtRowset *set;
	Row		   *row;
	const SmrtModel *model;
	const Datum *values;		/* to write */
	const bool *nulls;
	MemoryContext context;		/* where the value read goes */
	SmrtPrediction *prediction;
} Step;

static SmrtEngine *create_engine(const SmrtModel *model,
								 SmrtEngineCounts *counts);
static size_t frame_of(const SmrtModel *model);
static void write_row(Step *step);
static bool is_full(const SmrtRowset *set);
static void order_rows(SmrtRowset *set);
static int	compare_shared(const void *a, const void *b, void *arg);
static SmrtSpan shared_of(const SmrtRowset *set, int i);
static void name_requests(SmrtRowset *set);
static void feed(SmrtRowset *set, Row *row);
static void take(SmrtRowset *set, Row *row, const SmrtOutcome *outcome);
static SmrtResponse *copy_response(const SmrtResponse *response);
static void read_row(Step *step);
static void run(Step *step);
static SmrtBlame blame_of_error(const Step *step);
static SmrtFailure *failure_of_outcome(const SmrtModel *model,
									   const SmrtOutcome *outcome);
static const char *shown_id(SmrtSpan request_id);

SmrtRowset *
smrt_rowset_create(const SmrtModel *model, bool isolate,
				   SmrtEngineCounts *counts)
{
	MemoryContext context;
	MemoryContext before;
	SmrtRowset *set;

	if (model->is_set)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model %s returns a set, but a value for each row is wanted",
						model->name)));
	context = AllocSetContextCreate(CurrentMemoryContext, "sagemaker_rt rows",
									ALLOCSET_DEFAULT_SIZES);
	before = MemoryContextSwitchTo(context);
	set = palloc0(sizeof(SmrtRowset));
	set->context = context;
	set->scratch = AllocSetContextCreate(context, "sagemaker_rt row",
										 ALLOCSET_DEFAULT_SIZES);
	set->answers = AllocSetContextCreate(context, "sagemaker_rt answers",
										 ALLOCSET_DEFAULT_SIZES);
	set->model = *model;
	set->isolate = isolate;
	/* The engine halves where a failed row is to be NULL. */
	if (isolate)
		set->model.on_error = SMRT_ON_ERROR_NULL;
	set->engine = create_engine(&set->model, counts);
	set->frame = frame_of(model);
	smrt_buf_init(&set->cells, &smrt_alloc_palloc, MaxAllocSize / 2);
	set->size = 64;
	set->rows = palloc(set->size * sizeof(Row));
	MemoryContextSwitchTo(before);
	return set;
}

/* For the model's definer, if it has one. */
static SmrtEngine *
create_engine(const SmrtModel *model, SmrtEngineCounts *counts)
{
	SmrtEngine *engine;
	Oid			role;
	int			flags;

	if (!OidIsValid(model->definer))
		return smrt_engine_create(model, counts);
	GetUserIdAndSecContext(&role, &flags);
	SetUserIdAndSecContext(model->definer, flags | SECURITY_LOCAL_USERID_CHANGE);
	engine = smrt_engine_create(model, counts);
	SetUserIdAndSecContext(role, flags);
	return engine;
}

static size_t
frame_of(const SmrtModel *model)
{
	SmrtPack	pack;

	smrt_pack_init(&pack, model, smrt_span(NULL));
	return smrt_pack_closed_len(&pack);
}

void
smrt_rowset_add(SmrtRowset *set, const Datum *values, const bool *nulls)
{
	Step		step = {write_row,.set = set,.values = values,.nulls = nulls};

	if (set->n_rows == set->size)
	{
		set->size *= 2;
		set->rows = repalloc_huge(set->rows, set->size * sizeof(Row));
	}
	step.row = &set->rows[set->n_rows++];
	memset(step.row, 0, sizeof(Row));
	step.row->begin = set->cells.len;
	run(&step);
}

static void
write_row(Step *step)
{
	SmrtRowset *set = step->set;
	const SmrtModel *model = &set->model;
	MemoryContext before = MemoryContextSwitchTo(set->scratch);
	SmrtBuf		row;

	smrt_buf_init(&row, &smrt_alloc_palloc, model->max_bytes);
	step->row->skipped = !smrt_row_write(model, step->values, step->nulls, &row);
	if (!smrt_buf_ok(&row) || row.len + set->frame > model->max_bytes)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("model %s: a row alone is larger than a request may be",
						model->name),
				 errdetail("The option max_bytes permits %d bytes.",
						   model->max_bytes)));
	MemoryContextSwitchTo(set->context);
	if (!step->row->skipped)
		smrt_buf_append(&set->cells, row.data, row.len);
	step->row->len = set->cells.len - step->row->begin;
	MemoryContextSwitchTo(before);
	MemoryContextReset(set->scratch);
	if (!smrt_buf_ok(&set->cells))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("model %s: too many bytes in one set of rows",
						model->name)));
}

void
smrt_rowset_digest(const SmrtRowset *set, int i,
				   unsigned char digest[SMRT_SHA256_LEN])
{
	const Row  *row = &set->rows[i];

	if (!smrt_sha256(smrt_span_of(set->cells.data ? set->cells.data + row->begin : "",
								  row->len), digest))
		smrt_report_no_digest();
}

void
smrt_rowset_leave_out(SmrtRowset *set, int i)
{
	set->rows[i].left_out = true;
}

void
smrt_rowset_name_requests(SmrtRowset *set, const char *const *inference_ids)
{
	set->inference_ids = inference_ids;
}

void
smrt_rowset_send(SmrtRowset *set)
{
	(void) smrt_rowset_advance(set, set->n_rows);
}

int
smrt_rowset_advance(SmrtRowset *set, int n)
{
	MemoryContext before = MemoryContextSwitchTo(set->context);
	int			until = Min(set->n_known + n, set->n_rows);
	SmrtOutcome outcome;

	if (set->order == NULL)
		order_rows(set);
	while (set->n_known < until)
	{
		bool		wait = set->n_fed == set->n_rows || is_full(set);

		if (smrt_engine_next(set->engine, wait, &outcome))
			take(set, &set->rows[set->order[set->n_taken++]], &outcome);
		else
			feed(set, &set->rows[set->order[set->n_fed++]]);
		while (set->n_known < set->n_rows && set->rows[set->n_known].is_known)
			set->n_known++;
	}
	while (set->n_fed < set->n_rows && !is_full(set))
		feed(set, &set->rows[set->order[set->n_fed++]]);
	MemoryContextSwitchTo(before);
	return set->n_known;
}

static bool
is_full(const SmrtRowset *set)
{
	return smrt_engine_load(set->engine, 0) >= SMRT_LOAD_FULL;
}

/* The next row; the last one closes what is open. */
static void
feed(SmrtRowset *set, Row *row)
{
	bool		sent = !row->skipped && !row->left_out && row->failure == NULL;
	SmrtBuf    *body = smrt_engine_begin_row(set->engine);

	if (sent && set->ended_by != NULL)
	{
		row->failure = set->ended_by;
		sent = false;
	}
	if (sent)
	{
		smrt_buf_append(body, set->cells.data + row->begin, row->len);
		row->sent_at = GetCurrentTimestamp();
	}
	smrt_engine_end_row(set->engine, !sent);
	if (set->n_fed == set->n_rows)
		smrt_engine_finish(set->engine);
}

/*
 * In which order rows are sent: as they came, but with those together that have
 * equal shared values, of which the engine packs only some at a time.
 */
static void
order_rows(SmrtRowset *set)
{
	set->order = palloc_extended((set->n_rows + 1) * sizeof(int),
								 MCXT_ALLOC_HUGE);
	for (int i = 0; i < set->n_rows; i++)
		set->order[i] = i;
	if (set->model.n_shared > 0)
		qsort_arg(set->order, set->n_rows, sizeof(int), compare_shared, set);
	name_requests(set);
}

static int
compare_shared(const void *a, const void *b, void *arg)
{
	const SmrtRowset *set = arg;
	int			i = *(const int *) a;
	int			j = *(const int *) b;
	SmrtSpan	one = shared_of(set, i);
	SmrtSpan	other = shared_of(set, j);
	size_t		len = Min(one.len, other.len);
	int			result = len > 0 ? memcmp(one.data, other.data, len) : 0;

	if (result != 0)
		return result;
	if (one.len != other.len)
		return one.len < other.len ? -1 : 1;
	return i < j ? -1 : i > j;
}

static SmrtSpan
shared_of(const SmrtRowset *set, int i)
{
	const Row  *row = &set->rows[i];
	SmrtSpan	bytes = row->len == 0 ? smrt_span(NULL) :
		smrt_span_of(set->cells.data + row->begin, row->len);

	return smrt_row_take_shared(&set->model, &bytes);
}

static void
name_requests(SmrtRowset *set)
{
	const char **ids;

	if (set->inference_ids == NULL)
		return;
	ids = palloc_extended((set->n_rows + 1) * sizeof(char *), MCXT_ALLOC_HUGE);
	for (int i = 0; i < set->n_rows; i++)
		ids[i] = set->inference_ids[set->order[i]];
	smrt_engine_name_requests(set->engine, ids);
}

/* Keeps what the engine forgets with its next outcome. */
static void
take(SmrtRowset *set, Row *row, const SmrtOutcome *outcome)
{
	SmrtSpan	text;

	row->is_known = true;
	if (outcome->skipped)
		return;
	if (outcome->fault != NULL || outcome->problem != NULL)
	{
		row->failure = failure_of_outcome(&set->model, outcome);
		if (outcome->response != NULL)
			row->outcome.response = copy_response(outcome->response);
		if (row->failure->blame == SMRT_BLAME_ENDPOINT)
			set->ended_by = row->failure;
		return;
	}
	MemoryContextSwitchTo(set->scratch);
	text = smrt_piece_text(&outcome->piece);
	MemoryContextSwitchTo(set->answers);
	row->outcome = (SmrtOutcome) {
		.row = outcome->row,
		.response = copy_response(outcome->response),
		.piece = {.json = outcome->piece.json, .text = smrt_span_copy(text)},
	};
	MemoryContextSwitchTo(set->context);
	MemoryContextReset(set->scratch);
}

/* All but the body, of which each row has its piece. */
static SmrtResponse *
copy_response(const SmrtResponse *response)
{
	SmrtResponse *copy = palloc(sizeof(SmrtResponse));

	*copy = *response;
	copy->body = smrt_span("");
	*copy = smrt_response_copy(*copy);
	return copy;
}

void
smrt_rowset_forget(SmrtRowset *set)
{
	/* Some may be known that come after one that is not. */
	if (set->n_taken == set->n_known)
		MemoryContextReset(set->answers);
}

TimestampTz
smrt_rowset_sent_at(const SmrtRowset *set, int i)
{
	return set->rows[i].sent_at;
}

void
smrt_rowset_read(SmrtRowset *set, const SmrtModel *model, int i,
				 SmrtPrediction *prediction)
{
	Row		   *row = &set->rows[i];
	Step		step = {read_row,.set = set,.row = row,.model = model,
	.context = CurrentMemoryContext,.prediction = prediction};

	memset(prediction, 0, sizeof(*prediction));
	prediction->is_null = true;
	prediction->sent = !row->skipped && !row->left_out;
	if (prediction->sent && row->failure == NULL)
		run(&step);
	prediction->failure = row->failure;
	prediction->response = row->outcome.response;
}

static void
read_row(Step *step)
{
	SmrtModel	model = *step->model;
	MemoryContext before = MemoryContextSwitchTo(step->context);

	/* What does not fit is to be raised here, and to be caught by run(). */
	model.on_error = SMRT_ON_ERROR_ERROR;
	model.errors_are_data = false;
	step->prediction->value = smrt_predict_datum(&model, &step->row->outcome,
												 &step->prediction->is_null);
	MemoryContextSwitchTo(before);
}

/* Takes a step; an error that is about a value becomes the row's failure. */
static void
run(Step *step)
{
	SmrtRowset *set = step->set;
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	if (!set->isolate)
	{
		step->run(step);
		return;
	}
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		step->run(step);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(set->context);
		error = CopyErrorData();
		FlushErrorState();
		/* Whatever it is: the server takes what is left open for a savepoint. */
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(set->context);
		CurrentResourceOwner = owner;
		if (!smrt_report_is_of_row(error->sqlerrcode))
			ReThrowError(error);
		step->row->failure = smrt_failure_of_error(blame_of_error(step), error);
		if (step->row->outcome.response != NULL)
			step->row->failure->request_id =
				shown_id(step->row->outcome.response->request_id);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/* Another answer may be fit, unless the model says that there is no other. */
static SmrtBlame
blame_of_error(const Step *step)
{
	bool		of_answer = step->prediction != NULL;

	return of_answer && !step->set->model.deterministic ?
		SMRT_BLAME_MOMENT : SMRT_BLAME_ROW;
}

SmrtFailure *
smrt_failure_of_error(SmrtBlame blame, const ErrorData *error)
{
	SmrtFailure *failure = palloc0(sizeof(SmrtFailure));

	failure->blame = blame;
	failure->sqlstate = error->sqlerrcode;
	failure->message = error->message;
	failure->detail = error->detail;
	failure->hint = error->hint;
	return failure;
}

static SmrtFailure *
failure_of_outcome(const SmrtModel *model, const SmrtOutcome *outcome)
{
	SmrtFailure *failure = palloc0(sizeof(SmrtFailure));
	SmrtReportWords words;

	smrt_predict_words(model, outcome, &words);
	failure->is_loud = !smrt_predict_may_be_silent(model, outcome);
	failure->sqlstate = words.sqlstate;
	failure->message = words.message;
	failure->detail = words.detail;
	failure->hint = words.hint;
	if (outcome->fault != NULL)
	{
		failure->blame = smrt_blame(outcome->fault);
		failure->request_id = shown_id(outcome->fault->request_id);
	}
	else
	{
		failure->blame = model->deterministic ? SMRT_BLAME_ROW : SMRT_BLAME_MOMENT;
		failure->request_id = shown_id(outcome->response->request_id);
	}
	return failure;
}

static const char *
shown_id(SmrtSpan request_id)
{
	return request_id.len > 0 ? smrt_report_text(request_id, 100) : NULL;
}

void
smrt_prediction_settle(const SmrtModel *model, SmrtPrediction *prediction)
{
	const SmrtFailure *failure = prediction->failure;
	SmrtOnError on_error = smrt_model_on_error(model);
	SmrtOutcome outcome = {.response = prediction->response};
	SmrtFault	fault = {0};
	SmrtReportWords words;
	SmrtResult	result;

	if (failure == NULL)
		return;
	if (on_error == SMRT_ON_ERROR_ERROR ||
		(on_error == SMRT_ON_ERROR_NULL && failure->is_loud))
		smrt_failure_report(ERROR, failure);
	if (on_error == SMRT_ON_ERROR_WARNING)
		smrt_failure_report(WARNING, failure);
	words = (SmrtReportWords) {failure->sqlstate, failure->message,
		failure->detail, failure->hint
	};
	fault.request_id = smrt_span(failure->request_id);
	outcome.fault = &fault;
	smrt_result_of_failure(model, &outcome, &words, &result);
	prediction->value = result.datum;
	prediction->is_null = result.is_null;
	prediction->failure = NULL;
}

void
smrt_failure_report(int level, const SmrtFailure *failure)
{
	ereport(level,
			(errcode(failure->sqlstate),
			 errmsg_internal("%s", failure->message),
			 failure->detail ? errdetail_internal("%s", failure->detail) : 0,
			 failure->hint ? errhint("%s", failure->hint) : 0));
}
