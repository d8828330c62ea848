/*
 * Binary answers, as the JSON that says the same.
 */
#ifndef SMRT_MODEL_TENSOR_H
#define SMRT_MODEL_TENSOR_H

#include "aws/error.h"
#include "aws/span.h"

/*
 * The array of all predictions as JSON in the database's encoding, palloc'ed; NULL,
 * with the reason, when body is no such answer.  Of RecordIO-protobuf a prediction
 * is an object whose members are arrays of numbers; of NPY a number, or an array
 * where the answer has more dimensions.  What JSON has no number for is a string:
 * "NaN", "Infinity".
 */
extern char *smrt_tensor_from_recordio(SmrtSpan body, SmrtError *error);
extern char *smrt_tensor_from_npy(SmrtSpan body, SmrtError *error);

#endif							/* SMRT_MODEL_TENSOR_H */
