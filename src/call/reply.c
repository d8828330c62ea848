/*
 * From an answer's header lines and body to a response or a fault.
 *
 * The error code stands in X-Amzn-ErrorType, else in the body: as code or
 * __type of JSON, or as Code of XML, which is S3's way.  Other bodies (HTML,
 * nothing at all) are survived: the message is then their first bytes.
 */
#include "postgres.h"

#include "aws/retry.h"
#include "aws/timestamp.h"
#include "aws/xml.h"
#include "call/reply.h"
#include "pg/alloc.h"
#include "pg/json.h"

/* A Date says nothing about the clocks when the answer took this long. */
#define MAX_SKEW_TRIP_US (INT64CONST(15) * 60 * 1000000)

/* Code and message come first in an error; what was signed may follow. */
#define MAX_XML 4096

typedef enum Field
{
	FIELD_CONTENT_TYPE,
	FIELD_MODEL_CONTENT_TYPE,
	FIELD_VARIANT,
	FIELD_CUSTOM_ATTRIBUTES,
	FIELD_NEW_SESSION_ID,
	FIELD_CLOSED_SESSION_ID,
	FIELD_OUTPUT_LOCATION,
	FIELD_FAILURE_LOCATION,
	FIELD_REQUEST_ID,
	FIELD_S3_REQUEST_ID,
	FIELD_ERROR_TYPE,
	FIELD_DATE,
	FIELD_AGE,
	FIELD_AMZ_RETRY_AFTER,
	FIELD_RETRY_AFTER,
	FIELD_COUNT
} Field;

static const SmrtSpan field_names[] = {
	[FIELD_CONTENT_TYPE] = SMRT_LITERAL("content-type"),
	[FIELD_MODEL_CONTENT_TYPE] = SMRT_LITERAL("x-amzn-sagemaker-content-type"),
	[FIELD_VARIANT] = SMRT_LITERAL("x-amzn-invoked-production-variant"),
	[FIELD_CUSTOM_ATTRIBUTES] = SMRT_LITERAL("x-amzn-sagemaker-custom-attributes"),
	[FIELD_NEW_SESSION_ID] = SMRT_LITERAL("x-amzn-sagemaker-new-session-id"),
	[FIELD_CLOSED_SESSION_ID] = SMRT_LITERAL("x-amzn-sagemaker-closed-session-id"),
	[FIELD_OUTPUT_LOCATION] = SMRT_LITERAL("x-amzn-sagemaker-outputlocation"),
	[FIELD_FAILURE_LOCATION] = SMRT_LITERAL("x-amzn-sagemaker-failurelocation"),
	[FIELD_REQUEST_ID] = SMRT_LITERAL("x-amzn-requestid"),
	[FIELD_S3_REQUEST_ID] = SMRT_LITERAL("x-amz-request-id"),
	[FIELD_ERROR_TYPE] = SMRT_LITERAL("x-amzn-errortype"),
	[FIELD_DATE] = SMRT_LITERAL("date"),
	[FIELD_AGE] = SMRT_LITERAL("age"),
	[FIELD_AMZ_RETRY_AFTER] = SMRT_LITERAL("x-amz-retry-after"),
	[FIELD_RETRY_AFTER] = SMRT_LITERAL("retry-after"),
};

StaticAssertDecl(lengthof(field_names) == FIELD_COUNT,
				 "every field needs a name");

static void read_fields(SmrtSpan lines, SmrtSpan fields[FIELD_COUNT]);
static SmrtSpan trimmed(const char *begin, const char *end);
static void read_response(const SmrtExchange *exchange, SmrtOperation operation,
						  const SmrtSpan fields[FIELD_COUNT],
						  SmrtResponse *response);
static SmrtSpan session_id(SmrtSpan field);
static void read_fault(const SmrtExchange *exchange,
					   const SmrtSpan fields[FIELD_COUNT], SmrtFault *fault);
static bool read_xml(SmrtSpan body, SmrtSpan *code, SmrtSpan *text);
static void read_skew(const SmrtExchange *exchange,
					  const SmrtSpan fields[FIELD_COUNT], SmrtReply *reply);

void
smrt_reply_read(const SmrtExchange *exchange, SmrtOperation operation,
				SmrtReply *reply)
{
	SmrtSpan	fields[FIELD_COUNT] = {{0}};

	memset(reply, 0, sizeof(*reply));
	reply->retry_hint_ms = -1;
	/* What was answered is read first, whatever became of it since. */
	if (exchange->failure != SMRT_FAULT_NONE && !exchange->answered)
	{
		reply->fault.kind = exchange->failure;
		reply->fault.text = smrt_span(exchange->failure_text);
		return;
	}
	read_fields(exchange->headers, fields);
	if (smrt_span_absent(fields[FIELD_REQUEST_ID]))
		fields[FIELD_REQUEST_ID] = fields[FIELD_S3_REQUEST_ID];
	if (smrt_exchange_is_success(exchange))
	{
		read_response(exchange, operation, fields, &reply->response);
		return;
	}
	read_fault(exchange, fields, &reply->fault);
	read_skew(exchange, fields, reply);
	reply->retry_hint_ms = smrt_retry_hint_ms(fields[FIELD_AMZ_RETRY_AFTER],
											  fields[FIELD_RETRY_AFTER],
											  fields[FIELD_DATE]);
}

/* The first of several fields with one name counts. */
static void
read_fields(SmrtSpan lines, SmrtSpan fields[FIELD_COUNT])
{
	const char *line = lines.data;
	const char *end = lines.data + lines.len;

	while (line < end)
	{
		const char *eol = memchr(line, '\n', end - line);
		const char *colon;

		if (eol == NULL)
			eol = end;
		colon = memchr(line, ':', eol - line);
		for (int i = 0; colon != NULL && i < FIELD_COUNT; i++)
			if (smrt_span_absent(fields[i]) &&
				smrt_span_equal_nocase(smrt_span_of(line, colon - line),
									   field_names[i]))
			{
				fields[i] = trimmed(colon + 1, eol);
				break;
			}
		line = eol + 1;
	}
}

static SmrtSpan
trimmed(const char *begin, const char *end)
{
	while (begin < end && (*begin == ' ' || *begin == '\t'))
		begin++;
	while (end > begin && (end[-1] == ' ' || end[-1] == '\t' ||
						   end[-1] == '\r'))
		end--;
	return smrt_span_of(begin, end - begin);
}

static void
read_response(const SmrtExchange *exchange, SmrtOperation operation,
			  const SmrtSpan fields[FIELD_COUNT], SmrtResponse *response)
{
	response->body = exchange->body;
	if (smrt_span_absent(response->body))
		response->body = smrt_span("");
	response->content_type = fields[FIELD_CONTENT_TYPE];
	if (operation == SMRT_OPERATION_STREAM)
	{
		response->framing = fields[FIELD_CONTENT_TYPE];
		response->content_type = fields[FIELD_MODEL_CONTENT_TYPE];
	}
	response->invoked_production_variant = fields[FIELD_VARIANT];
	response->custom_attributes = fields[FIELD_CUSTOM_ATTRIBUTES];
	response->new_session_id = session_id(fields[FIELD_NEW_SESSION_ID]);
	response->closed_session_id = fields[FIELD_CLOSED_SESSION_ID];
	response->output_location = fields[FIELD_OUTPUT_LOCATION];
	response->failure_location = fields[FIELD_FAILURE_LOCATION];
	response->request_id = fields[FIELD_REQUEST_ID];
}

/* "ID; Expires=..." is what the service gives, ID is what it takes back. */
static SmrtSpan
session_id(SmrtSpan field)
{
	SmrtSpan	id = smrt_span_up_to(field, ';');

	return smrt_span_absent(field) ? field : trimmed(id.data, id.data + id.len);
}

static void
read_fault(const SmrtExchange *exchange, const SmrtSpan fields[FIELD_COUNT],
		   SmrtFault *fault)
{
	fault->code = fields[FIELD_ERROR_TYPE];
	smrt_reply_read_words(exchange->body, fault);
	fault->status = exchange->status;
	fault->code = smrt_fault_code(fault->code);
	fault->request_id = fields[FIELD_REQUEST_ID];
	fault->kind = smrt_fault_kind(fault->status, fault->code);
}

SmrtResponse
smrt_response_copy(SmrtResponse response)
{
	response.body = smrt_span_copy(response.body);
	response.content_type = smrt_span_copy(response.content_type);
	response.framing = smrt_span_copy(response.framing);
	response.invoked_production_variant =
		smrt_span_copy(response.invoked_production_variant);
	response.custom_attributes = smrt_span_copy(response.custom_attributes);
	response.new_session_id = smrt_span_copy(response.new_session_id);
	response.closed_session_id = smrt_span_copy(response.closed_session_id);
	response.output_location = smrt_span_copy(response.output_location);
	response.failure_location = smrt_span_copy(response.failure_location);
	response.request_id = smrt_span_copy(response.request_id);
	return response;
}

SmrtFault
smrt_fault_copy(SmrtFault fault)
{
	fault.text = smrt_span_copy(fault.text);
	fault.code = smrt_span_copy(fault.code);
	fault.request_id = smrt_span_copy(fault.request_id);
	fault.original_message = smrt_span_copy(fault.original_message);
	fault.log_stream_arn = smrt_span_copy(fault.log_stream_arn);
	return fault;
}

void
smrt_reply_read_words(SmrtSpan body, SmrtFault *fault)
{
	enum
	{
		MESSAGE, CODE, TYPE, ORIGINAL_STATUS, ORIGINAL_MESSAGE, LOG_STREAM,
		MEMBERS
	};
	SmrtJsonMember members[MEMBERS] = {
		{"message"}, {"code"}, {"__type"}, {"OriginalStatusCode"},
		{"OriginalMessage"}, {"LogStreamArn"},
	};

	if (smrt_json_members(body, members, MEMBERS))
	{
		if (smrt_span_absent(fault->code))
			fault->code = smrt_span(members[members[CODE].value ? CODE : TYPE].value);
		fault->text = smrt_span(members[MESSAGE].value);
		fault->original_message = smrt_span(members[ORIGINAL_MESSAGE].value);
		fault->log_stream_arn = smrt_span(members[LOG_STREAM].value);
		if (members[ORIGINAL_STATUS].value != NULL)
			fault->original_status = atoi(members[ORIGINAL_STATUS].value);
		/* JSON, but not the service's: better all of it than nothing. */
		if (smrt_span_absent(fault->text) && smrt_span_absent(fault->code))
			fault->text = body;
	}
	else if (!read_xml(body, &fault->code, &fault->text))
		fault->text = body;
}

/* <Error><Code>NoSuchKey</Code><Message>...; a code in a header goes before. */
static bool
read_xml(SmrtSpan body, SmrtSpan *code, SmrtSpan *text)
{
	SmrtSpan	error = smrt_span_of(body.data, Min(body.len, MAX_XML));
	SmrtSpan	said = smrt_xml_text(error, "Code");

	if (smrt_span_absent(said))
		return false;
	if (smrt_span_absent(*code))
		*code = said;
	*text = smrt_xml_text(error, "Message");
	return true;
}

/* Its Date against the middle of our request and its answer. */
static void
read_skew(const SmrtExchange *exchange, const SmrtSpan fields[FIELD_COUNT],
		  SmrtReply *reply)
{
	int64		trip_us = exchange->finished_us - exchange->started_us;
	int64_t		date_s;

	/* An answer out of a cache carries Age and an old Date. */
	if (!smrt_span_absent(fields[FIELD_AGE]) || trip_us < 0 ||
		trip_us > MAX_SKEW_TRIP_US ||
		!smrt_timestamp_parse_http(fields[FIELD_DATE], &date_s))
		return;
	reply->has_date = true;
	reply->skew_s = date_s - (exchange->started_us + trip_us / 2) / 1000000;
}
