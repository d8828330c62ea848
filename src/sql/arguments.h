/*
 * Arguments of our procedures, and what these give back.
 */
#ifndef SMRT_SQL_ARGUMENTS_H
#define SMRT_SQL_ARGUMENTS_H

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "queue/tablejob.h"

/*
 * Raises 2D000 where the procedure could not commit, 25006 where nothing can be
 * written.
 */
extern void smrt_arguments_require_no_transaction(FunctionCallInfo fcinfo,
												  const char *name);

/* NULL if the argument is. */
extern char *smrt_arguments_text(FunctionCallInfo fcinfo, int arg);

/*
 * Columns, of char *, written and folded as in SQL, with commas between; NIL, or
 * NULL, if the argument is null.  Raises 42602 for what is no list, or more than one
 * name.
 */
extern List *smrt_arguments_names(FunctionCallInfo fcinfo, int arg);
extern const char *smrt_arguments_name(FunctionCallInfo fcinfo, int arg);

/* A bigint, or otherwise if it is null.  Raises 22023, with its name, below min. */
extern int64 smrt_arguments_number(FunctionCallInfo fcinfo, int arg, int64 min,
								   int64 otherwise, const char *name);

/* The row of INOUT arguments that a job ends with. */
extern Datum smrt_arguments_job_counts(FunctionCallInfo fcinfo,
									   const SmrtJobCounts *counts);

#endif							/* SMRT_SQL_ARGUMENTS_H */
