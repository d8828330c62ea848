/*
 * The adaptive rate.  The figures are the SDKs'.
 */
#include "aws/rate.h"

#include <math.h>

#define BETA 0.7				/* what is left of a rate that was too much */
#define SCALE 0.4				/* of the cubic */
#define LEAST_PER_S 0.5
#define SLICE_S 0.5				/* of time, for measuring */
#define SMOOTHING 0.8			/* weight of the last slice */

static void measure(SmrtRate *rate, double now_s);
static void fill(SmrtRate *rate, double now_s);

int64_t
smrt_rate_take(SmrtRate *rate, int64_t now_ms)
{
	if (!rate->limited)
		return 0;
	fill(rate, now_ms / 1000.0);
	if (rate->tokens < 1)
		return 1 + (int64_t) ((1 - rate->tokens) / rate->per_s * 1000);
	rate->tokens -= 1;
	return 0;
}

void
smrt_rate_note(SmrtRate *rate, int64_t now_ms, bool throttled)
{
	double		now_s = now_ms / 1000.0;
	double		per_s;

	measure(rate, now_s);
	if (!throttled && !rate->limited)
		return;
	fill(rate, now_s);
	if (throttled)
	{
		rate->too_much = rate->limited ? fmin(rate->measured, rate->per_s) :
			rate->measured;
		rate->throttled_at_s = now_s;
		rate->limited = true;
		rate->filled_at_s = now_s;
		per_s = rate->too_much * BETA;
	}
	else
	{
		/* When the cubic is back at the rate that was too much. */
		double		back_s = cbrt(rate->too_much * (1 - BETA) / SCALE);

		per_s = SCALE * pow(now_s - rate->throttled_at_s - back_s, 3) +
			rate->too_much;
	}
	rate->per_s = fmax(LEAST_PER_S, fmin(per_s, 2 * rate->measured));
	rate->tokens = fmin(rate->tokens, fmax(1, rate->per_s));
}

static void
measure(SmrtRate *rate, double now_s)
{
	double		slice_s = floor(now_s / SLICE_S) * SLICE_S;

	if (rate->measured_at_s == 0)
		rate->measured_at_s = slice_s;
	rate->n_answers++;
	if (slice_s <= rate->measured_at_s)
		return;
	rate->measured = SMOOTHING * rate->n_answers / (slice_s - rate->measured_at_s) +
		(1 - SMOOTHING) * rate->measured;
	rate->measured_at_s = slice_s;
	rate->n_answers = 0;
}

static void
fill(SmrtRate *rate, double now_s)
{
	if (rate->limited && now_s > rate->filled_at_s)
		rate->tokens = fmin(fmax(1, rate->per_s), rate->tokens +
							(now_s - rate->filled_at_s) * rate->per_s);
	rate->filled_at_s = now_s;
}
