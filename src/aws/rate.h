/*
 * How many requests a second a service is asked after it has throttled one: the
 * AWS SDKs' adaptive retry mode.  No limit before the first throttle; then less by
 * three tenths at each, growing again as a cubic does, slowly near the rate that
 * was too much.  Arithmetic only: the caller brings the time.
 */
#ifndef SMRT_AWS_RATE_H
#define SMRT_AWS_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* Zero is the beginning. */
typedef struct SmrtRate
{
	bool		limited;
	double		per_s;			/* allowed, while limited */
	double		tokens;			/* requests that may be sent now */
	double		filled_at_s;
	double		too_much;		/* the rate when it was last throttled */
	double		throttled_at_s;
	double		measured;		/* answers a second, smoothed */
	double		measured_at_s;	/* end of the last slice of time counted */
	int			n_answers;		/* since then */
} SmrtRate;

/* Takes one request: 0, or milliseconds until one may be taken. */
extern int64_t smrt_rate_take(SmrtRate *rate, int64_t now_ms);

/* An answer has come. */
extern void smrt_rate_note(SmrtRate *rate, int64_t now_ms, bool throttled);

#endif							/* SMRT_AWS_RATE_H */
