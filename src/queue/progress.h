/*
 * What table jobs and queue workers are at, in shared memory, for whoever may look.
 * Only where the postmaster loaded the library; elsewhere nothing is kept.
 *
 * A process has one slot at most, and gives it back when it ends.  No slot free:
 * what it does is not shown.
 */
#ifndef SMRT_QUEUE_PROGRESS_H
#define SMRT_QUEUE_PROGRESS_H

#include "datatype/timestamp.h"

typedef enum SmrtWork
{
	SMRT_WORK_NONE,				/* the slot is free */
	SMRT_WORK_TABLE_JOB,
	SMRT_WORK_QUEUE_WORKER,
	SMRT_WORK_COUNT
} SmrtWork;

typedef enum SmrtProgressPhase
{
	SMRT_PROGRESS_WAITING,			/* for rows */
	SMRT_PROGRESS_READING,
	SMRT_PROGRESS_ASKING,
	SMRT_PROGRESS_WRITING,
	SMRT_PROGRESS_COUNT
} SmrtProgressPhase;

/* Of rows, but for the requests. */
typedef struct SmrtProgressCounts
{
	int64		seen;
	int64		scored;
	int64		failed;
	int64		skipped;
	int64		requests;
} SmrtProgressCounts;

typedef struct SmrtProgress
{
	SmrtWork	work;
	SmrtProgressPhase	phase;
	int			pid;
	Oid			database;
	Oid			role;
	Oid			relation;		/* of that database; InvalidOid: none at the time */
	Oid			model;
	TimestampTz started_at;
	SmrtProgressCounts counts;
} SmrtProgress;

/* In the postmaster, while it loads the library. */
extern void smrt_progress_install(void);

/* This process begins to work as the current role, and has ended it. */
extern void smrt_progress_begin(SmrtWork work);
extern void smrt_progress_end(void);

/* Without effect before the one and after the other. */
extern void smrt_progress_enter(SmrtProgressPhase phase);
extern void smrt_progress_at(Oid relation, Oid model);
extern void smrt_progress_add(const SmrtProgressCounts *more);

/*
 * Calls tell(arg, progress) for each that works, in whatever database, if the
 * current role may see it: as in pg_stat_activity, its own role's and those of
 * which it has the privileges, or all with pg_read_all_stats.  Raises 55000 where
 * nothing is kept.
 */
extern void smrt_progress_tell(void (*tell) (void *arg, const SmrtProgress *progress),
							   void *arg);

#endif							/* SMRT_QUEUE_PROGRESS_H */
