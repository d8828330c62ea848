/*
 * sagemaker_invoke_stream(): a row for each part of the answer, given out as it
 * comes.
 *
 * The stream lives in the memory context of the set, which the server deletes at
 * the last row, when nobody wants more, and on errors.
 */
#include "postgres.h"

#include "funcapi.h"
#include "model/response.h"
#include "sql/streamcall.h"

/* The columns of sagemaker_part, in order. */
typedef enum Column
{
	COLUMN_PART_NUMBER,
	COLUMN_BYTES,
	COLUMN_CONTENT_TYPE,
	COLUMN_INVOKED_PRODUCTION_VARIANT,
	COLUMN_CUSTOM_ATTRIBUTES,
	COLUMN_REQUEST_ID,
	COLUMN_COUNT
} Column;

PG_FUNCTION_INFO_V1(sagemaker_invoke_stream);

static void begin(FunctionCallInfo fcinfo);
static Datum part_datum(FuncCallContext *set, SmrtSpan part);

Datum
sagemaker_invoke_stream(PG_FUNCTION_ARGS)
{
	FuncCallContext *set;
	SmrtStream *stream;
	SmrtSpan	part;

	if (SRF_IS_FIRSTCALL())
		begin(fcinfo);
	set = SRF_PERCALL_SETUP();
	stream = set->user_fctx;
	if (stream == NULL)
		SRF_RETURN_DONE(set);
	part = smrt_stream_next(stream);
	if (!smrt_span_absent(part))
	{
		Datum		row = part_datum(set, part);

		SRF_RETURN_NEXT(set, row);	/* which counts before it reads row */
	}
	if (smrt_stream_fault(stream) != NULL)
		smrt_report_fault(smrt_stream_fault(stream), smrt_stream_report(stream));
	SRF_RETURN_DONE(set);
}

static void
begin(FunctionCallInfo fcinfo)
{
	FuncCallContext *set = SRF_FIRSTCALL_INIT();
	MemoryContext before = MemoryContextSwitchTo(set->multi_call_memory_ctx);

	set->tuple_desc = smrt_streamcall_tupdesc(fcinfo, COLUMN_COUNT);
	set->user_fctx = smrt_streamcall_open(fcinfo, 0, false);
	MemoryContextSwitchTo(before);
}

static Datum
part_datum(FuncCallContext *set, SmrtSpan part)
{
	const SmrtResponse *response = smrt_stream_response(set->user_fctx);
	Datum		values[COLUMN_COUNT];
	bool		nulls[COLUMN_COUNT] = {false};

	values[COLUMN_PART_NUMBER] = Int32GetDatum((int32) set->call_cntr + 1);
	values[COLUMN_BYTES] = smrt_response_bytea(part);

#define FILL(column, member) \
	values[column] = smrt_response_text(response->member, &nulls[column])

	FILL(COLUMN_CONTENT_TYPE, content_type);
	FILL(COLUMN_INVOKED_PRODUCTION_VARIANT, invoked_production_variant);
	FILL(COLUMN_CUSTOM_ATTRIBUTES, custom_attributes);
	FILL(COLUMN_REQUEST_ID, request_id);
	return HeapTupleGetDatum(heap_form_tuple(set->tuple_desc, values, nulls));
}
