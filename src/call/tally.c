/*
 * From calls to statistics.
 */
#include "postgres.h"

#include "call/tally.h"

void
smrt_tally_begin(SmrtTally *tally, const SmrtTarget *target,
				 const SmrtRequest *request)
{
	SmrtStatNews news = {.counts[SMRT_STAT_CALLS] = 1,
		.counts[SMRT_STAT_ROWS] = request->rows};

	tally->is_counted = request->operation != SMRT_OPERATION_GET_OBJECT;
	if (!tally->is_counted)
		return;
	tally->body_len = request->body.len;
	smrt_statistics_key(&tally->key, target->server, request->endpoint,
						request->model);
	smrt_statistics_add(&tally->key, &news);
}

void
smrt_tally_attempt(SmrtTally *tally, int attempt, const SmrtExchange *exchange,
				   SmrtFaultKind fault)
{
	SmrtStatNews news = {0};
	SmrtTrace	trace;

	if (!tally->is_counted)
		return;
	smrt_exchange_trace(exchange, &trace);
	news.counts[SMRT_STAT_REQUESTS] = trace.sent;
	news.counts[SMRT_STAT_RETRIES] = attempt > 1;
	news.counts[SMRT_STAT_THROTTLES] = fault == SMRT_FAULT_THROTTLED;
	news.counts[SMRT_STAT_CONNECTIONS_OPENED] = trace.connected && !trace.reused;
	news.counts[SMRT_STAT_CONNECTIONS_REUSED] = trace.reused;
	if (trace.sent)
		news.counts[SMRT_STAT_BYTES_SENT] = tally->body_len;
	news.counts[SMRT_STAT_BYTES_RECEIVED] = trace.received;
	if (exchange->done && exchange->failure == SMRT_FAULT_NONE)
	{
		news.is_answered = true;
		/* The wall clock may have been set back. */
		news.counts[SMRT_STAT_TIME_US] = Max(0, exchange->finished_us -
											 exchange->started_us);
	}
	smrt_statistics_add_quietly(&tally->key, &news);
}

void
smrt_tally_failure(SmrtTally *tally, const SmrtFault *fault)
{
	SmrtStatNews news = {0};

	if (!tally->is_counted)
		return;
	smrt_statistics_note_fault(&news, fault);
	smrt_statistics_add_quietly(&tally->key, &news);
}

void
smrt_tally_cancelled(SmrtTally *tally)
{
	SmrtStatNews news = {.counts[SMRT_STAT_CANCELLED] = 1};

	if (tally->is_counted)
		smrt_statistics_add_quietly(&tally->key, &news);
}
