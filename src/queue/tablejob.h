/*
 * A table job: predicts the rows of a table that have no prediction, a
 * transaction's worth at a time.
 *
 *     read and lock rows -- commit -- call -- write and record -- commit
 *
 * No lock and no snapshot is held while the endpoint is called.  So the job may
 * be ended at any time, run again, and run twice at once.
 */
#ifndef SMRT_QUEUE_TABLEJOB_H
#define SMRT_QUEUE_TABLEJOB_H

#include "queue/boundtable.h"

typedef struct SmrtTableJob
{
	SmrtTableSpec spec;
	Oid			namespace;		/* the extension's */
	const char *rows;			/* a condition; NULL: those without a prediction, or
								 * with one of another version */
	const char *source;			/* a query for keys and inputs; NULL: the table */
	bool		insert;			/* predictions are rows of their own */
	int			rows_per_transaction;
	int64		max_rows;		/* to be sent; 0: any number */
	int64		max_time_ms;	/* no round begins later; 0: never mind */
	int			max_attempts;	/* of a row that fails, over all jobs */
	int64		max_failed_rows;	/* -1: any number */
	double		max_failed_ratio;	/* of the rows sent */
} SmrtTableJob;

typedef struct SmrtJobCounts
{
	int64		scored;
	int64		failed;
	int64		skipped;		/* failed before: not sent again */
	int64		unwritten;		/* held or changed by others meanwhile */
} SmrtJobCounts;

/* A job over all rows without a prediction, without bounds but for failures. */
extern void smrt_tablejob_init(SmrtTableJob *job);

/*
 * Runs the job in a procedure that may end transactions.  Counts what was
 * committed, also when it ends with an error: that of the endpoint if this failed
 * as a whole, or 54000 with a summary for too many failed rows.
 */
extern void smrt_tablejob_run(const SmrtTableJob *job, SmrtJobCounts *counts);

#endif							/* SMRT_QUEUE_TABLEJOB_H */
