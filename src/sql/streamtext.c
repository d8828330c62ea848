/*
 * sagemaker_stream_text(): a row for each piece of a language model's text, given
 * out as it comes.
 */
#include "postgres.h"

#include "funcapi.h"
#include "model/textset.h"
#include "pg/onerror.h"
#include "sql/streamcall.h"
#include "utils/builtins.h"

/* Arguments after the operation's own. */
typedef enum Argument
{
	ARG_PATH = SMRT_STREAM_OWN_ARGUMENTS,
	ARG_ON_ERROR,
	ARG_END
} Argument;

/* The columns of sagemaker_delta, in order. */
typedef enum Column
{
	COLUMN_DELTA,
	COLUMN_FINISH_REASON,
	COLUMN_USAGE,
	COLUMN_SQLSTATE,
	COLUMN_ERROR,
	COLUMN_COUNT
} Column;

PG_FUNCTION_INFO_V1(sagemaker_stream_text);

static void begin(FunctionCallInfo fcinfo);
static SmrtOnError on_error_argument(FunctionCallInfo fcinfo);
static Datum row_datum(TupleDesc tupdesc, const SmrtTextRow *row);
static Datum text_or_null(const char *text, bool *is_null);

Datum
sagemaker_stream_text(PG_FUNCTION_ARGS)
{
	FuncCallContext *set;
	SmrtTextSet *texts;
	SmrtTextRow row;

	if (SRF_IS_FIRSTCALL())
		begin(fcinfo);
	set = SRF_PERCALL_SETUP();
	texts = set->user_fctx;
	if (texts == NULL || !smrt_textset_next(texts, &row))
		SRF_RETURN_DONE(set);
	SRF_RETURN_NEXT(set, row_datum(set->tuple_desc, &row));
}

static void
begin(FunctionCallInfo fcinfo)
{
	FuncCallContext *set = SRF_FIRSTCALL_INIT();
	MemoryContext before = MemoryContextSwitchTo(set->multi_call_memory_ctx);
	JsonPath   *path = PG_ARGISNULL(ARG_PATH) ? NULL :
		PG_GETARG_JSONPATH_P_COPY(ARG_PATH);
	SmrtOnError on_error = on_error_argument(fcinfo);
	SmrtStream *stream = smrt_streamcall_open(fcinfo,
											  ARG_END - SMRT_STREAM_OWN_ARGUMENTS,
											  true);

	set->tuple_desc = smrt_streamcall_tupdesc(fcinfo, COLUMN_COUNT);
	if (stream != NULL)
		set->user_fctx = smrt_textset_create(stream,
											 smrt_deltas_create(stream, path, NULL),
											 on_error);
	MemoryContextSwitchTo(before);
}

static SmrtOnError
on_error_argument(FunctionCallInfo fcinfo)
{
	char	   *word;

	if (PG_ARGISNULL(ARG_ON_ERROR))
		return SMRT_ON_ERROR_ERROR;
	word = text_to_cstring(PG_GETARG_TEXT_PP(ARG_ON_ERROR));
	for (int i = 0; i < SMRT_ON_ERROR_COUNT; i++)
		if (strcmp(word, smrt_on_error_words[i]) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"on_error\" is not valid: it must be one of error, null, warning")));
}

static Datum
row_datum(TupleDesc tupdesc, const SmrtTextRow *row)
{
	const SmrtReportWords *failure = row->failure;
	Datum		values[COLUMN_COUNT];
	bool		nulls[COLUMN_COUNT];

#define FILL(column, text) \
	values[column] = text_or_null(text, &nulls[column])

	FILL(COLUMN_DELTA, row->delta.text);
	FILL(COLUMN_FINISH_REASON, row->delta.finish_reason);
	nulls[COLUMN_USAGE] = row->delta.usage == NULL;
	values[COLUMN_USAGE] = PointerGetDatum(row->delta.usage);
	FILL(COLUMN_SQLSTATE, failure ? unpack_sql_state(failure->sqlstate) : NULL);
	FILL(COLUMN_ERROR, failure ? failure->message : NULL);
	return HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls));
}

static Datum
text_or_null(const char *text, bool *is_null)
{
	*is_null = text == NULL;
	return *is_null ? (Datum) 0 : CStringGetTextDatum(text);
}
