/*
 * How well columns are kept.
 */
#ifndef SMRT_QUEUE_COVERAGE_H
#define SMRT_QUEUE_COVERAGE_H

#include "datatype/timestamp.h"

/* How well a kept column is kept. */
typedef struct SmrtCoverage
{
	const char *relation;		/* names as in sagemaker_kept_columns */
	const char *target;
	const char *model;
	const char *mode;
	const char *version;		/* the model's present label, or NULL */
	int64		scored;			/* under that label, where it is stamped */
	int64		missing;
	int64		stale;			/* under another label */
	int64		failed;			/* left out by table jobs */
	const Interval *waiting;	/* how long the oldest row in the queue waits, or
								 * NULL */
} SmrtCoverage;

/*
 * Calls tell(arg, coverage) for each kept column of a table of which the current
 * role may read all rows.  Needs search_path pinned.
 */
extern void smrt_coverage_tell(Oid namespace,
							   void (*tell) (void *arg, const SmrtCoverage *coverage),
							   void *arg);

#endif							/* SMRT_QUEUE_COVERAGE_H */
