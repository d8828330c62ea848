/*
 * Rows in hand as a relation that statements may read.
 */
#ifndef SMRT_QUEUE_INHAND_H
#define SMRT_QUEUE_INHAND_H

#include "access/tupdesc.h"
#include "utils/tuplestore.h"

/* Its name in statements; no table of that name can stand in for it. */
#define SMRT_IN_HAND "sagemaker_rows"

/*
 * Until SPI_finish().  Both must stay until then.
 */
extern void smrt_inhand_show(TupleDesc desc, Tuplestorestate *store,
							 double n_rows);

#endif							/* SMRT_QUEUE_INHAND_H */
