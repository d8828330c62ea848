/*
 * InvokeEndpoint and InvokeEndpointAsync, a request a row.
 *
 * A body is never copied below here.  Calls that have one target and the same
 * limits share a call set.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "call/calloptions.h"
#include "call/callset.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "funcapi.h"
#include "model/invocation.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* Calls to one target. */
typedef struct Lot
{
	dlist_node	node;
	SmrtTarget *target;
	SmrtLimits	limits;
	SmrtCallSet *set;
	int			n_calls;		/* not yet handed out */
} Lot;

typedef struct Invocation
{
	dlist_node	node;
	Lot		   *lot;			/* NULL: nothing was sent */
	SmrtCall   *call;
	bool		done;
} Invocation;

struct SmrtInvocations
{
	MemoryContext context;
	SmrtInvokeSite *site;
	SmrtEngineCounts *counts;
	int			concurrency;
	int			n_in_flight;
	int			n_begun;		/* and not handed out */
	dlist_head	lots;
	dlist_head	invocations;	/* in the order of their rows */
};

static Lot *find_lot(SmrtInvocations *invocations, SmrtTarget *target,
					 const SmrtLimits *limits);
static Invocation *begin(SmrtInvocations *invocations);
static void wait_for_one(SmrtInvocations *invocations);
static void note_end(SmrtInvocations *invocations, SmrtCall *call);

SmrtInvokeSite *
smrt_invocation_site(Oid function)
{
	SmrtInvokeSite *site = palloc0(sizeof(SmrtInvokeSite));
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	site->tupdesc = lookup_rowtype_tupdesc_copy(proc->prorettype, -1);
	site->form = smrt_invokeform_find(proc->pronargs);
	if (site->form == NULL || site->tupdesc->natts != site->form->n_columns)
		elog(ERROR, "function %u is no operation's", function);
	site->body_type = proc->proargtypes.values[SMRT_INVOKE_BODY];
	ReleaseSysCache(tuple);
	BlessTupleDesc(site->tupdesc);
	return site;
}

SmrtInvocations *
smrt_invocations_create(SmrtInvokeSite *site, SmrtEngineCounts *counts)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "sagemaker_rt invocations",
												  ALLOCSET_SMALL_SIZES);
	SmrtInvocations *invocations = MemoryContextAllocZero(context,
														  sizeof(SmrtInvocations));

	invocations->context = context;
	invocations->site = site;
	invocations->counts = counts;
	invocations->concurrency = smrt_settings.concurrency;
	dlist_init(&invocations->lots);
	dlist_init(&invocations->invocations);
	return invocations;
}

void
smrt_invocations_delete(SmrtInvocations *invocations)
{
	MemoryContextDelete(invocations->context);
}

void
smrt_invocations_send(SmrtInvocations *invocations, const Datum *values,
					  const bool *nulls)
{
	SmrtInvokeSite *site = invocations->site;
	int			server = smrt_invokeform_server(site->form);
	int			options = server + 1;
	SmrtRequest request = {.rows = 1};
	SmrtTarget *target;
	SmrtLimits	limits;
	Invocation *invocation;

	if (!smrt_invokeform_is_sent(site->form, nulls))
	{
		smrt_invocations_skip(invocations);
		return;
	}
	smrt_invokeform_read(site->form, site->body_type, values, nulls,
						 &site->warned_of_bytea, &request);
	target = smrt_target_get(nulls[server] ? NULL :
							 TextDatumGetCString(values[server]));
	limits = target->limits;
	if (!nulls[options])
		smrt_calloptions_read(DatumGetJsonbP(values[options]), &limits,
							  (SmrtHeader **) &request.extra, &request.n_extra);
	smrt_request_require(&request);

	while (invocations->n_in_flight >= invocations->concurrency)
		wait_for_one(invocations);
	invocation = begin(invocations);
	invocation->lot = find_lot(invocations, target, &limits);
	invocation->lot->n_calls++;
	invocation->call = smrt_callset_submit(invocation->lot->set, &request);
	invocations->n_in_flight++;
	invocations->counts->rows++;
	invocations->counts->bytes_out += request.body.len;
	smrt_callset_start(invocation->lot->set);
}

void
smrt_invocations_skip(SmrtInvocations *invocations)
{
	begin(invocations)->done = true;
	invocations->counts->skipped++;
}

static Invocation *
begin(SmrtInvocations *invocations)
{
	Invocation *invocation = MemoryContextAllocZero(invocations->context,
													sizeof(Invocation));

	dlist_push_tail(&invocations->invocations, &invocation->node);
	invocations->n_begun++;
	return invocation;
}

/* Of lots for other targets, those that have no calls any more go. */
static Lot *
find_lot(SmrtInvocations *invocations, SmrtTarget *target,
		 const SmrtLimits *limits)
{
	MemoryContext before;
	dlist_mutable_iter iter;
	Lot		   *lot;

	dlist_foreach_modify(iter, &invocations->lots)
	{
		lot = dlist_container(Lot, node, iter.cur);
		if (lot->target == target &&
			memcmp(&lot->limits, limits, sizeof(SmrtLimits)) == 0)
			return lot;
		if (lot->n_calls > 0)
			continue;
		smrt_callset_delete(lot->set);
		dlist_delete(&lot->node);
		pfree(lot);
	}
	before = MemoryContextSwitchTo(invocations->context);
	lot = palloc0(sizeof(Lot));
	lot->target = target;
	lot->limits = *limits;
	lot->set = smrt_callset_create(target, limits);
	dlist_push_head(&invocations->lots, &lot->node);
	MemoryContextSwitchTo(before);
	return lot;
}

bool
smrt_invocations_is_full(const SmrtInvocations *invocations)
{
	return invocations->n_begun >= invocations->concurrency;
}

Datum
smrt_invocations_next(SmrtInvocations *invocations, bool *is_null)
{
	Invocation *oldest = dlist_container(Invocation, node,
										 dlist_head_node(&invocations->invocations));
	Datum		result = (Datum) 0;

	while (!oldest->done)
		wait_for_one(invocations);
	*is_null = oldest->call == NULL;
	if (!*is_null)
	{
		const SmrtReply *reply = &oldest->call->reply;

		*is_null = reply->fault.kind == SMRT_FAULT_DRY_RUN;
		if (reply->fault.kind != SMRT_FAULT_NONE && !*is_null)
			smrt_report_fault(&reply->fault, &oldest->call->report);
		if (!*is_null)
			result = invocations->site->form->row(invocations->site->tupdesc,
												  oldest->call);
		smrt_call_release(oldest->call);
		oldest->lot->n_calls--;
	}
	dlist_delete(&oldest->node);
	invocations->n_begun--;
	pfree(oldest);
	return result;
}

/* In the lot of the oldest call that is in flight. */
static void
wait_for_one(SmrtInvocations *invocations)
{
	dlist_iter	iter;

	dlist_foreach(iter, &invocations->invocations)
	{
		Invocation *oldest = dlist_container(Invocation, node, iter.cur);

		if (oldest->done)
			continue;
		note_end(invocations, smrt_callset_wait(oldest->lot->set));
		return;
	}
	elog(ERROR, "no call is in flight");
}

static void
note_end(SmrtInvocations *invocations, SmrtCall *call)
{
	dlist_iter	iter;

	dlist_foreach(iter, &invocations->invocations)
	{
		Invocation *invocation = dlist_container(Invocation, node, iter.cur);

		if (invocation->call != call)
			continue;
		invocation->done = true;
		invocations->n_in_flight--;
		smrt_engine_count_call(invocations->counts, call);
		return;
	}
	elog(ERROR, "an unknown call has ended");
}
