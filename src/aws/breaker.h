/*
 * A circuit breaker: after so many failures without a success in between, requests
 * are refused, but for a probe now and then, until one succeeds.  Arithmetic only:
 * the caller brings the time.
 */
#ifndef SMRT_AWS_BREAKER_H
#define SMRT_AWS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

/* Zero is closed, without a failure. */
typedef struct SmrtBreaker
{
	int			failures;		/* since the last success */
	bool		open;
	int64_t		probe_at_ms;	/* while open: when one request is let through */
	int64_t		pause_ms;		/* between two probes */
} SmrtBreaker;

/*
 * Whether a request may be sent.  A probe is let through by this: who asked sends
 * it, or the next one has to wait for its own time.
 */
extern bool smrt_breaker_admits(SmrtBreaker *breaker, int64_t now_ms);

/* What came of a request.  threshold 0: never opens. */
extern void smrt_breaker_note(SmrtBreaker *breaker, int64_t now_ms,
							  bool failed, int threshold);

#endif							/* SMRT_AWS_BREAKER_H */
