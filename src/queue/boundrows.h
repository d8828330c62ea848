/*
 * Rows of a bound table in hand: keys, inputs and targets as they were read, so
 * that predictions are written back only onto rows in which these are the same.
 *
 * All of it needs a transaction.  The statements name everything with its schema,
 * so search_path is left as it is: triggers of the table need theirs.
 */
#ifndef SMRT_QUEUE_BOUNDROWS_H
#define SMRT_QUEUE_BOUNDROWS_H

#include "access/htup.h"
#include "model/rowset.h"
#include "queue/boundtable.h"
#include "utils/array.h"
#include "utils/portal.h"

typedef struct SmrtBoundRows
{
	MemoryContext context;		/* all of this is in it */
	TupleDesc	desc;			/* as of smrt_boundtable_select() */
	int			n;
	int			size;			/* of tuples */
	HeapTuple  *tuples;
	size_t		bytes;			/* of tuples */
	int		   *numbers;		/* smrt_boundrows_read(): the key's number */
} SmrtBoundRows;

/*
 * The next rows of a cursor over smrt_boundtable_select(), in the current memory
 * context: max of them, or fewer if they are large.  None: the cursor has no
 * more.  They may outlive the transaction.
 */
extern SmrtBoundRows *smrt_boundrows_fetch(Portal cursor, int max);

/*
 * The rows that have these keys, as far as they are there and the current role
 * may see them.  Into the current memory context.
 */
extern SmrtBoundRows *smrt_boundrows_read(const SmrtBoundTable *binding, int n,
										  ArrayType *const *keys);

/* Adds all rows to a set, which gets as many. */
extern void smrt_boundrows_feed(const SmrtBoundTable *binding,
								const SmrtBoundRows *rows, SmrtRowset *set);

/* Row i's key. */
extern ArrayType *smrt_boundrows_key(const SmrtBoundTable *binding,
									 const SmrtBoundRows *rows, int i);

/* How predictions are written. */
typedef struct SmrtWriting
{
	bool		skip_locked;	/* not onto rows that others hold: wait for none */
	bool		only_unscored;	/* of a source: not onto a prediction that is there */
	bool		insert;			/* rows of their own, unless their key is there */
	bool		isolate;		/* what a constraint objects to is the row's failure,
								 * else it is raised */
} SmrtWriting;

/*
 * Writes a prediction for each row that has one, without a failure, onto the
 * row with its key if inputs and targets are the same there; written says which
 * were, or, where rows are inserted, which are there.
 * Rows that were not sent get NULL.  Both arrays have rows->n elements.  A new
 * failure is in the current memory context.  Gives the number of rows written.
 */
extern int64 smrt_boundrows_write(const SmrtBoundTable *binding,
								  const SmrtBoundRows *rows,
								  SmrtPrediction *predictions, bool *written,
								  const SmrtWriting *writing);

#endif							/* SMRT_QUEUE_BOUNDROWS_H */
