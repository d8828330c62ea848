/*
 * A row's key as text[], one element a column, the same in every session.
 */
#ifndef SMRT_QUEUE_KEY_H
#define SMRT_QUEUE_KEY_H

#include "queue/boundtable.h"
#include "utils/array.h"

/* Raises 22004 if one is null. */
extern ArrayType *smrt_key_to_text(const SmrtBoundTable *binding,
								   const Datum *values, const bool *nulls);

/*
 * Fills values, binding->n_keys of them.  Raises 22023 for another number of
 * elements; what an input function objects to comes as its own error.
 */
extern void smrt_key_from_text(const SmrtBoundTable *binding, ArrayType *key,
							   Datum *values);

#endif							/* SMRT_QUEUE_KEY_H */
