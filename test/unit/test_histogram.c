/*
 * Times in buckets, and the quantiles that come out of them.
 */
#include <math.h>

#include "check.h"
#include "aws/histogram.h"

static int
bucket_of(int64_t us)
{
	SmrtHistogram histogram = {{0}};

	smrt_histogram_add(&histogram, us);
	for (int i = 0; i < SMRT_HISTOGRAM_BUCKETS; i++)
		if (histogram.counts[i] > 0)
			return i;
	return -1;
}

static void
four_buckets_double_the_time(void)
{
	CHECK_INT(bucket_of(0), 0);
	CHECK_INT(bucket_of(64), 0);
	CHECK_INT(bucket_of(65), 1);
	CHECK_INT(bucket_of(128), 4);
	CHECK_INT(bucket_of(129), 5);
	CHECK_INT(bucket_of(65536), 40);
	CHECK_INT(bucket_of(INT64_MAX), SMRT_HISTOGRAM_BUCKETS - 1);
	CHECK_INT((int64_t) smrt_histogram_bound_us(0), 64);
	CHECK_INT((int64_t) smrt_histogram_bound_us(40), 65536);
	for (int i = 0; i < SMRT_HISTOGRAM_BUCKETS - 1; i++)
	{
		CHECK_INT(bucket_of((int64_t) smrt_histogram_bound_us(i)), i);
		CHECK_INT(bucket_of((int64_t) smrt_histogram_bound_us(i) + 1), i + 1);
	}
}

static void
a_quantile_is_within_a_tenth(void)
{
	static const double qs[] = {0.01, 0.5, 0.95, 0.99, 1.0};
	SmrtHistogram histogram = {{0}};

	CHECK(smrt_histogram_quantile_us(&histogram, 0.5) < 0);
	for (int64_t us = 1000; us <= 100000; us++)
		smrt_histogram_add(&histogram, us);
	for (size_t i = 0; i < COUNT_OF(qs); i++)
	{
		double		right = 1000 + qs[i] * 99000;
		double		found = smrt_histogram_quantile_us(&histogram, qs[i]);

		CHECK(fabs(found - right) < right / 10);
	}
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"four buckets double the time", four_buckets_double_the_time},
		{"a quantile is within a tenth", a_quantile_is_within_a_tenth},
	};

	return check_run(cases, COUNT_OF(cases));
}
