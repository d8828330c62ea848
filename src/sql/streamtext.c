/*
 * sagemaker_stream_text(): a row for each piece of a language model's text, given
 * out as it comes.
 */
#include "postgres.h"

#include "funcapi.h"
#include "model/deltas.h"
#include "pg/report.h"
#include "sql/streamcall.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

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

typedef enum OnError
{
	ON_ERROR_ERROR,
	ON_ERROR_NULL,
	ON_ERROR_WARNING,
	ON_ERROR_COUNT
} OnError;

static const char *const on_error_words[] = {
	[ON_ERROR_ERROR] = "error",
	[ON_ERROR_NULL] = "null",
	[ON_ERROR_WARNING] = "warning",
};

StaticAssertDecl(lengthof(on_error_words) == ON_ERROR_COUNT,
				 "every choice needs a word");

/* What lives from the first row to the last. */
typedef struct TextSet
{
	SmrtStream *stream;
	SmrtDeltas *deltas;
	OnError		on_error;
	bool		ended;			/* the row with the error was given out */
} TextSet;

PG_FUNCTION_INFO_V1(sagemaker_stream_text);

static void begin(FunctionCallInfo fcinfo);
static OnError on_error_argument(FunctionCallInfo fcinfo);
static bool next_delta(TextSet *texts, SmrtDelta *delta,
					   SmrtReportWords *words);
static void catch_data_error(SmrtReportWords *words);
static Datum row_datum(TupleDesc tupdesc, const SmrtDelta *delta,
					   const SmrtReportWords *words);
static Datum text_or_null(const char *text, bool *is_null);

Datum
sagemaker_stream_text(PG_FUNCTION_ARGS)
{
	FuncCallContext *set;
	TextSet    *texts;
	SmrtDelta	delta = {0};
	SmrtReportWords words = {0};

	if (SRF_IS_FIRSTCALL())
		begin(fcinfo);
	set = SRF_PERCALL_SETUP();
	texts = set->user_fctx;
	if (texts->stream == NULL || texts->ended)
		SRF_RETURN_DONE(set);
	if (next_delta(texts, &delta, &words))
		SRF_RETURN_NEXT(set, row_datum(set->tuple_desc, &delta, NULL));
	texts->ended = true;
	if (words.message == NULL)
		SRF_RETURN_DONE(set);
	if (texts->on_error != ON_ERROR_NULL)
		ereport(texts->on_error == ON_ERROR_WARNING ? WARNING : ERROR,
				(errcode(words.sqlstate),
				 errmsg_internal("%s", words.message),
				 words.detail ? errdetail_internal("%s", words.detail) : 0,
				 words.hint ? errhint("%s", words.hint) : 0));
	SRF_RETURN_NEXT(set, row_datum(set->tuple_desc, &delta, &words));
}

static void
begin(FunctionCallInfo fcinfo)
{
	FuncCallContext *set = SRF_FIRSTCALL_INIT();
	MemoryContext before = MemoryContextSwitchTo(set->multi_call_memory_ctx);
	TextSet    *texts = palloc0(sizeof(TextSet));
	JsonPath   *path = PG_ARGISNULL(ARG_PATH) ? NULL :
		PG_GETARG_JSONPATH_P_COPY(ARG_PATH);

	set->tuple_desc = smrt_streamcall_tupdesc(fcinfo, COLUMN_COUNT);
	set->user_fctx = texts;
	texts->on_error = on_error_argument(fcinfo);
	texts->stream = smrt_streamcall_open(fcinfo,
										 ARG_END - SMRT_STREAM_OWN_ARGUMENTS);
	if (texts->stream != NULL)
		texts->deltas = smrt_deltas_create(texts->stream, path);
	MemoryContextSwitchTo(before);
}

static OnError
on_error_argument(FunctionCallInfo fcinfo)
{
	char	   *word;

	if (PG_ARGISNULL(ARG_ON_ERROR))
		return ON_ERROR_ERROR;
	word = text_to_cstring(PG_GETARG_TEXT_PP(ARG_ON_ERROR));
	for (int i = 0; i < ON_ERROR_COUNT; i++)
		if (strcmp(word, on_error_words[i]) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"on_error\" is not valid: it must be one of error, null, warning")));
}

/*
 * False: there is none, and if words has a message then, it says what went wrong.
 *
 * An error over what the stream holds is caught without a subtransaction: what
 * raises it parses, and holds nothing but memory.
 */
static bool
next_delta(TextSet *texts, SmrtDelta *delta, SmrtReportWords *words)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool found = false;

	PG_TRY();
	{
		found = smrt_deltas_next(texts->deltas, delta);
		if (!found && smrt_stream_fault(texts->stream) != NULL)
			smrt_report_words(smrt_stream_fault(texts->stream),
							  smrt_stream_report(texts->stream), words);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (texts->on_error == ON_ERROR_ERROR ||
			!smrt_report_is_of_data(geterrcode()))
			PG_RE_THROW();
		catch_data_error(words);
	}
	PG_END_TRY();
	return found;
}

static void
catch_data_error(SmrtReportWords *words)
{
	ErrorData  *error = CopyErrorData();

	FlushErrorState();
	words->sqlstate = error->sqlerrcode;
	words->message = error->message;
	words->detail = error->detail;
	words->hint = error->hint;
}

/* The row of a delta, or, with words, the last one. */
static Datum
row_datum(TupleDesc tupdesc, const SmrtDelta *delta,
		  const SmrtReportWords *words)
{
	Datum		values[COLUMN_COUNT];
	bool		nulls[COLUMN_COUNT];

	values[COLUMN_DELTA] = text_or_null(delta->text, &nulls[COLUMN_DELTA]);
	values[COLUMN_FINISH_REASON] = text_or_null(delta->finish_reason,
												&nulls[COLUMN_FINISH_REASON]);
	nulls[COLUMN_USAGE] = delta->usage == NULL;
	values[COLUMN_USAGE] = PointerGetDatum(delta->usage);
	values[COLUMN_SQLSTATE] = text_or_null(words ? unpack_sql_state(words->sqlstate) : NULL,
										   &nulls[COLUMN_SQLSTATE]);
	values[COLUMN_ERROR] = text_or_null(words ? words->message : NULL,
										&nulls[COLUMN_ERROR]);
	return HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls));
}

static Datum
text_or_null(const char *text, bool *is_null)
{
	*is_null = text == NULL;
	return *is_null ? (Datum) 0 : CStringGetTextDatum(text);
}
