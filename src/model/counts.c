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

/* They are paid for, whether the answer is fit or not. */
void
smrt_engine_count_tokens(SmrtEngineCounts *counts, const SmrtAnswer *answer)
{
	if (!answer->has_tokens)
		return;
	counts->token_answers++;
	counts->input_tokens += answer->input_tokens;
	counts->output_tokens += answer->output_tokens;
}
