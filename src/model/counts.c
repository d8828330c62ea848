/*
 * Counting.
 */
#include "postgres.h"

#include "model/counts.h"

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
