/*
 * One call of a scan: the arguments of every row go in, what the call gives comes
 * out in the order of the rows.  The call is of a model, or of an operation:
 * sagemaker_invoke, sagemaker_invoke_async.
 */
#ifndef SMRT_SCAN_COLUMN_H
#define SMRT_SCAN_COLUMN_H

#include "model/engine.h"
#include "nodes/execnodes.h"
#include "pg/compat.h"

typedef struct SmrtColumn SmrtColumn;

/*
 * In the current memory context.  model is what smrt_predictscan_model() made;
 * expressions are the call's guard (NULL: none) and its arguments, over the
 * columns of the parent's child.  Raises 42501 if the current role may not
 * execute the function.
 */
extern SmrtColumn *smrt_column_create(List *model, List *expressions,
									  PlanState *parent);

/* How many rows its requests in flight can hold; 0: no row has reached the call. */
extern int	smrt_column_window(const SmrtColumn *column);

/*
 * Takes in a row, ecxt_outertuple.  The column keeps what it needs of it in the
 * current memory context, until smrt_column_reset().
 */
extern void smrt_column_take(SmrtColumn *column, ExprContext *econtext);

/* How much of it was sent and not given out, of a scan that holds so many rows. */
extern SmrtEngineLoad smrt_column_load(const SmrtColumn *column, int n_held);

/* No more rows for now: what waits for more of them is sent. */
extern void smrt_column_finish(SmrtColumn *column);

/* What is sent from now on is for the current role, which was another one. */
extern void smrt_column_change_role(SmrtColumn *column);

/*
 * What the call gives for the oldest row not given out, in the current memory
 * context.  Counted as the call that it was.
 */
extern Datum smrt_column_give(SmrtColumn *column, bool *is_null);

/* Forgets all rows; their memory is the caller's to reset. */
extern void smrt_column_reset(SmrtColumn *column);

/* What it has sent so far. */
extern const SmrtEngineCounts *smrt_column_counts(const SmrtColumn *column);

/* What it does, and with ANALYZE what was sent, by whomever. */
extern void smrt_column_explain(SmrtColumn *column, const SmrtEngineCounts *counts,
								ExplainState *es);

#endif							/* SMRT_SCAN_COLUMN_H */
