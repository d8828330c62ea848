/*
 * Histograms of times.
 */
#include "aws/histogram.h"

#include <math.h>

/* Shorter times are not told apart: no request over a network is. */
#define FIRST_BOUND_US 64.0

#define BUCKETS_PER_DOUBLING 4

void
smrt_histogram_add(SmrtHistogram *histogram, int64_t us)
{
	int			bucket = 0;

	if (us > FIRST_BOUND_US)
		bucket = (int) ceil(log2(us / FIRST_BOUND_US) * BUCKETS_PER_DOUBLING);
	if (bucket >= SMRT_HISTOGRAM_BUCKETS)
		bucket = SMRT_HISTOGRAM_BUCKETS - 1;
	histogram->counts[bucket]++;
}

double
smrt_histogram_bound_us(int bucket)
{
	return FIRST_BOUND_US * exp2((double) bucket / BUCKETS_PER_DOUBLING);
}

double
smrt_histogram_quantile_us(const SmrtHistogram *histogram, double q)
{
	int64_t		total = 0;
	int64_t		seen = 0;

	for (int i = 0; i < SMRT_HISTOGRAM_BUCKETS; i++)
		total += histogram->counts[i];
	if (total == 0)
		return -1;
	for (int i = 0; i < SMRT_HISTOGRAM_BUCKETS; i++)
	{
		seen += histogram->counts[i];
		if (seen >= q * total)
			return FIRST_BOUND_US * exp2((i - 0.5) / BUCKETS_PER_DOUBLING);
	}
	return smrt_histogram_bound_us(SMRT_HISTOGRAM_BUCKETS - 1);
}
