/*
 * sagemaker_invoke(): one InvokeEndpoint for each evaluation.
 *
 * The body is detoasted once and never copied below here.
 */
#include "postgres.h"

#include "call/callset.h"
#include "call/calloptions.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "sql/response.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

/* Positions of the arguments; members stand in the order of SmrtMember. */
typedef enum Argument
{
	ARG_ENDPOINT,
	ARG_BODY,
	ARG_FIRST_MEMBER,
	ARG_SERVER = ARG_FIRST_MEMBER + SMRT_MEMBER_COUNT,
	ARG_OPTIONS
} Argument;

/* What one call site keeps between rows. */
typedef struct CallSite
{
	TupleDesc	tupdesc;
	bool		warned_of_bytea;
} CallSite;

PG_FUNCTION_INFO_V1(sagemaker_invoke_bytea);
PG_FUNCTION_INFO_V1(sagemaker_invoke_text);
PG_FUNCTION_INFO_V1(sagemaker_invoke_json);
PG_FUNCTION_INFO_V1(sagemaker_invoke_jsonb);

static Datum invoke(FunctionCallInfo fcinfo, SmrtSpan body,
					const char *default_content_type);
static void read_request(FunctionCallInfo fcinfo, SmrtSpan body,
						 const char *default_content_type,
						 SmrtRequest *request);
static SmrtSpan text_argument(FunctionCallInfo fcinfo, int n);
static SmrtSpan utf8_body(char *text, size_t len);
static void warn_of_bytea(FunctionCallInfo fcinfo, SmrtSpan body);
static CallSite *call_site(FunctionCallInfo fcinfo);

#define NOTHING_TO_SEND() (PG_ARGISNULL(ARG_ENDPOINT) || PG_ARGISNULL(ARG_BODY))

Datum
sagemaker_invoke_bytea(PG_FUNCTION_ARGS)
{
	bytea	   *body;

	if (NOTHING_TO_SEND())
		PG_RETURN_NULL();
	body = PG_GETARG_BYTEA_PP(ARG_BODY);
	return invoke(fcinfo, smrt_span_of(VARDATA_ANY(body),
									   VARSIZE_ANY_EXHDR(body)), NULL);
}

Datum
sagemaker_invoke_text(PG_FUNCTION_ARGS)
{
	text	   *body;
	SmrtSpan	utf8;

	if (NOTHING_TO_SEND())
		PG_RETURN_NULL();
	body = PG_GETARG_TEXT_PP(ARG_BODY);
	utf8 = utf8_body(VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body));
	warn_of_bytea(fcinfo, utf8);
	return invoke(fcinfo, utf8, NULL);
}

Datum
sagemaker_invoke_json(PG_FUNCTION_ARGS)
{
	text	   *body;

	if (NOTHING_TO_SEND())
		PG_RETURN_NULL();
	body = PG_GETARG_TEXT_PP(ARG_BODY);
	return invoke(fcinfo, utf8_body(VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body)),
				  "application/json");
}

Datum
sagemaker_invoke_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb	   *body;
	char	   *text;

	if (NOTHING_TO_SEND())
		PG_RETURN_NULL();
	body = PG_GETARG_JSONB_P(ARG_BODY);
	text = JsonbToCString(NULL, &body->root, VARSIZE(body));
	return invoke(fcinfo, utf8_body(text, strlen(text)), "application/json");
}

static Datum
invoke(FunctionCallInfo fcinfo, SmrtSpan body, const char *default_content_type)
{
	SmrtRequest request = {{0}};
	SmrtTarget *target;
	SmrtLimits	limits;
	SmrtCallSet *set;
	SmrtCall   *call;
	Datum		result;

	read_request(fcinfo, body, default_content_type, &request);
	target = smrt_target_get(PG_ARGISNULL(ARG_SERVER) ? NULL :
							 text_to_cstring(PG_GETARG_TEXT_PP(ARG_SERVER)));
	limits = target->limits;
	if (!PG_ARGISNULL(ARG_OPTIONS))
		smrt_calloptions_read(PG_GETARG_JSONB_P(ARG_OPTIONS), &limits,
						  (SmrtHeader **) &request.extra, &request.n_extra);
	smrt_request_require(&request);

	set = smrt_callset_create(target, &limits);
	smrt_callset_submit(set, &request);
	call = smrt_callset_wait(set);
	if (call->reply.fault.kind != SMRT_FAULT_NONE)
		smrt_report_fault(&call->reply.fault, &call->report);
	result = smrt_response_datum(call_site(fcinfo)->tupdesc,
								 &call->reply.response);
	smrt_callset_delete(set);
	return result;
}

static void
read_request(FunctionCallInfo fcinfo, SmrtSpan body,
			 const char *default_content_type, SmrtRequest *request)
{
	request->endpoint = text_argument(fcinfo, ARG_ENDPOINT);
	request->body = body;
	for (int i = 0; i < SMRT_MEMBER_COUNT; i++)
		request->members[i] = text_argument(fcinfo, ARG_FIRST_MEMBER + i);
	if (smrt_span_absent(request->members[SMRT_MEMBER_CONTENT_TYPE]))
		request->members[SMRT_MEMBER_CONTENT_TYPE] =
			smrt_span(default_content_type);
}

static SmrtSpan
text_argument(FunctionCallInfo fcinfo, int n)
{
	text	   *value;

	if (PG_ARGISNULL(n))
		return smrt_span(NULL);
	value = PG_GETARG_TEXT_PP(n);
	return smrt_span_of(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

static SmrtSpan
utf8_body(char *text, size_t len)
{
	char	   *utf8 = (char *) pg_server_to_any(text, (int) len, PG_UTF8);

	return smrt_span_of(utf8, utf8 == text ? len : strlen(utf8));
}

/* Bytes that came as text are the commonest slip: say so once a statement. */
static void
warn_of_bytea(FunctionCallInfo fcinfo, SmrtSpan body)
{
	CallSite   *site = call_site(fcinfo);

	if (site->warned_of_bytea ||
		!smrt_span_starts_with(body, smrt_span("\\x")))
		return;
	site->warned_of_bytea = true;
	ereport(NOTICE,
			(errmsg("a body of type text begins with \"\\x\""),
			 errdetail("It is sent as these characters, not as the bytes that they may stand for."),
			 errhint("Cast it to bytea if bytes are meant.")));
}

static CallSite *
call_site(FunctionCallInfo fcinfo)
{
	CallSite   *site = fcinfo->flinfo->fn_extra;
	MemoryContext before;

	if (site != NULL)
		return site;
	before = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	site = palloc0(sizeof(CallSite));
	site->tupdesc = smrt_response_tupdesc(fcinfo);
	MemoryContextSwitchTo(before);
	fcinfo->flinfo->fn_extra = site;
	return site;
}
