/*
 * One value as text, the same in every session, or as a number.
 */
#ifndef SMRT_MODEL_VALUETEXT_H
#define SMRT_MODEL_VALUETEXT_H

#include "aws/buffer.h"
#include "model/model.h"

#define SMRT_VALUE_TEXT_SIZE 160

/* What has to be known of a type that is a part of an argument's. */
extern SmrtModelArgument smrt_value_part(Oid type);

/*
 * A number or a point in time, perhaps in buffer, which has SMRT_VALUE_TEXT_SIZE
 * bytes; NULL when the type is none.  "nan", "inf" and "-inf" are numbers.
 */
extern const char *smrt_value_number(Oid type, Datum value, char *buffer);
extern const char *smrt_value_time(Oid type, Datum value, char *buffer);

/*
 * The same numbers, and Booleans, as a float; of these types there are no others.
 * Raises 22003 for a numeric that is too large.
 */
extern bool smrt_value_is_number(Oid type);
extern double smrt_value_float(Oid type, Datum value);

/* Any other value, as its type's output function writes it. */
extern char *smrt_value_text(const SmrtModelArgument *argument, Datum value);

/* The same, and where the type is text no copy: it stays as long as the value. */
extern SmrtSpan smrt_value_span(const SmrtModelArgument *argument, Datum value);

/* Appends text of the database's encoding, in UTF-8. */
extern void smrt_value_append(const char *text, SmrtBuf *body);
extern void smrt_value_append_span(SmrtSpan text, SmrtBuf *body);

#endif							/* SMRT_MODEL_VALUETEXT_H */
