/*
 * Retry arithmetic against the table of the SDKs' standard mode 2.1.
 */
#include <limits.h>

#include "check.h"
#include "aws/retry.h"

#define LARGEST_JITTER 1.0		/* the table's; the callers' is just below */

static void
delays_double_up_to_the_cap(void)
{
	static const struct
	{
		SmrtRetryClass class;
		int64_t		ms[12];
	}			rows[] =
	{
		{SMRT_RETRY_TRANSIENT,
			{50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 20000, 20000, 20000}},
		{SMRT_RETRY_THROTTLED,
			{1000, 2000, 4000, 8000, 16000, 20000, 20000, 20000, 20000, 20000, 20000, 20000}},
		{SMRT_RETRY_PATIENT,
			{1000, 2000, 4000, 8000, 16000, 20000, 20000, 20000, 20000, 20000, 20000, 20000}},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		for (int retry = 0; retry < 12; retry++)
			CHECK_INT(smrt_retry_delay_ms(rows[i].class, retry,
										  LARGEST_JITTER, -1),
					  rows[i].ms[retry]);
		CHECK_INT(smrt_retry_delay_ms(rows[i].class, INT_MAX, LARGEST_JITTER,
									  -1), 20000);
	}
	CHECK_INT(smrt_retry_delay_ms(SMRT_RETRY_ONCE, 0, LARGEST_JITTER, -1), 50);
}

/* The cap comes before the jitter: late delays are spread too. */
static void
jitter_takes_any_part(void)
{
	CHECK_INT(smrt_retry_delay_ms(SMRT_RETRY_TRANSIENT, 0, 0, -1), 0);
	CHECK_INT(smrt_retry_delay_ms(SMRT_RETRY_TRANSIENT, 3, 0.5, -1), 200);
	CHECK_INT(smrt_retry_delay_ms(SMRT_RETRY_THROTTLED, 0, 0.25, -1), 250);
	CHECK_INT(smrt_retry_delay_ms(SMRT_RETRY_THROTTLED, 5, 0.5, -1), 10000);
	CHECK_INT(smrt_retry_delay_ms(SMRT_RETRY_THROTTLED, 50, 0, -1), 0);
}

static void
a_hint_lengthens_by_five_seconds_at_most(void)
{
	static const struct
	{
		double		jitter;
		int64_t		hint_ms;
		int64_t		ms;
	}			rows[] =
	{
		{1.0, -1, 1000},
		{1.0, 0, 1000},
		{1.0, 999, 1000},
		{1.0, 1000, 1000},
		{1.0, 1001, 1001},
		{1.0, 5999, 5999},
		{1.0, 6000, 6000},
		{1.0, 6001, 6000},
		{1.0, INT64_MAX, 6000},
		{0.0, 1, 1},
		{0.0, 5000, 5000},
		{0.0, 5001, 5000},
		{0.5, 7000, 5500},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK_INT(smrt_retry_delay_ms(SMRT_RETRY_THROTTLED, 0, rows[i].jitter,
									  rows[i].hint_ms), rows[i].ms);
}

static void
hints_are_whole_numbers_or_none(void)
{
	static const struct
	{
		const char *amz_ms;
		const char *retry_after;
		int64_t		ms;
	}			rows[] =
	{
		{NULL, NULL, -1},
		{"0", NULL, 0},
		{"1500", NULL, 1500},
		{"999999999", NULL, 999999999},
		{NULL, "0", 0},
		{NULL, "2", 2000},
		{NULL, "999999999", INT64_C(999999999000)},
		{"1500", "9", 1500},		/* the exact one counts */
		{"soon", "9", 9000},
		{"-1", "9", 9000},
		{"", "", -1},
		{"-1", NULL, -1},
		{"+1", NULL, -1},
		{"1.5", NULL, -1},
		{"1e3", NULL, -1},
		{" 1", NULL, -1},
		{"1 ", NULL, -1},
		{"0x10", NULL, -1},
		{"1000000000", NULL, -1},
		{"99999999999999999999", NULL, -1},
		{NULL, "-1", -1},
		{NULL, "Fri, 31 Dec 1999 23:59:59 GMT", -1},	/* from when? */
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK_INT(smrt_retry_hint_ms(smrt_span(rows[i].amz_ms),
									 smrt_span(rows[i].retry_after),
									 smrt_span(NULL)), rows[i].ms);
}

static void
a_date_counts_from_the_answers_own(void)
{
	static const struct
	{
		const char *amz_ms;
		const char *retry_after;
		const char *date;
		int64_t		ms;
	}			rows[] =
	{
		{NULL, "Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:56 GMT", 3000},
		{NULL, "Fri, 31 Dec 1999 23:59:59 GMT", "Sat, 01 Jan 2000 00:00:00 GMT", 0},
		{NULL, "Fri, 31 Dec 1999 23:59:59 GMT", "yesterday", -1},
		{NULL, "tomorrow", "Fri, 31 Dec 1999 23:59:56 GMT", -1},
		{"1500", "Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:56 GMT", 1500},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK_INT(smrt_retry_hint_ms(smrt_span(rows[i].amz_ms),
									 smrt_span(rows[i].retry_after),
									 smrt_span(rows[i].date)), rows[i].ms);
}

static void
every_kind_has_its_class(void)
{
	static const SmrtRetryClass classes[SMRT_FAULT_COUNT] = {
		[SMRT_FAULT_RESOLVE] = SMRT_RETRY_TRANSIENT,
		[SMRT_FAULT_CONNECT] = SMRT_RETRY_TRANSIENT,
		[SMRT_FAULT_CONNECT_TIMEOUT] = SMRT_RETRY_TRANSIENT,
		[SMRT_FAULT_CUT_OFF] = SMRT_RETRY_TRANSIENT,
		[SMRT_FAULT_TIMEOUT] = SMRT_RETRY_TRANSIENT,
		[SMRT_FAULT_SERVICE] = SMRT_RETRY_TRANSIENT,
		[SMRT_FAULT_STREAM] = SMRT_RETRY_TRANSIENT,
		[SMRT_FAULT_SERVER] = SMRT_RETRY_NEVER,
		[SMRT_FAULT_THROTTLED] = SMRT_RETRY_THROTTLED,
		[SMRT_FAULT_DEPENDENCY] = SMRT_RETRY_ONCE,
		[SMRT_FAULT_NOT_READY] = SMRT_RETRY_PATIENT,
		/* all others: SMRT_RETRY_NEVER */
	};

	for (int kind = 0; kind < SMRT_FAULT_COUNT; kind++)
		CHECK_INT(smrt_retry_class(kind), classes[kind]);
}

static void
attempts_are_counted_by_class(void)
{
	static const struct
	{
		SmrtRetryClass class;
		int			max_attempts;
		int			retries;		/* that are allowed; -1: any number */
	}			rows[] =
	{
		{SMRT_RETRY_NEVER, 1, 0},
		{SMRT_RETRY_NEVER, 100, 0},
		{SMRT_RETRY_TRANSIENT, 1, 0},
		{SMRT_RETRY_TRANSIENT, 3, 2},
		{SMRT_RETRY_TRANSIENT, 100, 99},
		{SMRT_RETRY_THROTTLED, 1, 0},
		{SMRT_RETRY_THROTTLED, 3, 2},
		{SMRT_RETRY_ONCE, 1, 0},
		{SMRT_RETRY_ONCE, 2, 1},
		{SMRT_RETRY_ONCE, 100, 1},
		{SMRT_RETRY_PATIENT, 1, 0},
		{SMRT_RETRY_PATIENT, 2, -1},
		{SMRT_RETRY_PATIENT, 3, -1},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		for (int retry = 0; retry < 1000; retry++)
			CHECK_INT(smrt_retry_counts(rows[i].class, retry,
										rows[i].max_attempts),
					  rows[i].retries < 0 || retry < rows[i].retries);
}

static int
retries_that_can_be_paid(SmrtRetryBucket *bucket, SmrtRetryClass class)
{
	int			price;
	int			n = 0;

	while (n < 10000 && smrt_bucket_take(bucket, class, &price))
		n++;
	return n;
}

static void
the_bucket_pays_so_many_retries(void)
{
	static const struct
	{
		SmrtRetryClass class;
		int			price;
		int			retries;
	}			rows[] =
	{
		{SMRT_RETRY_TRANSIENT, 14, 35},
		{SMRT_RETRY_ONCE, 14, 35},
		{SMRT_RETRY_THROTTLED, 5, 100},
		{SMRT_RETRY_PATIENT, 0, 10000},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtRetryBucket bucket;
		int			price = -1;

		smrt_bucket_init(&bucket);
		CHECK(smrt_bucket_take(&bucket, rows[i].class, &price));
		CHECK_INT(price, rows[i].price);
		CHECK_INT(1 + retries_that_can_be_paid(&bucket, rows[i].class),
				  rows[i].price ? rows[i].retries : 10001);
	}
}

static void
an_empty_bucket_stays_free_for_the_patient(void)
{
	SmrtRetryBucket bucket;
	int			price;

	smrt_bucket_init(&bucket);
	retries_that_can_be_paid(&bucket, SMRT_RETRY_TRANSIENT);
	retries_that_can_be_paid(&bucket, SMRT_RETRY_THROTTLED);
	CHECK(!smrt_bucket_take(&bucket, SMRT_RETRY_THROTTLED, &price));
	CHECK(smrt_bucket_take(&bucket, SMRT_RETRY_PATIENT, &price));
}

static void
a_success_gives_back_what_the_last_retry_cost(void)
{
	SmrtRetryBucket bucket;
	int			price;

	smrt_bucket_init(&bucket);
	retries_that_can_be_paid(&bucket, SMRT_RETRY_THROTTLED);
	smrt_bucket_give(&bucket, 14);
	CHECK_INT(retries_that_can_be_paid(&bucket, SMRT_RETRY_TRANSIENT), 1);

	/* without a retry one token: five successes pay for a throttled retry */
	for (int success = 1; success <= 5; success++)
	{
		CHECK(!smrt_bucket_take(&bucket, SMRT_RETRY_THROTTLED, &price));
		smrt_bucket_give(&bucket, 0);
	}
	CHECK(smrt_bucket_take(&bucket, SMRT_RETRY_THROTTLED, &price));
}

static void
the_bucket_has_a_brim(void)
{
	SmrtRetryBucket bucket;

	smrt_bucket_init(&bucket);
	for (int success = 0; success < 1000; success++)
		smrt_bucket_give(&bucket, 14);
	CHECK_INT(retries_that_can_be_paid(&bucket, SMRT_RETRY_TRANSIENT), 35);
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"delays double from their base up to 20 s", delays_double_up_to_the_cap},
		{"jitter takes any part of a delay", jitter_takes_any_part},
		{"a server's wish lengthens a delay by 5 s at most, and never shortens it",
		a_hint_lengthens_by_five_seconds_at_most},
		{"a wish is a whole number, else there is none", hints_are_whole_numbers_or_none},
		{"or a date, from the answer's own on", a_date_counts_from_the_answers_own},
		{"every kind of fault has its class", every_kind_has_its_class},
		{"attempts are counted by class", attempts_are_counted_by_class},
		{"a full bucket pays 35 retries, 100 when throttled", the_bucket_pays_so_many_retries},
		{"waiting for a model costs nothing", an_empty_bucket_stays_free_for_the_patient},
		{"a success gives back what the last retry cost, or one",
		a_success_gives_back_what_the_last_retry_cost},
		{"no bucket holds more than at first", the_bucket_has_a_brim},
	};

	return check_run(cases, COUNT_OF(cases));
}
