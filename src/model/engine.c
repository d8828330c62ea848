/*
 * The engine.  A batch's life:
 *
 *     open --full, or no more rows--> in flight --answer--> done --last row
 *                                         ^         |       handed out--> kept
 *                                         |         |              or gone
 *                                two halves --------+ one bad row, or too much
 *                               with a copy --------+ one row was too few
 *                             with its fault -------+ a message that does not fit
 *
 * Rows stand in a ring in their order, each with its place in a batch.  Equal
 * rows of a deterministic model have the same place, as long as its batch is there:
 * reuse.c.  Where arguments are shared there is an open batch for each of their
 * values that came last.
 *
 * Memory is bounded by the requests open and in flight times the bytes of one, as
 * long as the feeder reads when told that the engine is full, and by what is kept.
 */
#include "postgres.h"

#include "call/callset.h"
#include "model/again.h"
#include "model/batch.h"
#include "model/engine.h"
#include "model/message.h"
#include "model/modelrequest.h"
#include "model/places.h"
#include "model/reuse.h"
#include "model/row.h"
#include "pg/alloc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

struct SmrtEngine
{
	MemoryContext context;
	const SmrtModel *model;
	SmrtCallSet *set;
	SmrtRequest request;		/* the same for all but the body */
	int			min_rows;		/* more than the model's after a stumble */
	const char *const *inference_ids;	/* by row, or NULL */
	SmrtPlaces	places;			/* of rows that are complete */
	int			max_rows;		/* less than the model's after a halving */
	SmrtEngineCounts *counts;
	int			n_in_flight;
	int			n_unread;		/* batches */
	int			most_rows;		/* of one that was sent */
	SmrtBuf		bytes;			/* of the row being written */
	dlist_head	batches;		/* all but those that are kept */
	List	   *open;			/* of them, the oldest first */
	SmrtReuse  *reuse;			/* NULL: no equal row can have come */
	SmrtBatch *spent;			/* its last outcome may still be looked at */
};

static SmrtCallSet *create_set(const SmrtModel *model);
static SmrtBatch *find_equal(SmrtEngine *engine, uint32 hash, SmrtSpan shared,
							 SmrtSpan bytes, int *i);
static SmrtBatch *pack_row(SmrtEngine *engine, uint32 hash, SmrtSpan shared,
						   SmrtSpan bytes);
static SmrtBatch *open_batch_for(SmrtEngine *engine, SmrtSpan shared);
static void add_row(SmrtEngine *engine, SmrtBatch *batch, int i);
static void release_spent(SmrtEngine *engine);
static void free_kept(SmrtEngine *engine, size_t permitted);
static SmrtBatch *new_batch(SmrtEngine *engine, SmrtSpan shared);
static void close_batch(SmrtEngine *engine, SmrtBatch *batch);
static void send_batch(SmrtEngine *engine, SmrtBatch *batch);
static void wait_for_one(SmrtEngine *engine);
static void settle(SmrtEngine *engine, SmrtBatch *batch);
static void send_padded(SmrtEngine *engine, SmrtBatch *batch);
static void send_repair(SmrtEngine *engine, SmrtBatch *batch);
static void halve(SmrtEngine *engine, SmrtBatch *batch);
static SmrtBatch *copy_rows(SmrtEngine *engine, const SmrtBatch *batch,
							int from, int to);
static void send_instead(SmrtEngine *engine, SmrtBatch *batch,
						 SmrtBatch *first, SmrtBatch *second);
static void enter_rows(SmrtEngine *engine, SmrtBatch *batch);
static void drop_batch(SmrtEngine *engine, SmrtBatch *batch);
static void free_batch(SmrtEngine *engine, SmrtBatch *batch);

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
	/* It is here, and not where rows are written, that it begins to grow. */
	smrt_buf_init(&engine->bytes, &smrt_alloc_palloc, MaxAllocSize - 1);
	(void) smrt_buf_reserve(&engine->bytes, 1024);
	smrt_places_init(&engine->places);
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
	/* What another role was told is not for this one: the new table is empty. */
	if (engine->reuse != NULL)
		free_kept(engine, 0);
	if (engine->model->deterministic)
		engine->reuse = smrt_reuse_create();
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
	smrt_buf_reset(&engine->bytes);
	return &engine->bytes;
}

void
smrt_engine_end_row(SmrtEngine *engine, bool skip)
{
	SmrtSpan	bytes = smrt_buf_span(&engine->bytes);
	SmrtSpan	shared = smrt_row_take_shared(engine->model, &bytes);
	SmrtBatch  *batch = NULL;
	int			i = 0;

	if (skip)
		engine->counts->skipped++;
	else
	{
		uint32		hash = engine->model->deterministic ?
			smrt_reuse_hash(shared, bytes) : 0;

		batch = find_equal(engine, hash, shared, bytes, &i);
		engine->counts->merged += batch != NULL;
		engine->counts->rows += batch == NULL;
		if (batch == NULL)
		{
			batch = pack_row(engine, hash, shared, bytes);
			i = batch->pack.n_rows - 1;
		}
	}
	add_row(engine, batch, i);
	if (batch != NULL && list_member_ptr(engine->open, batch) &&
		batch->pack.n_rows >= engine->max_rows)
		close_batch(engine, batch);
}

/*
 * What failed may succeed if it is sent again.  The table is made when there is a
 * row that another one may be equal to: who predicts one row needs none.
 */
static SmrtBatch *
find_equal(SmrtEngine *engine, uint32 hash, SmrtSpan shared, SmrtSpan bytes,
		   int *i)
{
	SmrtBatch  *batch;
	MemoryContext before;
	dlist_iter	iter;

	if (engine->reuse == NULL)
	{
		if (!engine->model->deterministic || dlist_is_empty(&engine->batches))
			return NULL;
		before = MemoryContextSwitchTo(engine->context);
		engine->reuse = smrt_reuse_create();
		MemoryContextSwitchTo(before);
		dlist_foreach(iter, &engine->batches)
			enter_rows(engine, dlist_container(SmrtBatch, node, iter.cur));
	}
	batch = smrt_reuse_find(engine->reuse, hash, shared, bytes, i);
	return batch != NULL && (!batch->done || batch->fits) ? batch : NULL;
}

static SmrtBatch *
pack_row(SmrtEngine *engine, uint32 hash, SmrtSpan shared, SmrtSpan bytes)
{
	SmrtBatch  *batch = open_batch_for(engine, shared);

	if (!smrt_pack_add(&batch->pack, bytes, hash))
	{
		if (batch->pack.n_rows > 0)
		{
			close_batch(engine, batch);
			batch = open_batch_for(engine, shared);
		}
		if (!smrt_buf_ok(&engine->bytes) || !smrt_pack_add(&batch->pack, bytes, hash))
			smrt_pack_refuse(&batch->pack, bytes.len);
	}
	batch->pack.rows[batch->pack.n_rows - 1].number = engine->places.end;
	if (engine->reuse != NULL)
		smrt_reuse_enter(engine->reuse, batch, batch->pack.n_rows - 1);
	return batch;
}

/* As many are open at most as may be in flight. */
static SmrtBatch *
open_batch_for(SmrtEngine *engine, SmrtSpan shared)
{
	SmrtBatch  *batch;
	MemoryContext before;
	ListCell   *cell;

	foreach(cell, engine->open)
	{
		batch = lfirst(cell);
		if (smrt_span_equal(batch->pack.shared, shared))
			return batch;
	}
	if (list_length(engine->open) >= engine->model->concurrency)
		close_batch(engine, linitial(engine->open));
	batch = new_batch(engine, shared);
	dlist_push_tail(&engine->batches, &batch->node);
	before = MemoryContextSwitchTo(engine->context);
	engine->open = lappend(engine->open, batch);
	MemoryContextSwitchTo(before);
	return batch;
}

static void
add_row(SmrtEngine *engine, SmrtBatch *batch, int i)
{
	smrt_places_add(&engine->places, batch, i);
	if (batch == NULL)
		return;
	batch->n_waiting++;
	if (batch->is_kept)
	{
		smrt_reuse_take(engine->reuse, batch);
		dlist_push_tail(&engine->batches, &batch->node);
	}
}

void
smrt_engine_finish(SmrtEngine *engine)
{
	while (engine->open != NIL)
		close_batch(engine, linitial(engine->open));
}

SmrtEngineLoad
smrt_engine_load(const SmrtEngine *engine, int n_held)
{
	if (engine->n_unread >= engine->model->concurrency)
		return smrt_engine_counts_are_much(engine->counts, engine->n_unread) ?
			SMRT_LOAD_STUFFED : SMRT_LOAD_FULL;
	return engine->n_unread < 2 || n_held / 2 < engine->most_rows ?
		SMRT_LOAD_HUNGRY : SMRT_LOAD_FED;
}

bool
smrt_engine_next(SmrtEngine *engine, bool wait, SmrtOutcome *outcome)
{
	SmrtPlaces *places = &engine->places;
	SmrtPlace  *row;

	release_spent(engine);
	if (places->first == places->end)
		return false;
	row = smrt_places_get(places, places->first);
	/* Waiting may put the row into another batch. */
	while (row->batch != NULL && !row->batch->done)
	{
		if (!wait || list_member_ptr(engine->open, row->batch))
			return false;
		wait_for_one(engine);
	}
	places->first++;
	smrt_batch_outcome(row->batch, row->i, outcome);
	if (row->batch != NULL && --row->batch->n_waiting == 0)
	{
		engine->spent = row->batch;
		engine->n_unread -= row->batch->is_unread;
		row->batch->is_unread = false;
	}
	return true;
}

/* An equal row may have come since. */
static void
release_spent(SmrtEngine *engine)
{
	SmrtBatch  *spent = engine->spent;

	engine->spent = NULL;
	if (spent == NULL || spent->n_waiting > 0)
		return;
	if (engine->reuse == NULL || !spent->fits)
	{
		drop_batch(engine, spent);
		return;
	}
	dlist_delete(&spent->node);
	smrt_reuse_keep(engine->reuse, spent);
	free_kept(engine, smrt_settings.reuse_size);
}

/* All that is more than that many bytes. */
static void
free_kept(SmrtEngine *engine, size_t permitted)
{
	SmrtBatch  *batch;

	while ((batch = smrt_reuse_surplus(engine->reuse, permitted)) != NULL)
		free_batch(engine, batch);
}

static SmrtBatch *
new_batch(SmrtEngine *engine, SmrtSpan shared)
{
	MemoryContext context = AllocSetContextCreate(engine->context,
												  "sagemaker_rt batch",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	SmrtBatch  *batch = palloc0(sizeof(SmrtBatch));

	batch->context = context;
	smrt_pack_init(&batch->pack, engine->model, shared);
	MemoryContextSwitchTo(before);
	return batch;
}

static void
close_batch(SmrtEngine *engine, SmrtBatch *batch)
{
	engine->open = list_delete_ptr(engine->open, batch);
	engine->most_rows = Max(engine->most_rows, batch->pack.n_rows);
	smrt_pack_close(&batch->pack, engine->min_rows);
	batch->body = smrt_buf_span(&batch->pack.body);
	send_batch(engine, batch);
}

/* Sends it, as soon as not too many are in flight. */
static void
send_batch(SmrtEngine *engine, SmrtBatch *batch)
{
	SmrtRequest request = engine->request;

	batch->is_unread = true;
	engine->n_unread++;
	while (engine->n_in_flight >= engine->model->concurrency)
		wait_for_one(engine);
	request.body = batch->body;
	if (engine->inference_ids != NULL)
		request.members[SMRT_MEMBER_INFERENCE_ID] =
			smrt_span(engine->inference_ids[batch->pack.rows[0].number]);
	request.rows = batch->pack.n_rows;
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
		SmrtBatch  *batch = dlist_container(SmrtBatch, node, iter.cur);

		if (batch->call != call)
			continue;
		settle(engine, batch);
		return;
	}
}

static void
settle(SmrtEngine *engine, SmrtBatch *batch)
{
	smrt_engine_count_call(engine->counts, batch->call);
	engine->counts->bytes_out += batch->body.len;
	if (batch->call->reply.fault.kind == SMRT_FAULT_NONE)
	{
		MemoryContext before = MemoryContextSwitchTo(batch->context);

		batch->response = smrt_response_copy(batch->call->reply.response);
		batch->fits = smrt_answer_split(engine->model, &batch->response,
										batch->pack.n_sent, &batch->answer,
										&batch->error);
		batch->answer.fault.request_id = batch->response.request_id;
		MemoryContextSwitchTo(before);
		/* They are paid for, whether the answer is fit or not. */
		smrt_engine_count_tokens(engine->counts, &batch->answer.tokens);
		smrt_call_note_tokens(batch->call, &batch->answer.tokens);
		if (batch->fits)
			batch->fits = smrt_call_check_tokens(batch->call);
		else if (batch->answer.fault.kind != SMRT_FAULT_NONE)
			(void) smrt_call_fail(batch->call, &batch->answer.fault, false);
	}
	/* It was no use. */
	if (batch->is_second && !batch->fits)
		engine->min_rows = engine->model->min_rows;
	switch (smrt_again_judge(engine->model, batch))
	{
		case SMRT_AGAIN_NOT:
			batch->done = true;
			if (batch->fits)
				smrt_batch_release_call(batch);
			break;
		case SMRT_AGAIN_PADDED:
			send_padded(engine, batch);
			break;
		case SMRT_AGAIN_REPAIRED:
			send_repair(engine, batch);
			break;
		case SMRT_AGAIN_HALVED:
			halve(engine, batch);
			break;
	}
}

/* The row once more, with a copy of itself; so are those that come alone after it. */
static void
send_padded(SmrtEngine *engine, SmrtBatch *batch)
{
	SmrtBatch  *again;

	engine->min_rows = Max(engine->min_rows, 2);
	again = copy_rows(engine, batch, 0, batch->pack.n_rows);
	again->is_second = true;
	send_instead(engine, batch, again, NULL);
}

/* A second fault stays. */
static void
send_repair(SmrtEngine *engine, SmrtBatch *batch)
{
	SmrtBatch  *again = copy_rows(engine, batch, 0, batch->pack.n_rows);
	MemoryContext before = MemoryContextSwitchTo(again->context);

	again->body = smrt_message_repair(engine->model, &batch->answer, again->body);
	MemoryContextSwitchTo(before);
	again->is_second = true;
	engine->counts->repairs++;
	send_instead(engine, batch, again, NULL);
}

static void
halve(SmrtEngine *engine, SmrtBatch *batch)
{
	int			middle = batch->pack.n_rows / 2;

	/* What was too much once is too much again. */
	if (smrt_again_was_too_much(batch))
		engine->max_rows = Max(1, Min(engine->max_rows, middle));
	send_instead(engine, batch, copy_rows(engine, batch, 0, middle),
				 copy_rows(engine, batch, middle, batch->pack.n_rows));
}

/* Its rows, closed. */
static SmrtBatch *
copy_rows(SmrtEngine *engine, const SmrtBatch *batch, int from, int to)
{
	SmrtBatch  *copy = new_batch(engine, batch->pack.shared);

	for (int i = from; i < to; i++)
	{
		(void) smrt_pack_add(&copy->pack, smrt_pack_row(&batch->pack, i),
							 batch->pack.rows[i].hash);
		copy->pack.rows[i - from].number = batch->pack.rows[i].number;
	}
	smrt_pack_close(&copy->pack, engine->min_rows);
	copy->body = smrt_buf_span(&copy->pack.body);
	return copy;
}

/* One batch, or two, take the place of one, with all rows that wait for it. */
static void
send_instead(SmrtEngine *engine, SmrtBatch *batch, SmrtBatch *first,
			 SmrtBatch *second)
{
	engine->counts->rows_again += batch->pack.n_rows;
	dlist_push_tail(&engine->batches, &first->node);
	if (second != NULL)
		dlist_push_tail(&engine->batches, &second->node);
	for (int64 i = engine->places.first; i < engine->places.end; i++)
	{
		SmrtPlace  *row = smrt_places_get(&engine->places, i);

		if (row->batch != batch)
			continue;
		row->batch = row->i < first->pack.n_rows ? first : second;
		row->i -= row->batch == first ? 0 : first->pack.n_rows;
		row->batch->n_waiting++;
	}
	drop_batch(engine, batch);
	enter_rows(engine, first);
	send_batch(engine, first);
	if (second == NULL)
		return;
	enter_rows(engine, second);
	send_batch(engine, second);
}

static void
enter_rows(SmrtEngine *engine, SmrtBatch *batch)
{
	for (int i = 0; engine->reuse != NULL && i < batch->pack.n_rows; i++)
		smrt_reuse_enter(engine->reuse, batch, i);
}

static void
drop_batch(SmrtEngine *engine, SmrtBatch *batch)
{
	engine->n_unread -= batch->is_unread;
	dlist_delete(&batch->node);
	free_batch(engine, batch);
}

/* It is in no list. */
static void
free_batch(SmrtEngine *engine, SmrtBatch *batch)
{
	if (engine->reuse != NULL)
		smrt_reuse_forget(engine->reuse, batch);
	smrt_batch_release_call(batch);
	MemoryContextDelete(batch->context);
}
