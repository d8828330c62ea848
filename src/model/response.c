/*
 * Responses as rows.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "model/response.h"
#include "pg/report.h"
#include "utils/builtins.h"

Datum
smrt_response_datum(TupleDesc tupdesc, const SmrtResponse *response)
{
	Datum		values[SMRT_RESPONSE_COLUMN_COUNT];
	bool		nulls[SMRT_RESPONSE_COLUMN_COUNT] = {false};

	values[SMRT_RESPONSE_BODY] = smrt_response_bytea(response->body);

#define FILL(column, member) \
	values[column] = smrt_response_text(response->member, &nulls[column])

	FILL(SMRT_RESPONSE_CONTENT_TYPE, content_type);
	FILL(SMRT_RESPONSE_INVOKED_PRODUCTION_VARIANT, invoked_production_variant);
	FILL(SMRT_RESPONSE_CUSTOM_ATTRIBUTES, custom_attributes);
	FILL(SMRT_RESPONSE_NEW_SESSION_ID, new_session_id);
	FILL(SMRT_RESPONSE_CLOSED_SESSION_ID, closed_session_id);
	FILL(SMRT_RESPONSE_REQUEST_ID, request_id);
	return HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls));
}

Datum
smrt_response_bytea(SmrtSpan value)
{
	bytea	   *copy = palloc(VARHDRSZ + value.len);

	SET_VARSIZE(copy, VARHDRSZ + value.len);
	memcpy(VARDATA(copy), value.data, value.len);
	return PointerGetDatum(copy);
}

Datum
smrt_response_text(SmrtSpan value, bool *is_null)
{
	*is_null = smrt_span_absent(value);
	if (*is_null)
		return (Datum) 0;
	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] < ' ' || value.data[i] > '~')
			return CStringGetTextDatum(smrt_report_text(value, value.len));
	return PointerGetDatum(cstring_to_text_with_len(value.data, value.len));
}
