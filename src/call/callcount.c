/*
 * From calls to statistics and the cost guard.
 */
#include "postgres.h"

#include "call/callcount.h"

/* Where each kind of tokens is counted. */
static const struct
{
	SmrtStatCounter told;
	SmrtStatCounter sum;
	SmrtCostKind cost;
}			token_rows[] = {
	[SMRT_TOKENS_INPUT] = {SMRT_STAT_INPUT_TOLD, SMRT_STAT_INPUT_TOKENS, SMRT_COST_INPUT_TOKENS},
	[SMRT_TOKENS_OUTPUT] = {SMRT_STAT_OUTPUT_TOLD, SMRT_STAT_OUTPUT_TOKENS, SMRT_COST_OUTPUT_TOKENS},
};

StaticAssertDecl(lengthof(token_rows) == SMRT_TOKENS_COUNT,
				 "every kind of tokens needs a row");

static SmrtCost cost_of(const SmrtRequest *request);

void
smrt_callcount_begin(SmrtCallCount *count, const SmrtTarget *target,
					 const SmrtRequest *request)
{
	SmrtStatNews news = {.counts[SMRT_STAT_CALLS] = 1,
		.counts[SMRT_STAT_ROWS] = request->rows};

	count->is_counted = request->operation != SMRT_OPERATION_GET_OBJECT;
	if (!count->is_counted)
		return;
	count->cost = cost_of(request);
	count->tells_tokens = request->tells_tokens;
	smrt_statistics_key(&count->key, target->server, request->endpoint,
						request->model);
	smrt_statistics_add(&count->key, &news);
}

static SmrtCost
cost_of(const SmrtRequest *request)
{
	return (SmrtCost) {
		.spent = {
			[SMRT_COST_REQUESTS] = 1,
			[SMRT_COST_ROWS] = request->rows,
			[SMRT_COST_BYTES] = request->body.len,
		}
	};
}

SmrtFaultKind
smrt_callcount_pay(const SmrtCallCount *count, char **limit)
{
	const char *untold = count->tells_tokens ? NULL : smrt_callcount_untold(count);

	*limit = NULL;
	if (!count->is_counted)
		return SMRT_FAULT_NONE;
	*limit = untold ? pstrdup(untold) : smrt_guard_pay(&count->cost);
	if (*limit == NULL)
		return SMRT_FAULT_NONE;
	return untold ? SMRT_FAULT_UNMETERED : SMRT_FAULT_COST;
}

void
smrt_callcount_dry(const SmrtTarget *target, const SmrtRequest *request)
{
	SmrtCost	cost = cost_of(request);
	SmrtStatKey key;

	smrt_statistics_key(&key, target->server, request->endpoint, request->model);
	smrt_dry_run_note(&key, &cost);
}

void
smrt_callcount_tokens(SmrtCallCount *count, const SmrtTokens *tokens)
{
	SmrtStatNews news = {0};
	SmrtCost	cost = {0};
	bool		is_new = false;

	for (int i = 0; i < SMRT_TOKENS_COUNT; i++)
	{
		int64		more = Max(0, tokens->n[i] - count->tokens.n[i]);

		if (!tokens->told[i] || (count->tokens.told[i] && more == 0))
			continue;
		is_new = true;
		news.counts[token_rows[i].told] = !count->tokens.told[i];
		news.counts[token_rows[i].sum] = more;
		cost.spent[token_rows[i].cost] = more;
		count->tokens.told[i] = true;
		count->tokens.n[i] += more;
	}
	if (!is_new || !count->is_counted)
		return;
	smrt_statistics_add_quietly(&count->key, &news);
	smrt_guard_add(&cost);
}

const char *
smrt_callcount_untold(const SmrtCallCount *count)
{
	for (int i = 0; i < SMRT_TOKENS_COUNT; i++)
	{
		const char *limit = smrt_guard_limit_on(token_rows[i].cost);

		if (limit != NULL && !count->tokens.told[i])
			return limit;
	}
	return NULL;
}

void
smrt_callcount_attempt(SmrtCallCount *count, int attempt, const SmrtExchange *exchange,
					   SmrtFaultKind fault)
{
	SmrtStatNews news = {0};
	SmrtTrace	trace;

	if (!count->is_counted)
		return;
	smrt_exchange_trace(exchange, &trace);
	news.counts[SMRT_STAT_REQUESTS] = trace.sent;
	news.counts[SMRT_STAT_RETRIES] = attempt > 1;
	news.counts[SMRT_STAT_THROTTLES] = fault == SMRT_FAULT_THROTTLED;
	news.counts[SMRT_STAT_CONNECTIONS_OPENED] = trace.connected && !trace.reused;
	news.counts[SMRT_STAT_CONNECTIONS_REUSED] = trace.reused;
	if (trace.sent)
		news.counts[SMRT_STAT_BYTES_SENT] = count->cost.spent[SMRT_COST_BYTES];
	news.counts[SMRT_STAT_BYTES_RECEIVED] = trace.received;
	if (exchange->done && exchange->failure == SMRT_FAULT_NONE)
	{
		news.is_answered = true;
		/* The wall clock may have been set back. */
		news.counts[SMRT_STAT_TIME_US] = Max(0, exchange->finished_us -
											 exchange->started_us);
	}
	smrt_statistics_add_quietly(&count->key, &news);
}

void
smrt_callcount_failure(SmrtCallCount *count, const SmrtFault *fault)
{
	SmrtStatNews news = {0};

	if (!count->is_counted)
		return;
	smrt_statistics_note_fault(&news, fault);
	smrt_statistics_add_quietly(&count->key, &news);
}

void
smrt_callcount_cancelled(SmrtCallCount *count)
{
	SmrtStatNews news = {.counts[SMRT_STAT_CANCELLED] = 1};

	if (count->is_counted)
		smrt_statistics_add_quietly(&count->key, &news);
}
