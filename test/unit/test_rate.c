/*
 * The adaptive rate, against a service that takes so many requests a second.
 */
#include "check.h"
#include "aws/rate.h"

/* Requests in a second of trying as fast as allowed; more than limit: throttled. */
static int
try_for_a_second(SmrtRate *rate, int64_t *now_ms, int limit, int *throttled)
{
	int			sent = 0;

	for (int ms = 0; ms < 1000; ms += 5, *now_ms += 5)
	{
		if (smrt_rate_take(rate, *now_ms) > 0)
			continue;
		sent++;
		*throttled += sent > limit;
		smrt_rate_note(rate, *now_ms, sent > limit);
	}
	return sent;
}

static void
there_is_no_limit_before_the_first_throttle(void)
{
	SmrtRate	rate = {0};
	int64_t		now_ms = 1000000;
	int			throttled = 0;

	for (int s = 0; s < 5; s++)
		CHECK_INT(try_for_a_second(&rate, &now_ms, 1000, &throttled), 200);
	CHECK(!rate.limited);
}

static void
a_throttle_takes_three_tenths(void)
{
	SmrtRate	rate = {0};
	int64_t		now_ms = 1000000;
	int			throttled = 0;

	for (int s = 0; s < 5; s++)
		(void) try_for_a_second(&rate, &now_ms, 1000, &throttled);
	smrt_rate_note(&rate, now_ms, true);
	CHECK(rate.limited);
	CHECK(rate.per_s > 0.69 * 200 && rate.per_s < 0.71 * 200);
}

static void
it_settles_below_what_the_service_takes(void)
{
	SmrtRate	rate = {0};
	int64_t		now_ms = 1000000;
	int			throttled = 0;
	int			sent = 0;

	for (int s = 0; s < 10; s++)
		(void) try_for_a_second(&rate, &now_ms, 50, &throttled);
	throttled = 0;
	for (int s = 0; s < 30; s++)
		sent += try_for_a_second(&rate, &now_ms, 50, &throttled);
	CHECK(throttled * 10 < sent);
	CHECK(sent - throttled > 30 * 50 / 2);
}

static void
it_recovers_within_five_seconds(void)
{
	SmrtRate	rate = {0};
	int64_t		now_ms = 1000000;
	int			throttled = 0;
	int			last = 0;

	for (int s = 0; s < 20; s++)
		(void) try_for_a_second(&rate, &now_ms, 0, &throttled);
	CHECK(rate.per_s < 1);
	for (int s = 0; s < 5; s++)
		last = try_for_a_second(&rate, &now_ms, 1000, &throttled);
	CHECK(last > 10);
}

static void
a_wait_is_as_long_as_it_says(void)
{
	SmrtRate	rate = {0};
	int64_t		now_ms = 1000000;
	int64_t		wait_ms;

	smrt_rate_note(&rate, now_ms, true);
	while ((wait_ms = smrt_rate_take(&rate, now_ms)) == 0)
		;
	CHECK(wait_ms > 1900 && wait_ms <= 2001);	/* half a request a second */
	CHECK(smrt_rate_take(&rate, now_ms + wait_ms - 10) > 0);
	CHECK_INT(smrt_rate_take(&rate, now_ms + wait_ms), 0);
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"there is no limit before the first throttle", there_is_no_limit_before_the_first_throttle},
		{"a throttle takes three tenths", a_throttle_takes_three_tenths},
		{"it settles below what the service takes", it_settles_below_what_the_service_takes},
		{"it recovers within five seconds", it_recovers_within_five_seconds},
		{"a wait is as long as it says", a_wait_is_as_long_as_it_says},
	};

	return check_run(cases, COUNT_OF(cases));
}
