/*
 * sagemaker_invoke and sagemaker_invoke_async.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "model/argument.h"
#include "model/invokeform.h"
#include "model/response.h"
#include "pg/json.h"

typedef enum Argument
{
	ARG_ENDPOINT,
	ARG_BODY = SMRT_INVOKE_BODY,
	ARG_FIRST_MEMBER
} Argument;

/* Columns of sagemaker_async_response, in order. */
typedef enum AsyncColumn
{
	ASYNC_INFERENCE_ID,
	ASYNC_OUTPUT_LOCATION,
	ASYNC_FAILURE_LOCATION,
	ASYNC_REQUEST_ID,
	ASYNC_COLUMN_COUNT
} AsyncColumn;

/* The service's limit; a larger body has to be an object. */
#define MAX_ASYNC_BODY 128000

static Datum invoke_row(TupleDesc tupdesc, const SmrtCall *call);
static Datum async_row(TupleDesc tupdesc, const SmrtCall *call);
static void require_size(SmrtSpan body);

static const SmrtMember invoke_members[] = {
	SMRT_MEMBER_CONTENT_TYPE,
	SMRT_MEMBER_ACCEPT,
	SMRT_MEMBER_CUSTOM_ATTRIBUTES,
	SMRT_MEMBER_TARGET_MODEL,
	SMRT_MEMBER_TARGET_VARIANT,
	SMRT_MEMBER_TARGET_CONTAINER_HOSTNAME,
	SMRT_MEMBER_INFERENCE_ID,
	SMRT_MEMBER_ENABLE_EXPLANATIONS,
	SMRT_MEMBER_INFERENCE_COMPONENT_NAME,
	SMRT_MEMBER_SESSION_ID,
	SMRT_MEMBER_PREFIX_AWARE_ID,
};

StaticAssertDecl(lengthof(invoke_members) == SMRT_INVOKE_MEMBER_COUNT,
				 "every member of InvokeEndpoint is an argument");

static const SmrtMember async_members[] = {
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

#define N_ARGUMENTS(members) (ARG_FIRST_MEMBER + lengthof(members) + 2)

static const SmrtInvokeForm forms[] = {
	{
		.operation = SMRT_OPERATION_INVOKE,
		.n_arguments = N_ARGUMENTS(invoke_members),
		.n_columns = SMRT_RESPONSE_COLUMN_COUNT,
		.needs_body = true,
		.members = invoke_members,
		.n_members = lengthof(invoke_members),
		.row = invoke_row,
	},
	{
		.operation = SMRT_OPERATION_ASYNC,
		.n_arguments = N_ARGUMENTS(async_members),
		.n_columns = ASYNC_COLUMN_COUNT,
		.members = async_members,
		.n_members = lengthof(async_members),
		.n_integers = 2,
		.row = async_row,
	},
};

StaticAssertDecl(lengthof(invoke_members) != lengthof(async_members),
				 "forms are told apart by the number of arguments");

const SmrtInvokeForm *
smrt_invokeform_find(int n_arguments)
{
	for (int i = 0; i < lengthof(forms); i++)
		if (forms[i].n_arguments == n_arguments)
			return &forms[i];
	return NULL;
}

int
smrt_invokeform_server(const SmrtInvokeForm *form)
{
	return ARG_FIRST_MEMBER + form->n_members;
}

bool
smrt_invokeform_is_sent(const SmrtInvokeForm *form, const bool *nulls)
{
	return !nulls[ARG_ENDPOINT] && !(form->needs_body && nulls[ARG_BODY]);
}

void
smrt_invokeform_read(const SmrtInvokeForm *form, Oid body_type,
					 const Datum *values, const bool *nulls,
					 bool *warned_of_bytea, SmrtRequest *request)
{
	SmrtSpan   *content_type = &request->members[SMRT_MEMBER_CONTENT_TYPE];

	request->operation = form->operation;
	request->endpoint = smrt_argument_text(values[ARG_ENDPOINT], false);
	for (int i = 0; i < form->n_members; i++)
	{
		int			n = ARG_FIRST_MEMBER + i;
		SmrtSpan   *member = &request->members[form->members[i]];

		if (i < form->n_members - form->n_integers)
			*member = smrt_argument_text(values[n], nulls[n]);
		else if (!nulls[n])
			*member = smrt_span(psprintf("%d", DatumGetInt32(values[n])));
	}
	/* Without a body it is an object that is meant, which may be of any type. */
	if (nulls[ARG_BODY])
		return;
	request->body = smrt_argument_body(body_type, values[ARG_BODY],
									   warned_of_bytea);
	if (smrt_span_absent(*content_type))
		*content_type = smrt_argument_content_type(body_type);
	if (form->operation == SMRT_OPERATION_ASYNC)
		require_size(request->body);
}

static void
require_size(SmrtSpan body)
{
	if (body.len > MAX_ASYNC_BODY)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the request's body is too large for an asynchronous call"),
				 errdetail("It has %zu bytes, %d are permitted.", body.len,
						   MAX_ASYNC_BODY),
				 errhint("Put it into S3, and give its place as input_location.")));
}

static Datum
invoke_row(TupleDesc tupdesc, const SmrtCall *call)
{
	return smrt_response_datum(tupdesc, &call->reply.response);
}

static Datum
async_row(TupleDesc tupdesc, const SmrtCall *call)
{
	const SmrtResponse *response = &call->reply.response;
	SmrtJsonMember inference_id = {"InferenceId"};
	Datum		values[ASYNC_COLUMN_COUNT];
	bool		nulls[ASYNC_COLUMN_COUNT];

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

	FILL(ASYNC_INFERENCE_ID, smrt_span(inference_id.value));
	FILL(ASYNC_OUTPUT_LOCATION, response->output_location);
	FILL(ASYNC_FAILURE_LOCATION, response->failure_location);
	FILL(ASYNC_REQUEST_ID, response->request_id);
	return HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls));
}
