/*
 * Sets of calls.  A call's life:
 *
 *     waiting --its time has come--> under way --answer--> finished
 *        ^                               |
 *        +----- to be tried again -------+
 *
 * Many are under way and few wait: what is to be sent is looked for among these.
 *
 * The set owns the exchange of each call that is under way or not yet released;
 * the reset of its memory context ends them, whatever made that happen.
 */
#include "postgres.h"

#include "call/attempt.h"
#include "call/callset.h"
#include "call/credential/keyring.h"
#include "call/host.h"
#include "call/location.h"
#include "call/streamevent.h"
#include "net/pump.h"
#include "pg/alloc.h"
#include "pg/compat.h"
#include "pg/governor.h"
#include "pg/guard.h"

/* Skew that matters: the service refuses signatures off by five minutes. */
#define SKEW_THRESHOLD_S (4 * 60)

/* Bound on a sleep with nothing to wait for but interrupts. */
#define LONG_MS 60000

typedef struct CallState
{
	SmrtCall	call;			/* first: what the owner holds */
	SmrtCallSet *set;
	SmrtRequest request;
	SmrtAttemptPlan plan;
	SmrtCallCount count;
	SmrtGovernorKey governor;
	SmrtTurn	turn;
	SmrtExchange *exchange;		/* under way, or finished and unreleased */
	MemoryContext words;		/* of the last fault, or parts; NULL: none yet */
	bool		finished;
	bool		skew_corrected;
	bool		keys_renewed;
	int			retries;		/* counted for the delay */
	int			last_price;		/* tokens that the last retry cost */
	int64		send_at_ms;
	int64		give_up_at_ms;
} CallState;

struct SmrtCallSet
{
	MemoryContext context;
	MemoryContextCallback on_reset;
	SmrtTarget *target;
	SmrtHost   *host;			/* NULL: nothing was submitted yet */
	SmrtLimits	limits;
	dlist_head	waiting;
	dlist_head	under_way;
	dlist_head	finished;		/* not handed out */
	dlist_head	handed_out;		/* not released */
};

static void end_all(void *arg);
static void end_calls(dlist_head *list);
static void end_attempt(CallState *call);
static SmrtCall *submit_dry(SmrtCallSet *set, const SmrtRequest *request);
static SmrtSpan host_of(const SmrtTarget *target);
static void locate(SmrtCallSet *set, int64 give_up_at_ms);
static void settle_answered(SmrtCallSet *set);
static int64 next_send_ms(SmrtCallSet *set);
static void move(CallState *call, dlist_head *list);
static void send_due(SmrtCallSet *set);
static void send_attempt(CallState *call);
static bool take_turn(CallState *call, int64 now, int timeout);
static bool pay(CallState *call);
static void fail_unsent(CallState *call, SmrtFaultKind kind, const char *text);
static void settle(CallState *call);
static void begin_words(CallState *call);
static bool correct_skew(CallState *call);
static bool renew_keys(CallState *call);
static bool try_again(CallState *call);
static bool may_try_again(CallState *call, SmrtRetryClass class,
						  const char **ended_by);
static void finish(CallState *call);

#define STATE(n) ((CallState *) dlist_container(SmrtCall, node, (n)))

SmrtCallSet *
smrt_callset_create(SmrtTarget *target, const SmrtLimits *limits)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "sagemaker_rt calls",
												  ALLOCSET_SMALL_SIZES);
	SmrtCallSet *set = MemoryContextAllocZero(context, sizeof(SmrtCallSet));

	set->context = context;
	set->limits = *limits;
	dlist_init(&set->waiting);
	dlist_init(&set->under_way);
	dlist_init(&set->finished);
	dlist_init(&set->handed_out);
	set->target = smrt_target_retain(target);
	set->on_reset.func = end_all;
	set->on_reset.arg = set;
	MemoryContextRegisterResetCallback(context, &set->on_reset);
	return set;
}

void
smrt_callset_delete(SmrtCallSet *set)
{
	MemoryContextDelete(set->context);
}

static void
end_all(void *arg)
{
	SmrtCallSet *set = arg;

	end_calls(&set->waiting);
	end_calls(&set->under_way);
	end_calls(&set->finished);
	end_calls(&set->handed_out);
	smrt_target_release(set->target);
}

static void
end_calls(dlist_head *list)
{
	dlist_iter	iter;

	dlist_foreach(iter, list)
	{
		CallState  *call = STATE(iter.cur);

		end_attempt(call);
		if (!call->finished)
			smrt_callcount_cancelled(&call->count);
	}
}

/* Whatever became of it: it may be under way. */
static void
end_attempt(CallState *call)
{
	smrt_governor_leave(&call->governor, &call->turn);
	if (call->exchange == NULL)
		return;
	smrt_callcount_attempt(&call->count, call->call.report.attempts,
						   call->exchange, call->call.reply.fault.kind);
	smrt_exchange_end(call->exchange);
	call->exchange = NULL;
}

SmrtCall *
smrt_callset_submit(SmrtCallSet *set, const SmrtRequest *request)
{
	CallState  *call;
	int64		now_ms = smrt_pump_now_ms();
	int64		give_up_at_ms = now_ms + set->limits.total_timeout;

	if (smrt_dry_run != NULL)
		return submit_dry(set, request);
	/* Not when the set is made: the instance may have to be asked for its region. */
	if (set->host == NULL)
		locate(set, give_up_at_ms);
	call = MemoryContextAllocZero(set->context, sizeof(CallState));
	call->set = set;
	call->request = *request;
	call->call.report.target = set->target;
	call->call.report.endpoint = request->endpoint;
	call->call.report.object = request->object;
	call->call.report.permission = smrt_operation_permission(request->operation);
	if (!smrt_attempt_plan(&call->plan, set->target, &call->request,
						   set->limits.max_attempts))
		smrt_report_no_digest();
	call->send_at_ms = now_ms;
	call->give_up_at_ms = give_up_at_ms;
	smrt_governor_key(&call->governor, host_of(set->target), request->endpoint);
	smrt_callcount_begin(&call->count, set->target, &call->request);
	dlist_push_tail(&set->waiting, &call->call.node);
	return &call->call;
}

/* Finished before it is begun. */
static SmrtCall *
submit_dry(SmrtCallSet *set, const SmrtRequest *request)
{
	CallState  *call = MemoryContextAllocZero(set->context, sizeof(CallState));

	smrt_callcount_dry(set->target, request);
	call->set = set;
	call->call.reply.fault.kind = SMRT_FAULT_DRY_RUN;
	call->call.report.target = set->target;
	call->call.report.endpoint = request->endpoint;
	call->finished = true;
	dlist_push_tail(&set->finished, &call->call.node);
	return &call->call;
}

/*
 * Where there are neither region nor keys, keys are what is told of: that says
 * where both may stand.
 */
static void
locate(SmrtCallSet *set, int64 give_up_at_ms)
{
	if (!smrt_location_region(set->target, give_up_at_ms))
		(void) smrt_keyring_get(set->target, give_up_at_ms);
	smrt_location_find(set->target, give_up_at_ms);
	set->host = smrt_host_get(host_of(set->target));
}

/* A bucket is no host of its own. */
static SmrtSpan
host_of(const SmrtTarget *target)
{
	return smrt_span_after(target->url.authority, target->bucket_len);
}

void
smrt_callset_start(SmrtCallSet *set)
{
	send_due(set);
	smrt_pump_send();
}

SmrtCall *
smrt_callset_wait(SmrtCallSet *set)
{
	for (;;)
	{
		/* First: it may wait, and what ends meanwhile counts. */
		send_due(set);
		if (dlist_is_empty(&set->finished))
			settle_answered(set);
		if (!dlist_is_empty(&set->finished))
		{
			CallState  *call = STATE(dlist_head_node(&set->finished));

			move(call, &set->handed_out);
			return &call->call;
		}
		if (dlist_is_empty(&set->waiting) && dlist_is_empty(&set->under_way))
			return NULL;
		smrt_pump_run(next_send_ms(set));
	}
}

static void
settle_answered(SmrtCallSet *set)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &set->under_way)
	{
		CallState  *call = STATE(iter.cur);

		if (!call->exchange->done && !call->exchange->answered)
			continue;
		settle(call);
		move(call, call->finished ? &set->finished : &set->waiting);
	}
}

/* From now on. */
static int64
next_send_ms(SmrtCallSet *set)
{
	int64		now = smrt_pump_now_ms();
	int64		next = now + LONG_MS;
	dlist_iter	iter;

	dlist_foreach(iter, &set->waiting)
		next = Min(next, STATE(iter.cur)->send_at_ms);
	return Max(0, next - now);
}

static void
move(CallState *call, dlist_head *list)
{
	dlist_delete(&call->call.node);
	dlist_push_tail(list, &call->call.node);
}

void
smrt_call_release(SmrtCall *handed_out)
{
	CallState  *call = (CallState *) handed_out;

	dlist_delete(&handed_out->node);
	end_attempt(call);
	if (call->words != NULL)
		MemoryContextDelete(call->words);
	pfree(call);
}

/* Sends what has waited long enough.  Waits only where keys have to be found. */
static void
send_due(SmrtCallSet *set)
{
	int64		now = smrt_pump_now_ms();
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &set->waiting)
	{
		CallState  *call = STATE(iter.cur);

		if (call->send_at_ms > now)
			continue;
		send_attempt(call);
		if (call->finished)
			move(call, &set->finished);
		else if (call->exchange != NULL)
			move(call, &set->under_way);
	}
}

static void
send_attempt(CallState *call)
{
	SmrtCallSet *set = call->set;
	MemoryContext before = MemoryContextSwitchTo(set->context);
	const SmrtKeys *keys = smrt_keyring_get(set->target, call->give_up_at_ms);
	int64		now = smrt_pump_now_ms();
	int			timeout = Max(1, Min(set->limits.timeout,
									 call->give_up_at_ms - now));

	MemoryContextSwitchTo(before);
	if (!take_turn(call, now, timeout) || !pay(call))
		return;
	smrt_report_note_key(&call->call.report, keys);
	call->call.report.attempts++;
	call->call.reply.fault.kind = SMRT_FAULT_NONE;
	MemoryContextSwitchTo(set->context);
	call->exchange = smrt_attempt_start(&call->plan, keys,
										call->call.report.attempts,
										set->host->skew_s, timeout,
										&set->limits);
	MemoryContextSwitchTo(before);
	if (call->exchange == NULL)
		fail_unsent(call, SMRT_FAULT_NO_MEMORY, "the request could not be signed");
}

/* False: the call waits for its turn, or has failed without one. */
static bool
take_turn(CallState *call, int64 now, int timeout)
{
	SmrtTurn   *turn = &call->turn;

	smrt_governor_ask(&call->governor, now, now + timeout, turn);
	if (turn->kind == SMRT_TURN_LATER && now + turn->wait_ms < call->give_up_at_ms)
		call->send_at_ms = now + turn->wait_ms;
	else if (turn->kind == SMRT_TURN_LATER)
		fail_unsent(call, SMRT_FAULT_NO_TURN, NULL);
	else if (turn->kind == SMRT_TURN_REFUSED)
		fail_unsent(call, SMRT_FAULT_BREAKER,
					psprintf("%d requests in a row have failed, the last one so: %s",
							 turn->failures,
							 smrt_report_what(turn->last_failure)));
	return turn->kind == SMRT_TURN_NOW;
}

/* False: the call has failed for it. */
static bool
pay(CallState *call)
{
	char	   *limit;
	SmrtFaultKind problem = smrt_callcount_pay(&call->count, &limit);

	if (problem != SMRT_FAULT_NONE)
		fail_unsent(call, problem, limit);
	return problem == SMRT_FAULT_NONE;
}

/* An earlier attempt's words lay in its exchange. */
static void
fail_unsent(CallState *call, SmrtFaultKind kind, const char *text)
{
	MemoryContext before = CurrentMemoryContext;

	begin_words(call);
	memset(&call->call.reply, 0, sizeof(call->call.reply));
	call->call.reply.fault.kind = kind;
	call->call.reply.fault.text = smrt_span_copy(smrt_span(text));
	MemoryContextSwitchTo(before);
	smrt_callcount_failure(&call->count, &call->call.reply.fault);
	smrt_governor_leave(&call->governor, &call->turn);
	call->finished = true;
}

/* The attempt has ended: the call is finished, or waits for its next one. */
static void
settle(CallState *call)
{
	MemoryContext before = CurrentMemoryContext;
	SmrtReply  *reply = &call->call.reply;
	bool		joins = call->request.operation == SMRT_OPERATION_STREAM &&
		call->request.window == 0;

	if (call->words != NULL || joins || !smrt_exchange_is_success(call->exchange))
		begin_words(call);
	smrt_reply_read(call->exchange, call->request.operation, reply);
	if (joins && reply->fault.kind == SMRT_FAULT_NONE)
		smrt_streamevent_join(reply);
	MemoryContextSwitchTo(before);
	smrt_governor_note(&call->governor, smrt_pump_now_ms(), reply->fault.kind);
	if (call->exchange->done)
		smrt_governor_leave(&call->governor, &call->turn);
	if (reply->fault.kind == SMRT_FAULT_NONE)
	{
		smrt_governor_give_retry(&call->governor, call->last_price);
		finish(call);
	}
	else if (correct_skew(call) || renew_keys(call) || try_again(call))
		end_attempt(call);
	else
		finish(call);
}

/* What is said about a failure, and joined parts, lie in a context of their own. */
static void
begin_words(CallState *call)
{
	if (call->words == NULL)
		call->words = AllocSetContextCreate(call->set->context,
											"sagemaker_rt words",
											ALLOCSET_SMALL_SIZES);
	MemoryContextReset(call->words);
	MemoryContextSwitchTo(call->words);
}

SmrtExchange *
smrt_call_exchange(SmrtCall *call)
{
	return ((CallState *) call)->exchange;
}

bool
smrt_call_fail(SmrtCall *handed_out, const SmrtFault *fault,
			   bool may_try_again)
{
	CallState  *call = (CallState *) handed_out;
	MemoryContext before = CurrentMemoryContext;

	begin_words(call);
	memset(&call->call.reply, 0, sizeof(call->call.reply));
	call->call.reply.retry_hint_ms = -1;
	call->call.reply.fault = smrt_fault_copy(*fault);
	MemoryContextSwitchTo(before);
	if (!may_try_again || !try_again(call))
	{
		finish(call);
		return false;
	}
	end_attempt(call);
	call->finished = false;
	move(call, &call->set->waiting);
	return true;
}

void
smrt_call_note_tokens(SmrtCall *call, const SmrtTokens *tokens)
{
	smrt_callcount_tokens(&((CallState *) call)->count, tokens);
}

bool
smrt_call_check_tokens(SmrtCall *call)
{
	const char *limit = smrt_callcount_untold(&((CallState *) call)->count);
	SmrtFault	fault = {.kind = SMRT_FAULT_UNTOLD,.text = smrt_span(limit),
	.request_id = call->reply.response.request_id};

	return limit == NULL || smrt_call_fail(call, &fault, false);
}

/*
 * A refused signature while the clocks differ: sign by the service's clock from
 * now on, and try again once, at once.
 */
static bool
correct_skew(CallState *call)
{
	SmrtReply  *reply = &call->call.reply;
	SmrtHost   *host = call->set->host;
	int64		change = reply->skew_s - host->skew_s;

	if (reply->fault.kind != SMRT_FAULT_DENIED || !reply->has_date ||
		(change <= SKEW_THRESHOLD_S && change >= -SKEW_THRESHOLD_S))
		return false;
	host->skew_s = reply->skew_s;
	if (call->skew_corrected ||
		call->call.report.attempts >= call->set->limits.max_attempts)
		return false;
	call->skew_corrected = true;
	call->send_at_ms = smrt_pump_now_ms();
	return true;
}

/*
 * Keys that expired too early are not used again by any call; this one tries
 * again once, at once, with others.
 */
static bool
renew_keys(CallState *call)
{
	if (call->call.reply.fault.kind != SMRT_FAULT_EXPIRED ||
		!smrt_keyring_reject(call->set->target,
							 call->call.report.key_id_tail) ||
		call->keys_renewed ||
		call->call.report.attempts >= call->set->limits.max_attempts)
		return false;
	call->keys_renewed = true;
	call->send_at_ms = smrt_pump_now_ms();
	return true;
}

static bool
try_again(CallState *call)
{
	SmrtReply  *reply = &call->call.reply;
	SmrtReport *report = &call->call.report;
	SmrtRetryClass class = smrt_retry_class(reply->fault.kind);
	int64		delay;

	if (class == SMRT_RETRY_NEVER)
		return false;
	delay = smrt_retry_delay_ms(class, call->retries, smrt_random_fraction(),
								reply->retry_hint_ms);
	call->send_at_ms = smrt_pump_now_ms() + delay;
	if (!may_try_again(call, class, &report->ended_by))
		return false;
	call->retries++;
	report->waited_ms += delay;
	return true;
}

/* If not, ended_by names what forbids it, as the user knows it. */
static bool
may_try_again(CallState *call, SmrtRetryClass class, const char **ended_by)
{
	SmrtCallSet *set = call->set;

	/* Attempts that were added for clock or keys are among max_attempts. */
	int			max_attempts = set->limits.max_attempts -
		call->skew_corrected - call->keys_renewed;

	if (smrt_pump_now_ms() >= call->give_up_at_ms)
		*ended_by = SMRT_ENDED_BY_TOTAL_TIMEOUT;
	else if (!smrt_retry_counts(class, call->retries, max_attempts))
		*ended_by = class == SMRT_RETRY_ONCE && max_attempts > 2 ?
			"the rule to try this once again only" : "max_attempts";
	else if (call->call.reply.fault.kind == SMRT_FAULT_TIMEOUT &&
			 !set->limits.retry_timeouts)
		*ended_by = "retry_timeouts";
	else if (call->send_at_ms >= call->give_up_at_ms)
		*ended_by = SMRT_ENDED_BY_TOTAL_TIMEOUT;
	else if (!smrt_governor_take_retry(&call->governor, class, &call->last_price))
		*ended_by = "the host's retry quota";
	else
		return true;
	return false;
}

static void
finish(CallState *call)
{
	SmrtExchange *exchange = call->exchange;
	SmrtReport *report = &call->call.report;

	if (call->call.reply.fault.kind != SMRT_FAULT_NONE)
	{
		MemoryContext before = MemoryContextSwitchTo(call->words);

		smrt_keyring_blot(call->set->target, &call->call.reply.fault);
		MemoryContextSwitchTo(before);
		smrt_callcount_failure(&call->count, &call->call.reply.fault);
	}
	if (exchange->failure != SMRT_FAULT_NONE)
		report->phase = smrt_phase_name(exchange->phase);
	if (exchange->done)
		report->elapsed_us = exchange->finished_us - exchange->started_us;
	call->finished = true;
}
