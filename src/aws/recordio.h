/*
 * application/x-recordio-protobuf, as SageMaker's own algorithms speak it: frames
 * around messages of type aialgs.data.Record.  The part of protobuf that these
 * need; what they do not use is passed over.
 */
#ifndef SMRT_AWS_RECORDIO_H
#define SMRT_AWS_RECORDIO_H

#include "aws/buffer.h"
#include "aws/error.h"
#include "aws/number.h"

/* Appends one record: the feature "values", of 32 bits each. */
extern void smrt_recordio_append(SmrtBuf *out, const double *values, size_t n);

/*
 * Takes the next record off the front of rest; an error when it is not a whole
 * one.  rest must not be empty.
 */
extern bool smrt_recordio_next(SmrtSpan *rest, SmrtSpan *record,
							   SmrtError *error);

/* One output of a record.  All point into it. */
typedef struct SmrtRecordioLabel
{
	SmrtSpan	name;
	SmrtNumberKind kind;
	SmrtSpan	values;			/* packed */
} SmrtRecordioLabel;

/*
 * Takes the next output off the front of a record; *found is false after the last.
 * A name that comes twice counts as it comes last.
 */
extern bool smrt_recordio_label(SmrtSpan *record, SmrtRecordioLabel *label,
								bool *found, SmrtError *error);

/* Takes the next number off an output's values; false after the last. */
extern bool smrt_recordio_number(SmrtRecordioLabel *label, SmrtNumber *number);

#endif							/* SMRT_AWS_RECORDIO_H */
