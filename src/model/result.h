/*
 * One piece of an answer as a datum of the model function's result type.
 */
#ifndef SMRT_MODEL_RESULT_H
#define SMRT_MODEL_RESULT_H

#include "model/engine.h"

/*
 * The datum of an outcome that has a piece, in the current memory context.
 * Raises 38S01, naming the model and the row, when the piece does not fit the
 * type; what an input function or a domain objects to comes as its own error.
 *
 * While functions of users may be running, in_user_code is true.  An error that
 * comes out of these must not be caught without a subtransaction: they may have
 * changed the role, and hold more than memory.
 */
extern Datum smrt_result_read(const SmrtModel *model,
							  const SmrtOutcome *outcome,
							  volatile bool *in_user_code, bool *is_null);

#endif							/* SMRT_MODEL_RESULT_H */
