/*
 * The circuit breaker.
 */
#include "check.h"
#include "aws/breaker.h"

#define THRESHOLD 3

static SmrtBreaker
opened_at(int64_t now_ms)
{
	SmrtBreaker breaker = {0};

	for (int i = 0; i < THRESHOLD; i++)
		smrt_breaker_note(&breaker, now_ms, true, THRESHOLD);
	return breaker;
}

static void
failures_in_a_row_open_it(void)
{
	SmrtBreaker breaker = {0};

	smrt_breaker_note(&breaker, 0, true, THRESHOLD);
	smrt_breaker_note(&breaker, 0, true, THRESHOLD);
	smrt_breaker_note(&breaker, 0, false, THRESHOLD);
	smrt_breaker_note(&breaker, 0, true, THRESHOLD);
	smrt_breaker_note(&breaker, 0, true, THRESHOLD);
	CHECK(smrt_breaker_admits(&breaker, 1));
	smrt_breaker_note(&breaker, 0, true, THRESHOLD);
	CHECK(!smrt_breaker_admits(&breaker, 1));
}

static void
one_probe_is_let_through_at_a_time(void)
{
	SmrtBreaker breaker = opened_at(0);
	int			probes = 0;

	/* None of them is ever answered. */
	for (int64_t ms = 1; ms < 60000; ms++)
		probes += smrt_breaker_admits(&breaker, ms);
	CHECK_INT(probes, 119);
}

static void
probes_that_fail_are_rarer_but_never_over_four_seconds(void)
{
	SmrtBreaker breaker = opened_at(0);
	int64_t		last_ms = 0;
	int			probes = 0;

	for (int64_t ms = 1; ms < 60000; ms++)
	{
		if (!smrt_breaker_admits(&breaker, ms))
			continue;
		smrt_breaker_note(&breaker, ms, true, THRESHOLD);
		CHECK(ms - last_ms <= 4000);
		last_ms = ms;
		probes++;
	}
	CHECK(probes < 20);
}

static void
a_success_closes_it(void)
{
	SmrtBreaker breaker = opened_at(0);

	CHECK(smrt_breaker_admits(&breaker, 1000));
	smrt_breaker_note(&breaker, 1001, false, THRESHOLD);
	for (int i = 0; i < 10; i++)
		CHECK(smrt_breaker_admits(&breaker, 1002));
}

static void
without_a_threshold_it_stays_closed(void)
{
	SmrtBreaker breaker = {0};

	for (int i = 0; i < 1000; i++)
		smrt_breaker_note(&breaker, i, true, 0);
	CHECK(smrt_breaker_admits(&breaker, 1000));
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"failures in a row open it", failures_in_a_row_open_it},
		{"one probe is let through at a time", one_probe_is_let_through_at_a_time},
		{"probes that fail are rarer, but never over four seconds", probes_that_fail_are_rarer_but_never_over_four_seconds},
		{"a success closes it", a_success_closes_it},
		{"without a threshold it stays closed", without_a_threshold_it_stays_closed},
	};

	return check_run(cases, COUNT_OF(cases));
}
