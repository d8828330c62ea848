/*
 * Counting.
 */
#include "postgres.h"

#include "model/counts.h"

#define MUCH_MEMORY (16 * 1024 * 1024)

/* What a call that failed and its batch have beside body and answer; others less. */
#define BYTES_PER_CALL 20480

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
	for (int i = 0; i < SMRT_TOKENS_COUNT; i++)
	{
		counts->told[i] += more->told[i];
		counts->tokens[i] += more->tokens[i];
	}
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

void
smrt_engine_count_tokens(SmrtEngineCounts *counts, const SmrtTokens *tokens)
{
	for (int i = 0; i < SMRT_TOKENS_COUNT; i++)
		if (tokens->told[i])
		{
			counts->told[i]++;
			counts->tokens[i] += tokens->n[i];
		}
}

bool
smrt_engine_counts_are_much(const SmrtEngineCounts *counts, int n)
{
	int64		bytes = BYTES_PER_CALL;

	if (counts->requests > 0)
		bytes += (counts->bytes_out + counts->bytes_in) / counts->requests;
	return n >= MUCH_MEMORY / bytes;
}
