/*
 * A row's arguments as bytes of a request: a line of CSV, a JSON value, or numbers.
 */
#ifndef SMRT_MODEL_ROW_H
#define SMRT_MODEL_ROW_H

#include "aws/buffer.h"
#include "model/model.h"

/*
 * Appends the row to body, in UTF-8.  False when the row is not to be sent and
 * its prediction is NULL.  What it writes depends on no setting of the session.
 * Raises 22004 for a NULL that the model forbids, 22023 for a value that does
 * not fit the format.
 */
extern bool smrt_row_write(const SmrtModel *model, const Datum *values,
						   const bool *nulls, SmrtBuf *body);

/* The shared part of a row so written, which is cut off it; absent: there is none. */
extern SmrtSpan smrt_row_take_shared(const SmrtModel *model, SmrtSpan *row);

/* The names of the arguments as a line of CSV. */
extern void smrt_row_write_header(const SmrtModel *model, SmrtBuf *body);

#endif							/* SMRT_MODEL_ROW_H */
