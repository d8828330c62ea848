/*
 * Reading CSV as containers write it: RFC 4180 with LF or CR LF.
 */
#ifndef SMRT_MODEL_CSV_H
#define SMRT_MODEL_CSV_H

#include "aws/span.h"

/*
 * Takes the next record off the front of rest, without its line end; false when
 * rest is empty.  A line end at the very end begins no record.
 */
extern bool smrt_csv_record(SmrtSpan *rest, SmrtSpan *record);

/*
 * Takes the next field off the front of a record, with its quotes if it has
 * some; *more is false with the last one.
 */
extern SmrtSpan smrt_csv_field(SmrtSpan *record, bool *more);

/*
 * The value of a field: quotes off, doubled ones single, blanks around it cut.
 * out has room for field.len bytes; the value's length is returned.
 */
extern size_t smrt_csv_value(SmrtSpan field, char *out);

#endif							/* SMRT_MODEL_CSV_H */
