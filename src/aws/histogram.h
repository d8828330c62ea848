/*
 * Histograms of times on a logarithmic scale: four buckets for each doubling, so
 * that a quantile is off by a tenth at most, from microseconds to a day, in a
 * kilobyte.
 */
#ifndef SMRT_AWS_HISTOGRAM_H
#define SMRT_AWS_HISTOGRAM_H

#include <stdint.h>

/* The last bound is 64 us x 2^(127/4), over two days. */
#define SMRT_HISTOGRAM_BUCKETS 128

typedef struct SmrtHistogram
{
	int64_t		counts[SMRT_HISTOGRAM_BUCKETS];
} SmrtHistogram;

extern void smrt_histogram_add(SmrtHistogram *histogram, int64_t us);

/* The longest time that is counted in a bucket, in microseconds. */
extern double smrt_histogram_bound_us(int bucket);

/*
 * The time that a fraction q of all do not exceed, in microseconds: the middle of
 * the bucket where it lies; -1 when nothing was counted.
 */
extern double smrt_histogram_quantile_us(const SmrtHistogram *histogram,
										 double q);

#endif							/* SMRT_AWS_HISTOGRAM_H */
