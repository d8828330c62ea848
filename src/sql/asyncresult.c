/*
 * sagemaker_async_result(): the answer to an asynchronous call, if it is there.
 */
#include "postgres.h"

#include "call/asyncanswer.h"
#include "call/calloptions.h"
#include "fmgr.h"
#include "funcapi.h"
#include "model/argument.h"
#include "model/response.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

typedef enum Argument
{
	ARG_OUTPUT_LOCATION,
	ARG_FAILURE_LOCATION,
	ARG_WAIT,
	ARG_SERVER,
	ARG_OPTIONS
} Argument;

/* The result's columns, in order. */
typedef enum Column
{
	COLUMN_STATE,
	COLUMN_BODY,
	COLUMN_CONTENT_TYPE,
	COLUMN_COUNT
} Column;

static const char *const states[] = {
	[SMRT_ASYNC_PENDING] = "pending",
	[SMRT_ASYNC_DONE] = "done",
	[SMRT_ASYNC_FAILED] = "failed",
};

StaticAssertDecl(lengthof(states) == SMRT_ASYNC_STATE_COUNT,
				 "every state needs a word");

/* A request is in the queue for six hours at most, and runs for one. */
#define MAX_WAIT_MS (INT64CONST(24) * 60 * 60 * 1000)

PG_FUNCTION_INFO_V1(sagemaker_async_result);

static int64 wait_argument(FunctionCallInfo fcinfo);
static void read_options(FunctionCallInfo fcinfo, SmrtLimits *limits);
static Datum answer_datum(FunctionCallInfo fcinfo,
						  const SmrtAsyncAnswer *answer);

Datum
sagemaker_async_result(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	MemoryContext before;
	SmrtAsyncQuestion question;
	SmrtAsyncAnswer answer;
	SmrtTarget *target;
	SmrtLimits	limits;
	Datum		result;

	if (PG_ARGISNULL(ARG_OUTPUT_LOCATION))
		PG_RETURN_NULL();
	question.output_location =
		smrt_argument_text(PG_GETARG_DATUM(ARG_OUTPUT_LOCATION), false);
	question.failure_location =
		smrt_argument_text(PG_GETARG_DATUM(ARG_FAILURE_LOCATION),
						   PG_ARGISNULL(ARG_FAILURE_LOCATION));
	question.wait_ms = wait_argument(fcinfo);
	target = smrt_target_get(PG_ARGISNULL(ARG_SERVER) ? NULL :
							 text_to_cstring(PG_GETARG_TEXT_PP(ARG_SERVER)));
	limits = target->limits;
	read_options(fcinfo, &limits);

	context = AllocSetContextCreate(CurrentMemoryContext, "sagemaker_rt result",
									ALLOCSET_SMALL_SIZES);
	before = MemoryContextSwitchTo(context);
	smrt_asyncanswer_find(target, &limits, &question, &answer);
	MemoryContextSwitchTo(before);
	result = answer_datum(fcinfo, &answer);
	/* The answer's buffer, which may be large, goes before the next row. */
	MemoryContextDelete(context);
	return result;
}

static int64
wait_argument(FunctionCallInfo fcinfo)
{
	const int64 day_ms = INT64CONST(24) * 60 * 60 * 1000;
	Interval   *wait;
	int64		ms;

	if (PG_ARGISNULL(ARG_WAIT))
		return 0;
	wait = PG_GETARG_INTERVAL_P(ARG_WAIT);
	ms = wait->time / 1000 + (wait->day + INT64CONST(30) * wait->month) * day_ms;
	if (ms < 0 || ms > MAX_WAIT_MS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"wait\" is not valid: it must be between 0 and 1 day")));
	return ms;
}

static void
read_options(FunctionCallInfo fcinfo, SmrtLimits *limits)
{
	SmrtHeader *headers;
	int			n_headers = 0;

	if (PG_ARGISNULL(ARG_OPTIONS))
		return;
	smrt_calloptions_read(PG_GETARG_JSONB_P(ARG_OPTIONS), limits, &headers,
						  &n_headers);
	if (n_headers > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"headers\" is not valid: S3 knows no members of SageMaker")));
}

static Datum
answer_datum(FunctionCallInfo fcinfo, const SmrtAsyncAnswer *answer)
{
	Datum		values[COLUMN_COUNT] = {0};
	bool		nulls[COLUMN_COUNT] = {false, true, true};
	TupleDesc	tupdesc;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE ||
		tupdesc->natts != COLUMN_COUNT)
		elog(ERROR, "function does not return sagemaker_async_answer");
	values[COLUMN_STATE] = CStringGetTextDatum(states[answer->state]);
	if (answer->state != SMRT_ASYNC_PENDING)
	{
		nulls[COLUMN_BODY] = false;
		values[COLUMN_BODY] = smrt_response_bytea(answer->response.body);
		values[COLUMN_CONTENT_TYPE] =
			smrt_response_text(answer->response.content_type,
							   &nulls[COLUMN_CONTENT_TYPE]);
	}
	return HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls));
}
