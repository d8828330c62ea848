/*
 * What was sent and what came back, for EXPLAIN ANALYZE.
 */
#ifndef SMRT_MODEL_COUNTS_H
#define SMRT_MODEL_COUNTS_H

#include "call/callset.h"

typedef struct SmrtEngineCounts
{
	int64		rows;			/* in requests, those sent again not counted */
	int64		skipped;		/* rows that were not sent */
	int64		merged;			/* rows that share an equal one's prediction */
	int64		requests;		/* answered, whatever the answer */
	int64		retries;		/* attempts beyond the first of each */
	int64		failed;			/* rows that failed, and were no error */
	int64		rows_again;		/* sent once more after a halving */
	int64		repairs;		/* answers that their model was to repair */
	int64		told[SMRT_TOKENS_COUNT];	/* answers that told tokens of the kind */
	int64		tokens[SMRT_TOKENS_COUNT];	/* of these */
	int64		bytes_out;		/* of bodies */
	int64		bytes_in;
	int64		time_us;		/* of the last attempts of all requests */
	int64		min_time_us;	/* of one, when there are requests */
	int64		max_time_us;
} SmrtEngineCounts;

extern void smrt_engine_counts_add(SmrtEngineCounts *counts,
								   const SmrtEngineCounts *more);

/* Counts a request that was answered, all but its body. */
extern void smrt_engine_count_call(SmrtEngineCounts *counts,
								   const SmrtCall *call);

/* Those of an answer. */
extern void smrt_engine_count_tokens(SmrtEngineCounts *counts,
									 const SmrtTokens *tokens);

/*
 * Whether so many requests more, if they are as those before, with their answers
 * take more memory than a model should hold for the sake of another one.
 */
extern bool smrt_engine_counts_are_much(const SmrtEngineCounts *counts, int n);

#endif							/* SMRT_MODEL_COUNTS_H */
