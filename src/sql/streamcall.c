/*
 * Opening streams for SQL functions.  The arguments are copied: they need not
 * outlive the first row, and the request may be sent again after that.
 */
#include "postgres.h"

#include "call/calloptions.h"
#include "funcapi.h"
#include "model/argument.h"
#include "pg/alloc.h"
#include "sql/streamcall.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

/* The members of the operation, as the arguments stand. */
static const SmrtMember members[] = {
	SMRT_MEMBER_CONTENT_TYPE,
	SMRT_MEMBER_ACCEPT,
	SMRT_MEMBER_CUSTOM_ATTRIBUTES,
	SMRT_MEMBER_TARGET_VARIANT,
	SMRT_MEMBER_TARGET_CONTAINER_HOSTNAME,
	SMRT_MEMBER_INFERENCE_ID,
	SMRT_MEMBER_INFERENCE_COMPONENT_NAME,
	SMRT_MEMBER_SESSION_ID,
	SMRT_MEMBER_PREFIX_AWARE_ID,
};

StaticAssertDecl(SMRT_STREAM_FIRST_MEMBER + lengthof(members) ==
				 SMRT_STREAM_OWN_ARGUMENTS,
				 "every member needs an argument");

static void read_request(FunctionCallInfo fcinfo, Oid body_type,
						 SmrtRequest *request);
static SmrtSpan text_argument(FunctionCallInfo fcinfo, int n);

SmrtStream *
smrt_streamcall_open(FunctionCallInfo fcinfo, int n_own, bool tells_tokens)
{
	const int	server = SMRT_STREAM_OWN_ARGUMENTS + n_own;
	const int	options = server + 1;
	SmrtRequest request = {.operation = SMRT_OPERATION_STREAM,.rows = 1,
	.tells_tokens = tells_tokens};
	SmrtTarget *target;
	SmrtLimits	limits;
	Oid		   *types;
	int			n;

	if (PG_ARGISNULL(SMRT_STREAM_ENDPOINT) || PG_ARGISNULL(SMRT_STREAM_BODY))
		return NULL;
	(void) get_func_signature(fcinfo->flinfo->fn_oid, &types, &n);
	if (n != options + 1)
		elog(ERROR, "function %u does not stream", fcinfo->flinfo->fn_oid);
	read_request(fcinfo, types[SMRT_STREAM_BODY], &request);
	target = smrt_target_get(PG_ARGISNULL(server) ? NULL :
							 text_to_cstring(PG_GETARG_TEXT_PP(server)));
	limits = target->limits;
	if (!PG_ARGISNULL(options))
		smrt_calloptions_read(PG_GETARG_JSONB_P_COPY(options), &limits,
							  (SmrtHeader **) &request.extra,
							  &request.n_extra);
	smrt_request_require(&request);
	return smrt_stream_open(target, &limits, &request);
}

static void
read_request(FunctionCallInfo fcinfo, Oid body_type, SmrtRequest *request)
{
	SmrtSpan   *content_type = &request->members[SMRT_MEMBER_CONTENT_TYPE];
	bool		warned = false;

	request->endpoint = text_argument(fcinfo, SMRT_STREAM_ENDPOINT);
	request->body = smrt_span_copy(smrt_argument_body(body_type,
													  PG_GETARG_DATUM(SMRT_STREAM_BODY),
													  &warned));
	for (int i = 0; i < lengthof(members); i++)
		request->members[members[i]] =
			text_argument(fcinfo, SMRT_STREAM_FIRST_MEMBER + i);
	if (smrt_span_absent(*content_type))
		*content_type = smrt_argument_content_type(body_type);
}

static SmrtSpan
text_argument(FunctionCallInfo fcinfo, int n)
{
	return smrt_span_copy(smrt_argument_text(fcinfo->args[n].value,
											 fcinfo->args[n].isnull));
}

TupleDesc
smrt_streamcall_tupdesc(FunctionCallInfo fcinfo, int n_columns)
{
	TupleDesc	tupdesc;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE ||
		tupdesc->natts != n_columns)
		elog(ERROR, "function %u does not return the row it should",
			 fcinfo->flinfo->fn_oid);
	return BlessTupleDesc(CreateTupleDescCopy(tupdesc));
}
