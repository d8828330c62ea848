/*
 * One piece of an answer as a datum of the model function's result type.
 */
#ifndef SMRT_MODEL_RESULT_H
#define SMRT_MODEL_RESULT_H

#include "model/answer.h"

/*
 * The datum, in the current memory context.  Raises 38S01, naming the model and
 * the row, when the piece does not fit the type; what an input function of a
 * type of somebody else's objects to comes as its own error.
 */
extern Datum smrt_result_read(const SmrtModel *model, bool json,
							  SmrtSpan piece, int row, bool *is_null);

#endif							/* SMRT_MODEL_RESULT_H */
