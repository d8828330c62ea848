/*
 * What a call adds to the statistics, as soon as it is known: the call when it is
 * begun, a request when it has ended, the call's failure at its end.  Objects of
 * S3 are not counted.
 */
#ifndef SMRT_CALL_TALLY_H
#define SMRT_CALL_TALLY_H

#include "call/operation.h"
#include "net/exchange.h"
#include "pg/statistics.h"
#include "pg/target.h"

typedef struct SmrtTally
{
	SmrtStatKey key;
	int64		body_len;
	bool		is_counted;
} SmrtTally;

/* May raise an error for want of memory; those below raise none. */
extern void smrt_tally_begin(SmrtTally *tally, const SmrtTarget *target,
							 const SmrtRequest *request);

/*
 * Attempt number attempt (1 is the first) has ended with that fault, or nobody
 * waits for its end.
 */
extern void smrt_tally_attempt(SmrtTally *tally, int attempt,
							   const SmrtExchange *exchange,
							   SmrtFaultKind fault);

/* The call has failed for good. */
extern void smrt_tally_failure(SmrtTally *tally, const SmrtFault *fault);

/* Nobody waits for the call's end. */
extern void smrt_tally_cancelled(SmrtTally *tally);

#endif							/* SMRT_CALL_TALLY_H */
