/*
 * One column's value out of a prediction: from JSON, a field of CSV, or text.
 */
#ifndef SMRT_MODEL_READING_H
#define SMRT_MODEL_READING_H

#include "model/engine.h"

/* The prediction that is being read. */
typedef struct SmrtReading
{
	const SmrtModel *model;
	const SmrtOutcome *outcome; /* it has a response */
	volatile bool *in_user_code;	/* true while functions of users may run */
} SmrtReading;

/*
 * Each gives the datum in the current memory context, and raises 38S01, naming the
 * model and the row, for what does not fit; what an input function or a domain
 * objects to comes as its own error.
 */
extern Datum smrt_reading_from_json(const SmrtReading *reading,
									SmrtResultColumn *column, JsonbValue *value,
									bool *is_null);
extern Datum smrt_reading_from_field(const SmrtReading *reading,
									 SmrtResultColumn *column, SmrtSpan field,
									 bool *is_null);

/* A whole record of CSV as an array. */
extern Datum smrt_reading_from_record(const SmrtReading *reading,
									  SmrtResultColumn *column, SmrtSpan record,
									  bool *is_null);

/* Text, or NULL for null. */
extern Datum smrt_reading_from_text(const SmrtReading *reading,
									SmrtResultColumn *column, char *text,
									bool *is_null);

/* What checks a domain has, if it is one; NULLs are checked, too. */
extern void smrt_reading_check_domain(const SmrtReading *reading, Oid domain,
									  Datum value, bool is_null,
									  SmrtResultColumn *column);

/* Text of the prediction as JSON, in the current memory context. */
extern JsonbValue *smrt_reading_parse(const SmrtReading *reading, SmrtSpan text);

/* Its one element or member, in the current memory context; NULL: it has others. */
extern JsonbValue *smrt_reading_only_part(JsonbContainer *container);

/* Raises 38S01: "the prediction for row 1 of the request has 3 fields, ..." */
pg_noreturn extern void smrt_reading_refuse(const SmrtReading *reading,
											const char *why);

#endif							/* SMRT_MODEL_READING_H */
