/*
 * The engine.  A batch's life:
 *
 *     open --full, or no more rows--> in flight --answer--> done --last row
 *                                         ^         |       handed out--> gone
 *                                         |         |
 *                                two halves --------+ one bad row, or too much
 *                               with a copy --------+ one row was too few
 *                             with its fault -------+ a message that does not fit
 *
 * A batch that failed as a whole is halved and sent again where that helps: one
 * that was too large or took the model too long, and, where a failed row is to
 * be NULL, one in which some row may be bad.  So the others get their answers.
 * A row alone is sent again with a copy where the container may want two, and a
 * language model is told once what is wrong with its answer.
 *
 * Batches stand in one list in row order.  Memory is bounded by the requests in
 * flight times the bytes of one, as long as the feeder reads when told that the
 * engine is full.
 */
#include "postgres.h"

#include "call/callset.h"
#include "model/engine.h"
#include "model/message.h"
#include "model/modelrequest.h"
#include "model/pack.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

typedef struct Batch
{
	dlist_node	node;
	MemoryContext context;		/* all of this is in it */
	SmrtPack	pack;
	SmrtCall   *call;			/* in flight or done; NULL: nothing to send */
	bool		done;
	bool		is_second;		/* sent once more after a stumble */
	bool		fits;			/* the answer is split */
	SmrtAnswer	answer;
	SmrtError	error;			/* why it does not fit */
	int64		first_row;		/* its number among all of the engine */
	int			next_row;
} Batch;

struct SmrtEngine
{
	MemoryContext context;
	const SmrtModel *model;
	SmrtCallSet *set;
	SmrtRequest request;		/* the same for all but the body */
	int			min_rows;		/* more than the model's after a stumble */
	const char *const *inference_ids;	/* by row, or NULL */
	int64		n_rows;			/* that are complete */
	int			max_rows;		/* less than the model's after a halving */
	SmrtEngineCounts *counts;
	int			n_in_flight;
	int			n_closed;		/* batches in the list but the open one */
	dlist_head	batches;		/* in row order; the last may be open */
	Batch	   *open;
	Batch	   *spent;			/* its last outcome may still be looked at */
};

static SmrtCallSet *create_set(const SmrtModel *model);
static void open_batch(SmrtEngine *engine);
static Batch *new_batch(SmrtEngine *engine);
static void open_batch_for_last_row(SmrtEngine *engine);
static void close_batch(SmrtEngine *engine);
static void send_batch(SmrtEngine *engine, Batch *batch);
static void wait_for_one(SmrtEngine *engine);
static void settle(SmrtEngine *engine, Batch *batch);
static void count_tokens(SmrtEngineCounts *counts, const SmrtAnswer *answer);
static bool worth_halving(const SmrtEngine *engine, const Batch *batch);
static bool stumbled(const SmrtEngine *engine, const Batch *batch);
static void send_padded(SmrtEngine *engine, Batch *batch);
static bool is_repairable(const SmrtEngine *engine, const Batch *batch);
static void send_repair(SmrtEngine *engine, Batch *batch);
static void send_instead(SmrtEngine *engine, Batch *batch, Batch *again);
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
	SmrtEngine *engine = palloc0(sizeof(SmrtEngine));

	engine->counts = counts ? counts : palloc0(sizeof(SmrtEngineCounts));
	engine->context = context;
	engine->model = model;
	engine->min_rows = model->min_rows;
	engine->max_rows = model->max_rows;
	engine->set = create_set(model);
	dlist_init(&engine->batches);
	smrt_modelrequest_fill(model, &engine->request);
	MemoryContextSwitchTo(before);
	return engine;
}

void
smrt_engine_delete(SmrtEngine *engine)
{
	MemoryContextDelete(engine->context);
}

/* Of calls for the current role. */
static SmrtCallSet *
create_set(const SmrtModel *model)
{
	SmrtLimits	limits;
	SmrtTarget *target = smrt_modelrequest_target(model, &limits);

	return smrt_callset_create(target, &limits);
}

void
smrt_engine_change_role(SmrtEngine *engine)
{
	MemoryContext before = MemoryContextSwitchTo(engine->context);

	smrt_engine_finish(engine);
	while (engine->n_in_flight > 0)
		wait_for_one(engine);
	/* The old set goes with the engine: answers of its calls may be unread. */
	engine->set = create_set(engine->model);
	MemoryContextSwitchTo(before);
}

void
smrt_engine_name_requests(SmrtEngine *engine, const char *const *inference_ids)
{
	if (smrt_span_absent(engine->request.members[SMRT_MEMBER_INFERENCE_ID]))
		engine->inference_ids = inference_ids;
}

SmrtBuf *
smrt_engine_begin_row(SmrtEngine *engine)
{
	if (engine->open == NULL)
		open_batch(engine);
	return smrt_pack_begin_row(&engine->open->pack);
}

void
smrt_engine_end_row(SmrtEngine *engine, bool skip)
{
	SmrtPacked	packed = smrt_pack_end_row(&engine->open->pack, skip);

	if (packed == SMRT_PACKED_NOT)
		open_batch_for_last_row(engine);
	engine->counts->skipped += packed == SMRT_PACKED_SKIPPED;
	engine->counts->merged += packed == SMRT_PACKED_WITH_EQUAL;
	engine->counts->rows += packed == SMRT_PACKED || packed == SMRT_PACKED_NOT;
	engine->n_rows++;
	if (smrt_pack_is_full(&engine->open->pack, engine->max_rows))
		close_batch(engine);
}

/* The row just written was too much for the open batch. */
static void
open_batch_for_last_row(SmrtEngine *engine)
{
	Batch	   *full = engine->open;

	if (full->pack.n_pieces > 0)
	{
		open_batch(engine);
		smrt_pack_move_row(&full->pack, &engine->open->pack);
		send_batch(engine, full);
		if (smrt_pack_end_row(&engine->open->pack, false) != SMRT_PACKED_NOT)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("model %s: a row alone is larger than a request may be",
					engine->model->name),
			 errdetail("It makes a body of %zu bytes, the option max_bytes permits %d.",
					   smrt_pack_closed_len(&engine->open->pack),
					   engine->model->max_bytes)));
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
	int			n_read_out = engine->spent != NULL ? 1 : 0;

	return engine->n_closed - n_read_out >= engine->model->concurrency;
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
	if (++batch->next_row == batch->pack.n_rows)
		engine->spent = batch;
	return true;
}

static void
fill_outcome(Batch *batch, SmrtOutcome *outcome)
{
	const SmrtPackRow *row = &batch->pack.rows[batch->next_row];

	memset(outcome, 0, sizeof(*outcome));
	outcome->skipped = row->skipped;
	if (outcome->skipped)
		return;
	outcome->row = row->piece;
	outcome->report = &batch->call->report;
	if (batch->call->reply.fault.kind != SMRT_FAULT_NONE)
	{
		outcome->fault = &batch->call->reply.fault;
		return;
	}
	outcome->response = &batch->call->reply.response;
	if (batch->fits)
		outcome->piece = smrt_answer_piece(&batch->answer, outcome->row);
	else
		outcome->problem = batch->error.text;
}

static void
open_batch(SmrtEngine *engine)
{
	engine->open = new_batch(engine);
	engine->open->first_row = engine->n_rows;
	dlist_push_tail(&engine->batches, &engine->open->node);
}

static Batch *
new_batch(SmrtEngine *engine)
{
	MemoryContext context = AllocSetContextCreate(engine->context,
												  "sagemaker_rt batch",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	Batch	   *batch = palloc0(sizeof(Batch));

	batch->context = context;
	smrt_pack_init(&batch->pack, engine->model);
	MemoryContextSwitchTo(before);
	return batch;
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
	SmrtRequest request = engine->request;

	engine->n_closed++;
	if (batch->pack.n_pieces == 0)
	{
		batch->done = true;
		return;
	}
	smrt_pack_close(&batch->pack, engine->min_rows);
	while (engine->n_in_flight >= engine->model->concurrency)
		wait_for_one(engine);
	request.body = smrt_buf_span(&batch->pack.body);
	if (engine->inference_ids != NULL)
		request.members[SMRT_MEMBER_INFERENCE_ID] =
			smrt_span(engine->inference_ids[batch->first_row]);
	request.rows = batch->pack.n_pieces;
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

void
smrt_engine_counts_add(SmrtEngineCounts *counts, const SmrtEngineCounts *more)
{
	if (more->requests > 0)
		counts->min_time_us = counts->requests == 0 ? more->min_time_us :
			Min(counts->min_time_us, more->min_time_us);
	counts->max_time_us = Max(counts->max_time_us, more->max_time_us);
	counts->time_us += more->time_us;
	counts->rows += more->rows;
	counts->skipped += more->skipped;
	counts->merged += more->merged;
	counts->requests += more->requests;
	counts->retries += more->retries;
	counts->failed += more->failed;
	counts->rows_again += more->rows_again;
	counts->repairs += more->repairs;
	counts->token_answers += more->token_answers;
	counts->input_tokens += more->input_tokens;
	counts->output_tokens += more->output_tokens;
	counts->bytes_out += more->bytes_out;
	counts->bytes_in += more->bytes_in;
}

void
smrt_engine_count_call(SmrtEngineCounts *counts, const SmrtCall *call)
{
	int64		time_us = call->report.elapsed_us;

	counts->min_time_us = counts->requests == 0 ? time_us :
		Min(counts->min_time_us, time_us);
	counts->max_time_us = Max(counts->max_time_us, time_us);
	counts->time_us += time_us;
	counts->requests++;
	counts->retries += Max(0, call->report.attempts - 1);
	counts->bytes_in += call->reply.response.body.len;
}

static void
settle(SmrtEngine *engine, Batch *batch)
{
	smrt_engine_count_call(engine->counts, batch->call);
	engine->counts->bytes_out += batch->pack.body.len;
	if (batch->call->reply.fault.kind == SMRT_FAULT_NONE)
	{
		MemoryContext before = MemoryContextSwitchTo(batch->context);

		batch->fits = smrt_answer_split(engine->model,
										&batch->call->reply.response,
										batch->pack.n_sent, &batch->answer,
										&batch->error);
		batch->answer.fault.request_id = batch->call->reply.response.request_id;
		MemoryContextSwitchTo(before);
		count_tokens(engine->counts, &batch->answer);
		if (!batch->fits && batch->answer.fault.kind != SMRT_FAULT_NONE)
			(void) smrt_call_fail(batch->call, &batch->answer.fault, false);
	}
	/* It was no use. */
	if (batch->is_second && !batch->fits)
		engine->min_rows = engine->model->min_rows;
	if (stumbled(engine, batch))
		send_padded(engine, batch);
	else if (is_repairable(engine, batch))
		send_repair(engine, batch);
	else if (batch->pack.n_pieces > 1 && worth_halving(engine, batch))
		halve(engine, batch);
	else
		batch->done = true;
}

/* They are paid for, whether the answer is fit or not. */
static void
count_tokens(SmrtEngineCounts *counts, const SmrtAnswer *answer)
{
	if (!answer->has_tokens)
		return;
	counts->token_answers++;
	counts->input_tokens += answer->input_tokens;
	counts->output_tokens += answer->output_tokens;
}

static bool
worth_halving(const SmrtEngine *engine, const Batch *batch)
{
	const SmrtFault *fault = &batch->call->reply.fault;

	if (fault->kind == SMRT_FAULT_TOO_LARGE || smrt_fault_is_slow_model(fault))
		return true;
	if (smrt_model_on_error(engine->model) == SMRT_ON_ERROR_ERROR)
		return false;
	/* The container, not the service, found fault with what it got. */
	return fault->kind == SMRT_FAULT_MODEL ||
		(fault->kind == SMRT_FAULT_NONE && !batch->fits);
}

/*
 * Containers of scikit-learn that take a line of CSV alone for a vector break over
 * it, where two lines are a matrix.  A row that is to blame itself is told from it
 * by the status: it is the client's error then.
 */
static bool
stumbled(const SmrtEngine *engine, const Batch *batch)
{
	const SmrtFault *fault = &batch->call->reply.fault;

	return engine->model->format == SMRT_FORMAT_CSV && !batch->is_second &&
		batch->pack.n_sent == 1 && fault->kind == SMRT_FAULT_MODEL &&
		fault->original_status >= 500 && !smrt_fault_is_slow_model(fault);
}

/* The row once more, with a copy of itself; so are those that come alone after it. */
static void
send_padded(SmrtEngine *engine, Batch *batch)
{
	Batch	   *again = copy_rows(engine, batch, 0, batch->pack.n_rows);

	engine->min_rows = Max(engine->min_rows, 2);
	send_instead(engine, batch, again);
}

static bool
is_repairable(const SmrtEngine *engine, const Batch *batch)
{
	return engine->model->repair && !batch->is_second &&
		batch->answer.fault.kind == SMRT_FAULT_OUTSIDE &&
		batch->pack.body.len + strlen(batch->answer.message) <= engine->model->max_bytes;
}

/* A second fault stays. */
static void
send_repair(SmrtEngine *engine, Batch *batch)
{
	Batch	   *again = copy_rows(engine, batch, 0, batch->pack.n_rows);

	smrt_message_append_repair(engine->model, &batch->answer, &again->pack.body);
	engine->counts->repairs++;
	send_instead(engine, batch, again);
}

static void
send_instead(SmrtEngine *engine, Batch *batch, Batch *again)
{
	engine->counts->rows_again += batch->pack.n_pieces;
	again->is_second = true;
	dlist_insert_after(&batch->node, &again->node);
	drop_batch(engine, batch);
	send_batch(engine, again);
}

/* Two batches take the place of one. */
static void
halve(SmrtEngine *engine, Batch *batch)
{
	int			middle = batch->pack.n_rows / 2;
	Batch	   *second = copy_rows(engine, batch, middle, batch->pack.n_rows);
	Batch	   *first = copy_rows(engine, batch, 0, middle);
	const SmrtFault *fault = &batch->call->reply.fault;

	engine->counts->rows_again += batch->pack.n_pieces;
	/* What was too much once is too much again. */
	if (fault->kind == SMRT_FAULT_TOO_LARGE || smrt_fault_is_slow_model(fault))
		engine->max_rows = Max(1, Min(engine->max_rows, batch->pack.n_pieces / 2));
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

	copy->first_row = batch->first_row + from;
	for (int i = from; i < to; i++)
		smrt_pack_copy_row(&batch->pack, i, &copy->pack);
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
