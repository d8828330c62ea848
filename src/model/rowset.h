/*
 * Rows that are in hand, predicted together, each with its own success or
 * failure as a value.
 *
 *     in a transaction:    set = smrt_rowset_create(model, ...);
 *                          smrt_rowset_add(set, values, nulls), row by row
 *     with or without one: smrt_rowset_send(set)
 *     in a transaction:    smrt_rowset_read(set, model, i, ...)
 *
 * The three may be three transactions, as the worker has them, or one, as
 * triggers have.  Who has many rows goes step by step, and writes what is known
 * while the next requests are in flight:
 *
 *     while (known < n)
 *         known = smrt_rowset_advance(set, some);
 *         read, write and commit these; smrt_rowset_forget(set)
 *
 * The set lives in the memory context that is current when it is
 * made, and with isolate raises no error that is about one row only.
 */
#ifndef SMRT_MODEL_ROWSET_H
#define SMRT_MODEL_ROWSET_H

#include "aws/blame.h"
#include "aws/digest.h"
#include "datatype/timestamp.h"
#include "model/engine.h"

typedef struct SmrtRowset SmrtRowset;

/* Why a row has no prediction. */
typedef struct SmrtFailure
{
	SmrtBlame	blame;
	int			sqlstate;
	const char *message;
	const char *detail;			/* or NULL */
	const char *hint;			/* or NULL */
	const char *request_id;		/* or NULL */
	bool		is_loud;		/* never NULL without a word */
} SmrtFailure;

/* What became of a row. */
typedef struct SmrtPrediction
{
	const SmrtFailure *failure; /* NULL: there is a value */
	bool		sent;			/* else NULL without a call, as the model says */
	Datum		value;
	bool		is_null;
	const SmrtResponse *response;	/* without its body; NULL: there was none */
} SmrtPrediction;

/*
 * For the current role, or the model's definer.  With isolate, a request in
 * which some row may be bad is halved and sent again, whatever the model's
 * on_error, so that all other rows get their predictions.  The model must stay
 * until everything is sent.  Needs a transaction.  Errors: as smrt_target_get().
 */
extern SmrtRowset *smrt_rowset_create(const SmrtModel *model, bool isolate,
									  SmrtEngineCounts *counts);

/*
 * Adds a row.  Nothing of its datums is kept.  With isolate what is wrong with a
 * value is the row's failure, else it is raised.
 */
extern void smrt_rowset_add(SmrtRowset *set, const Datum *values,
							const bool *nulls);

/*
 * SHA-256 of what is sent for row i: equal digests, equal inputs.  Depends on no
 * setting of the session.
 */
extern void smrt_rowset_digest(const SmrtRowset *set, int i,
							   unsigned char digest[SMRT_SHA256_LEN]);

/* Row i will not be sent, and has no prediction. */
extern void smrt_rowset_leave_out(SmrtRowset *set, int i);

/* As smrt_engine_name_requests(), of all rows of the set in their order. */
extern void smrt_rowset_name_requests(SmrtRowset *set,
									  const char *const *inference_ids);

/*
 * Sends all rows and waits for what becomes of them.  When the endpoint fails as a
 * whole no more are sent; they have its failure.  Needs no transaction.
 * Interruptible.  Raises what is wrong before anything can be sent: 28000 without
 * credentials, 22023 without a region.
 */
extern void smrt_rowset_send(SmrtRowset *set);

/*
 * The same until what becomes of n more rows is known, or of all.  Gives the number
 * of rows, from the first one on, of which it is.  As many requests as the model
 * permits are in flight when it returns, as long as there are rows for them.
 */
extern int	smrt_rowset_advance(SmrtRowset *set, int n);

/* What became of rows so far is not read any more: its memory is freed. */
extern void smrt_rowset_forget(SmrtRowset *set);

/* When row i was sent first; 0: it was not. */
extern TimestampTz smrt_rowset_sent_at(const SmrtRowset *set, int i);

/*
 * What became of row i, once known; in the current memory context, the failure in
 * the set's.  The model may have been read again since the set was made.  Needs
 * a transaction.  Without isolate an answer that does not fit is raised.
 */
extern void smrt_rowset_read(SmrtRowset *set, const SmrtModel *model, int i,
							 SmrtPrediction *prediction);

/* An error that was caught as a failure, palloc'ed but for the error's words. */
extern SmrtFailure *smrt_failure_of_error(SmrtBlame blame,
										  const ErrorData *error);

/*
 * A failure is raised, or the prediction becomes NULL, or the error as data, with a
 * warning or without, as the model's on_error says.  In the current memory context.
 */
extern void smrt_prediction_settle(const SmrtModel *model,
								   SmrtPrediction *prediction);

/* Raises the failure, or, at a lower level, reports and returns. */
extern void smrt_failure_report(int level, const SmrtFailure *failure);

#endif							/* SMRT_MODEL_ROWSET_H */
