/*
 * sagemaker_invoke_async(): one InvokeEndpointAsync for each evaluation, whose
 * body is given or lies in S3.
 */
#include "postgres.h"

#include "call/callset.h"
#include "call/calloptions.h"
#include "fmgr.h"
#include "funcapi.h"
#include "model/argument.h"
#include "model/response.h"
#include "pg/json.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

typedef enum Argument
{
	ARG_ENDPOINT,
	ARG_BODY,
	ARG_FIRST_MEMBER
} Argument;

/* The arguments after the body; those that are integers stand last. */
static const SmrtMember members[] = {
	SMRT_MEMBER_CONTENT_TYPE,
	SMRT_MEMBER_ACCEPT,
	SMRT_MEMBER_CUSTOM_ATTRIBUTES,
	SMRT_MEMBER_INFERENCE_ID,
	SMRT_MEMBER_INPUT_LOCATION,
	SMRT_MEMBER_S3_OUTPUT_PATH_EXTENSION,
	SMRT_MEMBER_FILENAME,
	SMRT_MEMBER_REQUEST_TTL_SECONDS,
	SMRT_MEMBER_INVOCATION_TIMEOUT_SECONDS,
};

#define N_INTEGERS 2
#define ARG_SERVER (ARG_FIRST_MEMBER + (int) lengthof(members))
#define ARG_OPTIONS (ARG_SERVER + 1)

/* The result's columns, in order. */
typedef enum Column
{
	COLUMN_INFERENCE_ID,
	COLUMN_OUTPUT_LOCATION,
	COLUMN_FAILURE_LOCATION,
	COLUMN_REQUEST_ID,
	COLUMN_COUNT
} Column;

/* The service's limit; a larger body has to be an object. */
#define MAX_INLINE_BODY 128000

/* A place that calls one of the functions. */
typedef struct CallSite
{
	Oid			body_type;		/* bytea, text, json or jsonb */
	TupleDesc	tupdesc;		/* of sagemaker_async_response */
	bool		warned_of_bytea;
} CallSite;

PG_FUNCTION_INFO_V1(sagemaker_invoke_async);

static CallSite *call_site(FunctionCallInfo fcinfo);
static void read_request(FunctionCallInfo fcinfo, CallSite *site,
						 SmrtRequest *request);
static SmrtSpan text_argument(FunctionCallInfo fcinfo, int n);
static void require_size(SmrtSpan body);
static Datum response_datum(TupleDesc tupdesc, const SmrtCall *call);

Datum
sagemaker_invoke_async(PG_FUNCTION_ARGS)
{
	CallSite   *site = call_site(fcinfo);
	SmrtRequest request = {.operation = SMRT_OPERATION_ASYNC,.rows = 1};
	SmrtTarget *target;
	SmrtLimits	limits;
	SmrtCallSet *set;
	SmrtCall   *call;
	Datum		result;

	if (PG_ARGISNULL(ARG_ENDPOINT))
		PG_RETURN_NULL();
	read_request(fcinfo, site, &request);
	target = smrt_target_get(PG_ARGISNULL(ARG_SERVER) ? NULL :
							 text_to_cstring(PG_GETARG_TEXT_PP(ARG_SERVER)));
	limits = target->limits;
	if (!PG_ARGISNULL(ARG_OPTIONS))
		smrt_calloptions_read(PG_GETARG_JSONB_P(ARG_OPTIONS), &limits,
							  (SmrtHeader **) &request.extra,
							  &request.n_extra);
	smrt_request_require(&request);
	require_size(request.body);

	set = smrt_callset_create(target, &limits);
	smrt_callset_submit(set, &request);
	call = smrt_callset_wait(set);
	if (call->reply.fault.kind == SMRT_FAULT_DRY_RUN)
		PG_RETURN_NULL();
	if (call->reply.fault.kind != SMRT_FAULT_NONE)
		smrt_report_fault(&call->reply.fault, &call->report);
	result = response_datum(site->tupdesc, call);
	smrt_callset_delete(set);
	return result;
}

static CallSite *
call_site(FunctionCallInfo fcinfo)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	MemoryContext before;
	CallSite   *site = flinfo->fn_extra;
	Oid		   *types;
	int			n;

	if (site != NULL)
		return site;
	before = MemoryContextSwitchTo(flinfo->fn_mcxt);
	site = palloc0(sizeof(CallSite));
	(void) get_func_signature(flinfo->fn_oid, &types, &n);
	site->body_type = types[ARG_BODY];
	if (get_call_result_type(fcinfo, NULL, &site->tupdesc) != TYPEFUNC_COMPOSITE ||
		site->tupdesc->natts != COLUMN_COUNT || n != ARG_OPTIONS + 1)
		elog(ERROR, "function %u is not sagemaker_invoke_async", flinfo->fn_oid);
	MemoryContextSwitchTo(before);
	flinfo->fn_extra = site;
	return site;
}

static void
read_request(FunctionCallInfo fcinfo, CallSite *site, SmrtRequest *request)
{
	const int	first_integer = lengthof(members) - N_INTEGERS;
	SmrtSpan   *content_type = &request->members[SMRT_MEMBER_CONTENT_TYPE];

	request->endpoint = text_argument(fcinfo, ARG_ENDPOINT);
	for (int i = 0; i < lengthof(members); i++)
	{
		int			n = ARG_FIRST_MEMBER + i;

		if (i < first_integer)
			request->members[members[i]] = text_argument(fcinfo, n);
		else if (!PG_ARGISNULL(n))
			request->members[members[i]] =
				smrt_span(psprintf("%d", PG_GETARG_INT32(n)));
	}
	/* Without a body it is an object that is meant, which may be of any type. */
	if (PG_ARGISNULL(ARG_BODY))
		return;
	request->body = smrt_argument_body(site->body_type,
									   PG_GETARG_DATUM(ARG_BODY),
									   &site->warned_of_bytea);
	if (smrt_span_absent(*content_type))
		*content_type = smrt_argument_content_type(site->body_type);
}

static SmrtSpan
text_argument(FunctionCallInfo fcinfo, int n)
{
	return smrt_argument_text(fcinfo->args[n].value, fcinfo->args[n].isnull);
}

static void
require_size(SmrtSpan body)
{
	if (body.len > MAX_INLINE_BODY)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the request's body is too large for an asynchronous call"),
				 errdetail("It has %zu bytes, %d are permitted.", body.len,
						   MAX_INLINE_BODY),
				 errhint("Put it into S3, and give its place as input_location.")));
}

static Datum
response_datum(TupleDesc tupdesc, const SmrtCall *call)
{
	const SmrtResponse *response = &call->reply.response;
	SmrtJsonMember inference_id = {"InferenceId"};
	Datum		values[COLUMN_COUNT];
	bool		nulls[COLUMN_COUNT];

	(void) smrt_json_members(response->body, &inference_id, 1);
	/* Without either it was a proxy's page, or another service. */
	if (inference_id.value == NULL &&
		smrt_span_absent(response->output_location))
	{
		SmrtFault	fault = {.kind = SMRT_FAULT_REPLY,.text = response->body};

		smrt_report_fault(&fault, &call->report);
	}

#define FILL(column, value) \
	values[column] = smrt_response_text(value, &nulls[column])

	FILL(COLUMN_INFERENCE_ID, smrt_span(inference_id.value));
	FILL(COLUMN_OUTPUT_LOCATION, response->output_location);
	FILL(COLUMN_FAILURE_LOCATION, response->failure_location);
	FILL(COLUMN_REQUEST_ID, response->request_id);
	return HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls));
}
