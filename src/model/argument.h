/*
 * Arguments of SQL functions as the floors below want them.
 */
#ifndef SMRT_MODEL_ARGUMENT_H
#define SMRT_MODEL_ARGUMENT_H

#include "aws/span.h"

/* A text as it is; it points into the argument, or to what it was detoasted to. */
extern SmrtSpan smrt_argument_text(Datum value, bool is_null);

/*
 * A body of type bytea as it is, of type text, json or jsonb in UTF-8.  A text
 * that looks like bytea gives a NOTICE, and warned_of_bytea is set; if it was
 * already, nothing is said.
 */
extern SmrtSpan smrt_argument_body(Oid type, Datum value, bool *warned_of_bytea);

/* What bodies of that type are sent as unless told otherwise, or absent. */
extern SmrtSpan smrt_argument_content_type(Oid type);

#endif							/* SMRT_MODEL_ARGUMENT_H */
