/*
 * From an outcome of the engine to a datum, or to what the model wants done
 * about a failure.
 */
#ifndef SMRT_MODEL_PREDICT_H
#define SMRT_MODEL_PREDICT_H

#include "model/engine.h"
#include "utils/tuplestore.h"

/*
 * The prediction in the current memory context; of a model that gives sets, an
 * array of the set's rows, NULL where it has none.  A failure is raised, or is
 * NULL, with a warning or without, as the model's on_error says.
 */
extern Datum smrt_predict_datum(const SmrtModel *model,
								const SmrtOutcome *outcome, bool *is_null);

/*
 * What is reported of an outcome with a fault or a problem, palloc'ed.  Needs no
 * transaction.
 */
extern void smrt_predict_words(const SmrtModel *model,
							   const SmrtOutcome *outcome,
							   SmrtReportWords *words);

/*
 * What fails all rows alike is never NULL without a word: that would be a table
 * full of nothing for a key that has expired.  An endpoint that is only busy, or
 * a connection that was lost, fails some rows and not others.
 */
extern bool smrt_predict_may_be_silent(const SmrtModel *model,
									   const SmrtOutcome *outcome);

/* One row, sent alone and waited for, by a model that gives no sets. */
extern Datum smrt_predict_row(const SmrtModel *model, const Datum *values,
							  const bool *nulls, bool *is_null);

/* The same by one that does, into store. */
extern void smrt_predict_rows(const SmrtModel *model, const Datum *values,
							  const bool *nulls, Tuplestorestate *store);

#endif							/* SMRT_MODEL_PREDICT_H */
