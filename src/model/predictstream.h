/*
 * A streaming model's text for one row, piece by piece.
 */
#ifndef SMRT_MODEL_PREDICTSTREAM_H
#define SMRT_MODEL_PREDICTSTREAM_H

#include "model/model.h"
#include "model/textset.h"

/*
 * Sends the row for the current role.  All of it lies in the current memory
 * context, whose deletion drops the transfer; the model must stay.  NULL: the row
 * is not to be sent.  Raises what is wrong with a value, and 54000 for a body that
 * is over max_bytes.
 */
extern SmrtTextSet *smrt_predictstream_open(const SmrtModel *model,
											const Datum *values,
											const bool *nulls);

#endif							/* SMRT_MODEL_PREDICTSTREAM_H */
