/*
 * From calls to statistics.
 */
#include "postgres.h"

#include "call/callcount.h"

void
smrt_callcount_begin(SmrtCallCount *count, const SmrtTarget *target,
					 const SmrtRequest *request)
{
	SmrtStatNews news = {.counts[SMRT_STAT_CALLS] = 1,
		.counts[SMRT_STAT_ROWS] = request->rows};

	count->is_counted = request->operation != SMRT_OPERATION_GET_OBJECT;
	if (!count->is_counted)
		return;
	count->body_len = request->body.len;
	smrt_statistics_key(&count->key, target->server, request->endpoint,
						request->model);
	smrt_statistics_add(&count->key, &news);
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
		news.counts[SMRT_STAT_BYTES_SENT] = count->body_len;
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
