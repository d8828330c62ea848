/*
 * The engine.  A batch's life:
 *
 *     open --full, or no more rows--> in flight --answer--> done --last row
 *                                         ^         |       handed out--> gone
 *                                         |         |
 *                                two halves --------+ one bad row, or too much
 *
 * A batch that failed as a whole is halved and sent again where that helps: one
 * that was too large or took the model too long, and, where a failed row is to
 * be NULL, one in which some row may be bad.  So the others get their answers.
 *
 * Batches stand in one list in row order.  Memory is bounded by the requests in
 * flight times the bytes of one, as long as the feeder reads when told that the
 * engine is full.
 */
#include "postgres.h"

#include "call/callset.h"
#include "model/engine.h"
#include "model/row.h"
#include "nodes/parsenodes.h"
#include "pg/alloc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* How much of an answer that does not fit is shown. */
#define SHOWN_BYTES 200

typedef struct RowPlace
{
	bool		skipped;
	size_t		begin;			/* what separates it from the one before, too */
	size_t		end;
} RowPlace;

typedef struct Batch
{
	dlist_node	node;
	MemoryContext context;		/* all of this is in it */
	SmrtBuf		body;
	int			n_sent;			/* rows that are in the body */
	int			n_rows;			/* with those that are skipped */
	int			size;			/* of the array below */
	RowPlace   *rows;			/* where in the body each row is */
	SmrtCall   *call;			/* in flight or done; NULL: nothing to send */
	bool		done;
	bool		fits;			/* the answer is split */
	SmrtAnswer	answer;
	SmrtError	error;			/* why it does not fit */
	int			next_row;
	int			next_piece;
} Batch;

typedef struct Frame
{
	const char *begin;			/* of the body */
	const char *between;		/* two rows */
	const char *end;
} Frame;

static const Frame frames[] = {
	[SMRT_FORMAT_CSV] = {"", "\n", "\n"},
	[SMRT_FORMAT_INSTANCES] = {"{\"instances\":[", ",", "]"},
	[SMRT_FORMAT_ARRAY] = {"[", ",", "]"},
	[SMRT_FORMAT_JSONLINES] = {"", "\n", "\n"},
	[SMRT_FORMAT_INPUTS] = {"{\"inputs\":[", ",", "]"},
	[SMRT_FORMAT_SINGLE] = {"", "", ""},
};

StaticAssertDecl(lengthof(frames) == SMRT_FORMAT_COUNT,
				 "every format needs a frame");

struct SmrtEngine
{
	MemoryContext context;
	const SmrtModel *model;
	SmrtCallSet *set;
	SmrtRequest request;		/* the same for all but the body */
	int			max_rows;		/* less than the model's after a halving */
	size_t		row_begin;		/* where the row being written began */
	SmrtEngineCounts *counts;
	int			n_in_flight;
	int			n_closed;		/* batches in the list but the open one */
	dlist_head	batches;		/* in row order; the last may be open */
	Batch	   *open;
	Batch	   *spent;			/* its last outcome may still be looked at */
};

static void fill_request(SmrtEngine *engine);
static void apply_limits(const SmrtModel *model, SmrtLimits *limits);
static void open_batch(SmrtEngine *engine);
static Batch *new_batch(SmrtEngine *engine);
static void split_off_last_row(SmrtEngine *engine);
static void add_row(Batch *batch, bool skip, size_t begin);
static void close_batch(SmrtEngine *engine);
static void send_batch(SmrtEngine *engine, Batch *batch);
static size_t end_len(const SmrtEngine *engine);
static void wait_for_one(SmrtEngine *engine);
static void settle(SmrtEngine *engine, Batch *batch);
static bool worth_halving(const SmrtEngine *engine, const Batch *batch);
static bool took_too_long(const SmrtFault *fault);
static void halve(SmrtEngine *engine, Batch *batch);
static Batch *copy_rows(SmrtEngine *engine, const Batch *batch, int from,
						int to);
static void drop_batch(SmrtEngine *engine, Batch *batch);
static void fill_outcome(Batch *batch, SmrtOutcome *outcome);

SmrtEngine *
smrt_engine_create(const SmrtModel *model, SmrtEngineCounts *counts)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "sagemaker_rt engine",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	SmrtTarget *target = smrt_target_get(model->server);
	SmrtLimits	limits = target->limits;
	SmrtEngine *engine = palloc0(sizeof(SmrtEngine));

	apply_limits(model, &limits);
	engine->counts = counts ? counts : palloc0(sizeof(SmrtEngineCounts));
	engine->context = context;
	engine->model = model;
	engine->max_rows = model->format == SMRT_FORMAT_SINGLE ? 1 : model->max_rows;
	engine->set = smrt_callset_create(target, &limits);
	dlist_init(&engine->batches);
	fill_request(engine);
	MemoryContextSwitchTo(before);
	return engine;
}

void
smrt_engine_delete(SmrtEngine *engine)
{
	MemoryContextDelete(engine->context);
}

static void
fill_request(SmrtEngine *engine)
{
	const SmrtModel *model = engine->model;
	SmrtRequest *request = &engine->request;

	request->endpoint = smrt_span(model->endpoint);
	for (int i = 0; i < SMRT_MEMBER_COUNT; i++)
		request->members[i] = smrt_span(model->members[i]);
	if (model->members[SMRT_MEMBER_CONTENT_TYPE] == NULL)
		request->members[SMRT_MEMBER_CONTENT_TYPE] =
			smrt_span(smrt_model_content_type(model));
	if (model->members[SMRT_MEMBER_ACCEPT] == NULL)
		request->members[SMRT_MEMBER_ACCEPT] =
			smrt_span(smrt_model_accept(model));
	smrt_request_require(request);
}

/* The validator has seen them. */
static void
apply_limits(const SmrtModel *model, SmrtLimits *limits)
{
	ListCell   *cell;

	foreach(cell, model->limits)
	{
		DefElem    *limit = lfirst(cell);
		SmrtError	error;
		bool		known;

		(void) smrt_limits_set(limits, limit->defname, strVal(limit->arg),
							   &known, &error);
	}
}

SmrtBuf *
smrt_engine_begin_row(SmrtEngine *engine)
{
	Batch	   *batch;

	if (engine->open == NULL)
		open_batch(engine);
	batch = engine->open;
	engine->row_begin = batch->body.len;
	if (batch->n_sent > 0)
		smrt_buf_append_string(&batch->body,
							   frames[engine->model->format].between);
	return &batch->body;
}

void
smrt_engine_end_row(SmrtEngine *engine, bool skip)
{
	Batch	   *batch = engine->open;

	if (skip)
		batch->body.len = engine->row_begin;
	else if (batch->body.len + end_len(engine) > engine->model->max_bytes ||
			 !smrt_buf_ok(&batch->body))
		split_off_last_row(engine);
	add_row(engine->open, skip, engine->row_begin);
	engine->counts->rows += !skip;
	engine->counts->skipped += skip;
	if (engine->open->n_sent >= engine->max_rows)
		close_batch(engine);
}

void
smrt_engine_finish(SmrtEngine *engine)
{
	if (engine->open != NULL)
		close_batch(engine);
}

bool
smrt_engine_is_full(const SmrtEngine *engine)
{
	return engine->n_closed >= engine->model->concurrency;
}

bool
smrt_engine_next(SmrtEngine *engine, bool wait, SmrtOutcome *outcome)
{
	Batch	   *batch;

	if (engine->spent != NULL)
		drop_batch(engine, engine->spent);
	engine->spent = NULL;
	/* Waiting may put two batches in the place of the oldest. */
	for (;;)
	{
		if (dlist_is_empty(&engine->batches))
			return false;
		batch = dlist_container(Batch, node, dlist_head_node(&engine->batches));
		if (batch->done)
			break;
		if (batch == engine->open || !wait)
			return false;
		wait_for_one(engine);
	}
	fill_outcome(batch, outcome);
	if (++batch->next_row == batch->n_rows)
		engine->spent = batch;
	return true;
}

static void
fill_outcome(Batch *batch, SmrtOutcome *outcome)
{
	memset(outcome, 0, sizeof(*outcome));
	outcome->skipped = batch->rows[batch->next_row].skipped;
	if (outcome->skipped)
		return;
	outcome->row = batch->next_piece++;
	outcome->report = &batch->call->report;
	if (batch->call->reply.fault.kind != SMRT_FAULT_NONE)
	{
		outcome->fault = &batch->call->reply.fault;
		return;
	}
	outcome->answer = batch->call->reply.response.body;
	outcome->answer.len = Min(outcome->answer.len, SHOWN_BYTES);
	outcome->request_id = batch->call->reply.response.request_id;
	if (batch->fits)
	{
		outcome->json = batch->answer.json;
		outcome->piece = batch->answer.pieces[outcome->row];
	}
	else
		outcome->problem = batch->error.text;
}

static void
open_batch(SmrtEngine *engine)
{
	engine->open = new_batch(engine);
	dlist_push_tail(&engine->batches, &engine->open->node);
}

static Batch *
new_batch(SmrtEngine *engine)
{
	const SmrtModel *model = engine->model;
	MemoryContext context = AllocSetContextCreate(engine->context,
												  "sagemaker_rt batch",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	Batch	   *batch = palloc0(sizeof(Batch));

	batch->context = context;
	batch->size = 16;
	batch->rows = palloc(batch->size * sizeof(RowPlace));
	/* One row may be larger than a request before it is refused. */
	smrt_buf_init(&batch->body, &smrt_alloc_palloc, MaxAllocSize - 1);
	smrt_buf_append_string(&batch->body, frames[model->format].begin);
	if (model->header)
	{
		smrt_row_write_header(model, &batch->body);
		smrt_buf_append_char(&batch->body, '\n');
	}
	MemoryContextSwitchTo(before);
	return batch;
}

/* The row just written is one too many: it begins a request of its own. */
static void
split_off_last_row(SmrtEngine *engine)
{
	Batch	   *full = engine->open;
	size_t		begin = engine->row_begin;

	if (full->n_sent > 0)
	{
		SmrtSpan	row;

		begin += strlen(frames[engine->model->format].between);
		row = smrt_span_of(full->body.data + begin, full->body.len - begin);
		open_batch(engine);
		smrt_buf_append_span(smrt_engine_begin_row(engine), row);
		full->body.len = full->rows[full->n_rows - 1].end;
		send_batch(engine, full);
	}
	if (engine->open->body.len + end_len(engine) > engine->model->max_bytes)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("model %s: a row alone is larger than a request may be",
						engine->model->name),
				 errdetail("It makes a body of %zu bytes, the option max_bytes permits %d.",
						   engine->open->body.len + end_len(engine),
						   engine->model->max_bytes)));
}

static void
add_row(Batch *batch, bool skip, size_t begin)
{
	if (batch->n_rows == batch->size)
	{
		batch->size *= 2;
		batch->rows = repalloc(batch->rows, batch->size * sizeof(RowPlace));
	}
	batch->rows[batch->n_rows++] = (RowPlace) {skip, begin, batch->body.len};
	batch->n_sent += !skip;
}

static size_t
end_len(const SmrtEngine *engine)
{
	const SmrtModel *model = engine->model;

	return strlen(frames[model->format].end) +
		(model->constant ? strlen(model->constant) + 2 : 1);
}

static void
close_batch(SmrtEngine *engine)
{
	Batch	   *batch = engine->open;

	engine->open = NULL;
	send_batch(engine, batch);
}

/* Ends the body and sends it, as soon as not too many are in flight. */
static void
send_batch(SmrtEngine *engine, Batch *batch)
{
	const SmrtModel *model = engine->model;
	SmrtRequest request = engine->request;

	engine->n_closed++;
	if (batch->n_sent == 0)
	{
		batch->done = true;
		return;
	}
	smrt_buf_append_string(&batch->body, frames[model->format].end);
	if (model->format == SMRT_FORMAT_INSTANCES ||
		model->format == SMRT_FORMAT_INPUTS)
	{
		if (model->constant != NULL && model->constant[0] != '\0')
		{
			smrt_buf_append_char(&batch->body, ',');
			smrt_buf_append_string(&batch->body, model->constant);
		}
		smrt_buf_append_char(&batch->body, '}');
	}
	while (engine->n_in_flight >= model->concurrency)
		wait_for_one(engine);
	request.body = smrt_buf_span(&batch->body);
	batch->call = smrt_callset_submit(engine->set, &request);
	engine->n_in_flight++;
	smrt_callset_start(engine->set);
}

static void
wait_for_one(SmrtEngine *engine)
{
	SmrtCall   *call = smrt_callset_wait(engine->set);
	dlist_iter	iter;

	if (call == NULL)
		elog(ERROR, "no call is in flight");
	engine->n_in_flight--;
	dlist_foreach(iter, &engine->batches)
	{
		Batch	   *batch = dlist_container(Batch, node, iter.cur);

		if (batch->call != call)
			continue;
		settle(engine, batch);
		return;
	}
}

static void
settle(SmrtEngine *engine, Batch *batch)
{
	SmrtEngineCounts *counts = engine->counts;

	counts->requests++;
	counts->retries += Max(0, batch->call->report.attempts - 1);
	counts->bytes_out += batch->body.len;
	counts->bytes_in += batch->call->reply.response.body.len;
	if (batch->call->reply.fault.kind == SMRT_FAULT_NONE)
	{
		MemoryContext before = MemoryContextSwitchTo(batch->context);

		batch->fits = smrt_answer_split(engine->model,
										&batch->call->reply.response,
										batch->n_sent, &batch->answer,
										&batch->error);
		MemoryContextSwitchTo(before);
	}
	if (batch->n_sent > 1 && worth_halving(engine, batch))
		halve(engine, batch);
	else
		batch->done = true;
}

static bool
worth_halving(const SmrtEngine *engine, const Batch *batch)
{
	const SmrtFault *fault = &batch->call->reply.fault;

	if (fault->kind == SMRT_FAULT_TOO_LARGE || took_too_long(fault))
		return true;
	if (engine->model->on_error == SMRT_ON_ERROR_ERROR)
		return false;
	/* The container, not the service, found fault with what it got. */
	return fault->kind == SMRT_FAULT_MODEL ||
		(fault->kind == SMRT_FAULT_NONE && !batch->fits);
}

/* The service's words for a model that gave no answer within its 60 s. */
static bool
took_too_long(const SmrtFault *fault)
{
	static const char words[] = "timed out";
	SmrtSpan	text = fault->text;

	if (fault->kind != SMRT_FAULT_MODEL)
		return false;
	for (size_t i = 0; i + strlen(words) <= text.len; i++)
		if (memcmp(text.data + i, words, strlen(words)) == 0)
			return true;
	return false;
}

/* Two batches take the place of one. */
static void
halve(SmrtEngine *engine, Batch *batch)
{
	int			middle = batch->n_rows / 2;
	Batch	   *second = copy_rows(engine, batch, middle, batch->n_rows);
	Batch	   *first = copy_rows(engine, batch, 0, middle);
	const SmrtFault *fault = &batch->call->reply.fault;

	engine->counts->rows_again += batch->n_sent;
	/* What was too much once is too much again. */
	if (fault->kind == SMRT_FAULT_TOO_LARGE || took_too_long(fault))
		engine->max_rows = Max(1, Min(engine->max_rows, batch->n_sent / 2));
	dlist_insert_after(&batch->node, &second->node);
	dlist_insert_after(&batch->node, &first->node);
	drop_batch(engine, batch);
	send_batch(engine, first);
	send_batch(engine, second);
}

static Batch *
copy_rows(SmrtEngine *engine, const Batch *batch, int from, int to)
{
	Batch	   *copy = new_batch(engine);
	size_t		between = strlen(frames[engine->model->format].between);
	bool		first_sent = true;

	for (int i = 0; i < from; i++)
		first_sent = first_sent && batch->rows[i].skipped;
	for (int i = from; i < to; i++)
	{
		RowPlace	place = batch->rows[i];
		size_t		begin = copy->body.len;

		if (!place.skipped)
		{
			/* The body's very first row has nothing before it. */
			if (!first_sent)
				place.begin += between;
			first_sent = false;
			if (copy->n_sent > 0)
				smrt_buf_append_string(&copy->body,
									   frames[engine->model->format].between);
			smrt_buf_append(&copy->body, batch->body.data + place.begin,
							place.end - place.begin);
		}
		add_row(copy, place.skipped, begin);
	}
	return copy;
}

static void
drop_batch(SmrtEngine *engine, Batch *batch)
{
	engine->n_closed--;
	dlist_delete(&batch->node);
	if (batch->call != NULL)
		smrt_call_release(batch->call);
	MemoryContextDelete(batch->context);
}
