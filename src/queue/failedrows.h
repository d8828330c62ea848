/*
 * The table sagemaker_failed_rows: what could not be predicted, so that it is not
 * paid for again and again.
 *
 * Its rows are read and written as its owner, whoever runs the job.  All need a
 * transaction and search_path pinned.
 */
#ifndef SMRT_QUEUE_FAILEDROWS_H
#define SMRT_QUEUE_FAILEDROWS_H

#include "model/rowset.h"
#include "queue/boundtable.h"
#include "utils/array.h"

/* A row of a job. */
typedef struct SmrtJobRow
{
	ArrayType  *key;			/* as of smrt_key_to_text() */
	unsigned char digest[SMRT_SHA256_LEN];	/* of its input */
	bool		is_known;		/* it failed before, with whatever input */
	bool		is_same;		/* and that was the same */
	bool		is_permanent;
	int			attempts;
	bool		is_left_out;	/* so it was not sent again */
	const SmrtFailure *failure; /* of this job, or NULL */
	bool		is_settled;		/* by this job: no failure any more */
} SmrtJobRow;

/* Fills in what is known of the rows.  namespace is the extension's. */
extern void smrt_failedrows_find(Oid namespace, const SmrtBoundTable *binding,
								 SmrtJobRow *rows, int n);

/* Writes down failures, and forgets what is settled. */
extern void smrt_failedrows_record(Oid namespace, const SmrtBoundTable *binding,
								   const SmrtJobRow *rows, int n);

/*
 * Forgets failures, so that the rows are tried again: of all models or one, of all
 * rows or the one with that key.  Gives how many.
 */
extern int64 smrt_failedrows_forget(Oid namespace, Oid relation, Oid model,
									ArrayType *key);

/*
 * Whether the current role may read all of that table, and no row-level security
 * keeps rows from it.
 */
extern bool smrt_failedrows_may_read(const char *relation);

#endif							/* SMRT_QUEUE_FAILEDROWS_H */
