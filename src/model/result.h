/*
 * One piece of an answer as the model function's result.
 */
#ifndef SMRT_MODEL_RESULT_H
#define SMRT_MODEL_RESULT_H

#include "model/engine.h"

/* What a row of arguments gives. */
typedef struct SmrtResult
{
	Datum		datum;
	bool		is_null;
	List	   *rows;			/* of HeapTuple: all of it, if the function gives
								 * sets */
} SmrtResult;

/*
 * The result of an outcome that has a piece, in the current memory context.
 * Raises 38S01, naming the model and the row, when the piece does not fit the
 * type; what an input function or a domain objects to comes as its own error.
 *
 * While functions of users may be running, in_user_code is true.  An error that
 * comes out of these must not be caught without a subtransaction: they may have
 * changed the role, and hold more than memory.
 */
extern void smrt_result_read(const SmrtModel *model, const SmrtOutcome *outcome,
							 volatile bool *in_user_code, SmrtResult *result);

/*
 * What stands for the prediction of an outcome that has none that is fit: NULL,
 * or, where errors are data or the function gives sets, a row of NULLs with what
 * is bound.
 */
extern void smrt_result_of_failure(const SmrtModel *model,
								   const SmrtOutcome *outcome,
								   const SmrtReportWords *error,
								   SmrtResult *result);

#endif							/* SMRT_MODEL_RESULT_H */
