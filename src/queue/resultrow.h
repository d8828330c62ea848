/*
 * A prediction as a row: what the columns that are written get.
 */
#ifndef SMRT_QUEUE_RESULTROW_H
#define SMRT_QUEUE_RESULTROW_H

#include "access/tupdesc.h"
#include "model/rowset.h"
#include "queue/boundtable.h"

/*
 * Adds the row's columns to a description, from number on: r1, r2, ... with the
 * prediction, as one value or, for several targets, as its columns; then a column
 * a stamp.  A column of binding->written has its source among them.
 */
extern void smrt_resultrow_describe(const SmrtBoundTable *binding, TupleDesc desc,
									AttrNumber number);

/* How many these are. */
static inline int
smrt_resultrow_width(const SmrtBoundTable *binding)
{
	return binding->n_targets + SMRT_STAMP_COUNT;
}

/* The row of a prediction that is made now, in the current memory context. */
extern void smrt_resultrow_fill(const SmrtBoundTable *binding,
								const SmrtPrediction *prediction,
								Datum *values, bool *nulls);

#endif							/* SMRT_QUEUE_RESULTROW_H */
