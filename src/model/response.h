/*
 * The composite type sagemaker_response, and members of answers as datums.
 */
#ifndef SMRT_MODEL_RESPONSE_H
#define SMRT_MODEL_RESPONSE_H

#include "access/tupdesc.h"
#include "call/reply.h"

/* The type's columns, in order. */
typedef enum SmrtResponseColumn
{
	SMRT_RESPONSE_BODY,
	SMRT_RESPONSE_CONTENT_TYPE,
	SMRT_RESPONSE_INVOKED_PRODUCTION_VARIANT,
	SMRT_RESPONSE_CUSTOM_ATTRIBUTES,
	SMRT_RESPONSE_NEW_SESSION_ID,
	SMRT_RESPONSE_CLOSED_SESSION_ID,
	SMRT_RESPONSE_REQUEST_ID,
	SMRT_RESPONSE_COLUMN_COUNT
} SmrtResponseColumn;

/* A row of it, copied into the current memory context. */
extern Datum smrt_response_datum(TupleDesc tupdesc,
								 const SmrtResponse *response);

/* Bytes that are no plain ASCII, in whatever encoding, are escaped. */
extern Datum smrt_response_text(SmrtSpan value, bool *is_null);

extern Datum smrt_response_bytea(SmrtSpan value);

#endif							/* SMRT_MODEL_RESPONSE_H */
