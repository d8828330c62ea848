/*
 * The circuit breaker.  Its states:
 *
 *     closed --failures--> open --time--> a probe is out --success--> closed
 *                           ^                  |
 *                           +-- failed, or no answer in time
 */
#include "aws/breaker.h"

/* The longest is how late a recovery is noticed. */
#define FIRST_PAUSE_MS 500
#define LONGEST_PAUSE_MS 4000

bool
smrt_breaker_admits(SmrtBreaker *breaker, int64_t now_ms)
{
	if (!breaker->open)
		return true;
	if (now_ms < breaker->probe_at_ms)
		return false;
	breaker->probe_at_ms = now_ms + breaker->pause_ms;
	return true;
}

void
smrt_breaker_note(SmrtBreaker *breaker, int64_t now_ms, bool failed,
				  int threshold)
{
	if (!failed || threshold == 0)
	{
		*breaker = (SmrtBreaker) {0};
		return;
	}
	breaker->failures++;
	if (breaker->failures < threshold)
		return;
	if (!breaker->open)
		breaker->pause_ms = FIRST_PAUSE_MS;
	else if (breaker->pause_ms < LONGEST_PAUSE_MS)
		breaker->pause_ms *= 2;
	breaker->open = true;
	breaker->probe_at_ms = now_ms + breaker->pause_ms;
}
