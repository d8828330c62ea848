/*
 * Whether and how long to wait before trying again: the AWS SDKs' standard
 * mode in its version 2.1, and what it leaves out for this service.
 * Arithmetic only: the caller brings the random number and does the waiting.
 */
#ifndef SMRT_AWS_RETRY_H
#define SMRT_AWS_RETRY_H

#include <stdint.h>

#include "aws/fault.h"

typedef enum SmrtRetryClass
{
	SMRT_RETRY_NEVER,
	SMRT_RETRY_TRANSIENT,		/* up to max_attempts, base 50 ms */
	SMRT_RETRY_THROTTLED,		/* up to max_attempts, base 1 s */
	SMRT_RETRY_ONCE,			/* as transient, a single time */
	SMRT_RETRY_PATIENT			/* until the time budget ends, base 1 s: a cold
								 * model needs minutes, not attempts */
} SmrtRetryClass;

extern SmrtRetryClass smrt_retry_class(SmrtFaultKind kind);

/* True when retry number retry (0 is the first) is within the count allowed. */
extern bool smrt_retry_counts(SmrtRetryClass class, int retry,
							  int max_attempts);

/*
 * Milliseconds before retry number retry.  jitter is uniform in [0, 1).  hint_ms
 * is the server's wish (-1: none): it may lengthen the delay by at most 5 s
 * and never shortens it.
 */
extern int64_t smrt_retry_delay_ms(SmrtRetryClass class, int retry,
								   double jitter, int64_t hint_ms);

/*
 * The server's wish in ms from x-amz-retry-after and Retry-After; -1: none.  The
 * latter may be a date (RFC 9110 10.2.3); then it counts from the answer's own,
 * whatever our clock says, and without that it is no wish.
 */
extern int64_t smrt_retry_hint_ms(SmrtSpan amz_ms, SmrtSpan retry_after,
								  SmrtSpan date);

/*
 * The token bucket that ends retries, never first attempts, when a host keeps
 * failing.
 */
typedef struct SmrtRetryBucket
{
	int			tokens;
} SmrtRetryBucket;

extern void smrt_bucket_init(SmrtRetryBucket *bucket);

/* Takes the price of a retry and tells it; false when it cannot be paid. */
extern bool smrt_bucket_take(SmrtRetryBucket *bucket, SmrtRetryClass class,
							 int *price);

/* After a success: last_price is what its last retry cost, 0 without any. */
extern void smrt_bucket_give(SmrtRetryBucket *bucket, int last_price);

#endif							/* SMRT_AWS_RETRY_H */
