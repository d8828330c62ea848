/*
 * What a call adds to the statistics, as soon as it is known: the call when it is
 * begun, a request when it has ended, the call's failure at its end.  Objects of
 * S3 are not counted.
 */
#ifndef SMRT_CALL_CALLCOUNT_H
#define SMRT_CALL_CALLCOUNT_H

#include "call/operation.h"
#include "net/exchange.h"
#include "pg/statistics.h"
#include "pg/target.h"

typedef struct SmrtCallCount
{
	SmrtStatKey key;
	int64		body_len;
	bool		is_counted;
} SmrtCallCount;

/* May raise an error for want of memory; those below raise none. */
extern void smrt_callcount_begin(SmrtCallCount *count, const SmrtTarget *target,
								 const SmrtRequest *request);

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
