/*
 * What a call adds to the statistics, and what it costs, as soon as it is known:
 * the call when it is begun, a request when it has ended, tokens when an answer
 * tells them, the call's failure at its end.  Objects of S3 are not counted.
 */
#ifndef SMRT_CALL_CALLCOUNT_H
#define SMRT_CALL_CALLCOUNT_H

#include "call/operation.h"
#include "net/exchange.h"
#include "pg/guard.h"
#include "pg/statistics.h"
#include "pg/target.h"

typedef enum SmrtTokenKind
{
	SMRT_TOKENS_INPUT,			/* read by the model */
	SMRT_TOKENS_OUTPUT,			/* written */
	SMRT_TOKENS_COUNT
} SmrtTokenKind;

/* What an answer tells of the tokens that it took; zeroed: nothing. */
typedef struct SmrtTokens
{
	bool		told[SMRT_TOKENS_COUNT];
	int64		n[SMRT_TOKENS_COUNT];
} SmrtTokens;

typedef struct SmrtCallCount
{
	SmrtStatKey key;
	SmrtCost	cost;			/* of each attempt, without its answer */
	bool		tells_tokens;	/* its answer may */
	SmrtTokens	tokens;			/* and did */
	bool		is_counted;
} SmrtCallCount;

/* May raise an error for want of memory. */
extern void smrt_callcount_begin(SmrtCallCount *count, const SmrtTarget *target,
								 const SmrtRequest *request);

/*
 * Pays for an attempt that is about to be sent.  NONE: it may be.  Else the kind of
 * failure, and which limit it is of, palloc'ed.
 */
extern SmrtFaultKind smrt_callcount_pay(const SmrtCallCount *count, char **limit);

/* What a dry run notes instead of a call. */
extern void smrt_callcount_dry(const SmrtTarget *target,
							   const SmrtRequest *request);

/* Counts the tokens that the answer tells so far, as far as they are new. */
extern void smrt_callcount_tokens(SmrtCallCount *count, const SmrtTokens *tokens);

/* The name of a limit on tokens that the answer has not told, or NULL. */
extern const char *smrt_callcount_untold(const SmrtCallCount *count);

/*
 * What follows raises no error.
 */

/*
 * Attempt number attempt (1 is the first) has ended with that fault, or nobody
 * waits for its end.
 */
extern void smrt_callcount_attempt(SmrtCallCount *count, int attempt,
								   const SmrtExchange *exchange,
								   SmrtFaultKind fault);

/* The call has failed for good. */
extern void smrt_callcount_failure(SmrtCallCount *count, const SmrtFault *fault);

/* Nobody waits for the call's end. */
extern void smrt_callcount_cancelled(SmrtCallCount *count);

#endif							/* SMRT_CALL_CALLCOUNT_H */
