/*
 * The operations and their members.  Source: service model sagemaker-runtime
 * 2017-05-13.  Lengths and patterns are the model's, but that no header value
 * may hold a control or non-ASCII character, which the model leaves open: with
 * a line break in it, one request would become two.
 */
#include "postgres.h"

#include "call/operation.h"
#include "pg/report.h"

#define MAX_ENDPOINT_NAME 63

/* Added headers; with them all, a request fits the signer's buffers. */
#define MAX_EXTRA 16

typedef enum Pattern
{
	PATTERN_FIELD,				/* any printable ASCII */
	PATTERN_WORDS,				/* the same, the first no blank */
	PATTERN_NAME,				/* letters and digits, hyphens inside */
	PATTERN_SESSION,			/* a name, or NEW_SESSION */
	PATTERN_LOCATION,			/* s3:// or https://, and a host */
	PATTERN_PATH,				/* what object keys are best made of */
	PATTERN_FILENAME,			/* a name with at most one dot */
	PATTERN_NUMBER				/* min and max are of its value */
} Pattern;

typedef struct MemberRow
{
	const char *name;			/* as the SQL argument */
	SmrtSpan	headers[SMRT_OPERATION_COUNT];	/* absent: not its member */
	int			min;			/* characters */
	int			max;
	Pattern		pattern;
} MemberRow;

#define IN(operation, header) \
	[SMRT_OPERATION_##operation] = SMRT_LITERAL(header)

static const MemberRow members[] = {
	[SMRT_MEMBER_CONTENT_TYPE] =
	{"content_type", {
		IN(INVOKE, "Content-Type"),
		IN(STREAM, "Content-Type"),
		IN(ASYNC, "X-Amzn-SageMaker-Content-Type"),
	}, 0, 1024, PATTERN_FIELD},
	[SMRT_MEMBER_ACCEPT] =
	{"accept", {
		IN(INVOKE, "Accept"),
		IN(STREAM, "X-Amzn-SageMaker-Accept"),
		IN(ASYNC, "X-Amzn-SageMaker-Accept"),
	}, 0, 1024, PATTERN_FIELD},
	[SMRT_MEMBER_CUSTOM_ATTRIBUTES] =
	{"custom_attributes", {
		IN(INVOKE, "X-Amzn-SageMaker-Custom-Attributes"),
		IN(STREAM, "X-Amzn-SageMaker-Custom-Attributes"),
		IN(ASYNC, "X-Amzn-SageMaker-Custom-Attributes"),
	}, 0, 1024, PATTERN_FIELD},
	[SMRT_MEMBER_TARGET_MODEL] =
	{"target_model", {
		IN(INVOKE, "X-Amzn-SageMaker-Target-Model"),
	}, 1, 1024, PATTERN_WORDS},
	[SMRT_MEMBER_TARGET_VARIANT] =
	{"target_variant", {
		IN(INVOKE, "X-Amzn-SageMaker-Target-Variant"),
		IN(STREAM, "X-Amzn-SageMaker-Target-Variant"),
	}, 1, 63, PATTERN_NAME},
	[SMRT_MEMBER_TARGET_CONTAINER_HOSTNAME] =
	{"target_container_hostname", {
		IN(INVOKE, "X-Amzn-SageMaker-Target-Container-Hostname"),
		IN(STREAM, "X-Amzn-SageMaker-Target-Container-Hostname"),
	}, 1, 63, PATTERN_NAME},
	[SMRT_MEMBER_INFERENCE_ID] =
	{"inference_id", {
		IN(INVOKE, "X-Amzn-SageMaker-Inference-Id"),
		IN(STREAM, "X-Amzn-SageMaker-Inference-Id"),
		IN(ASYNC, "X-Amzn-SageMaker-Inference-Id"),
	}, 1, 64, PATTERN_WORDS},
	[SMRT_MEMBER_ENABLE_EXPLANATIONS] =
	{"enable_explanations", {
		IN(INVOKE, "X-Amzn-SageMaker-Enable-Explanations"),
	}, 1, 64, PATTERN_FIELD},
	[SMRT_MEMBER_INFERENCE_COMPONENT_NAME] =
	{"inference_component_name", {
		IN(INVOKE, "X-Amzn-SageMaker-Inference-Component"),
		IN(STREAM, "X-Amzn-SageMaker-Inference-Component"),
	}, 1, 63, PATTERN_NAME},
	[SMRT_MEMBER_SESSION_ID] =
	{"session_id", {
		IN(INVOKE, "X-Amzn-SageMaker-Session-Id"),
		IN(STREAM, "X-Amzn-SageMaker-Session-Id"),
	}, 1, 256, PATTERN_SESSION},
	[SMRT_MEMBER_PREFIX_AWARE_ID] =
	{"prefix_aware_id", {
		IN(INVOKE, "X-Amzn-SageMaker-Prefix-Aware-Id"),
		IN(STREAM, "X-Amzn-SageMaker-Prefix-Aware-Id"),
	}, 1, 64, PATTERN_WORDS},
	[SMRT_MEMBER_INPUT_LOCATION] =
	{"input_location", {
		IN(ASYNC, "X-Amzn-SageMaker-InputLocation"),
	}, 1, 1024, PATTERN_LOCATION},
	[SMRT_MEMBER_S3_OUTPUT_PATH_EXTENSION] =
	{"s3_output_path_extension", {
		IN(ASYNC, "X-Amzn-SageMaker-S3OutputPathExtension"),
	}, 1, 512, PATTERN_PATH},
	[SMRT_MEMBER_FILENAME] =
	{"filename", {
		IN(ASYNC, "X-Amzn-SageMaker-Filename"),
	}, 1, 32, PATTERN_FILENAME},
	[SMRT_MEMBER_REQUEST_TTL_SECONDS] =
	{"request_ttl_seconds", {
		IN(ASYNC, "X-Amzn-SageMaker-RequestTTLSeconds"),
	}, 60, 21600, PATTERN_NUMBER},
	[SMRT_MEMBER_INVOCATION_TIMEOUT_SECONDS] =
	{"invocation_timeout_seconds", {
		IN(ASYNC, "X-Amzn-SageMaker-InvocationTimeoutSeconds"),
	}, 1, 3600, PATTERN_NUMBER},
};

StaticAssertDecl(lengthof(members) == SMRT_MEMBER_COUNT,
				 "every member needs a row");

typedef struct OperationRow
{
	const char *path;
	const char *permission;
} OperationRow;

static const OperationRow operations[] = {
	[SMRT_OPERATION_INVOKE] =
	{"/invocations", "sagemaker:InvokeEndpoint"},
	[SMRT_OPERATION_STREAM] =
	{"/invocations-response-stream", "sagemaker:InvokeEndpoint"},
	[SMRT_OPERATION_ASYNC] =
	{"/async-invocations", "sagemaker:InvokeEndpointAsync"},
	/* Without the second one, S3 says of a missing object that it is denied. */
	[SMRT_OPERATION_GET_OBJECT] =
	{NULL, "s3:GetObject and, as long as there is no such object, s3:ListBucket on its bucket"},
};

StaticAssertDecl(lengthof(operations) == SMRT_OPERATION_COUNT,
				 "every operation needs a row");

static const SmrtSpan member_prefix = SMRT_LITERAL("X-Amzn-SageMaker-");

static bool check_member(SmrtOperation operation, const MemberRow *row,
						 SmrtSpan value, SmrtError *error);
static bool check_length(SmrtSpan value, int min, int max, SmrtError *error);
static bool check_pattern(SmrtOperation operation, SmrtSpan value,
						  Pattern pattern, SmrtError *error);
static bool check_field(SmrtSpan value, SmrtError *error);
static bool check_name(SmrtSpan value, SmrtError *error);
static bool check_location(SmrtSpan value, SmrtError *error);
static bool check_path(SmrtSpan value, SmrtError *error);
static bool check_filename(SmrtSpan value, SmrtError *error);
static bool check_number(SmrtSpan value, int min, int max, SmrtError *error);
static bool check_extra(SmrtOperation operation, const SmrtHeader *header,
						SmrtError *error);
static bool alphanumeric(char c);

const char *
smrt_member_name(SmrtMember member)
{
	return members[member].name;
}

SmrtSpan
smrt_member_header(SmrtOperation operation, SmrtMember member)
{
	return members[member].headers[operation];
}

const char *
smrt_operation_path(SmrtOperation operation)
{
	return operations[operation].path;
}

const char *
smrt_operation_permission(SmrtOperation operation)
{
	return operations[operation].permission;
}

bool
smrt_request_check(const SmrtRequest *request, SmrtSpan *argument,
				   SmrtError *error)
{
	*argument = smrt_span("endpoint");
	if (!check_length(request->endpoint, 1, MAX_ENDPOINT_NAME, error) ||
		!check_name(request->endpoint, error))
		return false;
	*argument = smrt_span("input_location");
	if (request->operation == SMRT_OPERATION_ASYNC &&
		smrt_span_absent(request->body) ==
		smrt_span_absent(request->members[SMRT_MEMBER_INPUT_LOCATION]))
		return smrt_error_set(error, "either it or a body is needed, and not both");
	for (int i = 0; i < SMRT_MEMBER_COUNT; i++)
	{
		SmrtSpan	value = request->members[i];

		if (smrt_span_absent(value))
			continue;
		*argument = smrt_span(members[i].name);
		if (smrt_span_absent(members[i].headers[request->operation]))
			return smrt_error_set(error, "the operation has no such member");
		if (!check_member(request->operation, &members[i], value, error))
			return false;
	}
	for (int i = 0; i < request->n_extra; i++)
	{
		*argument = request->extra[i].name;
		if (i == MAX_EXTRA)
			return smrt_error_set(error, "no more than %d headers can be added",
								  MAX_EXTRA);
		if (!check_extra(request->operation, &request->extra[i], error))
			return false;
		for (int j = 0; j < i; j++)
			if (smrt_span_equal_nocase(request->extra[j].name, *argument))
				return smrt_error_set(error, "it is given twice");
	}
	return true;
}

void
smrt_request_require(const SmrtRequest *request)
{
	SmrtSpan	argument;
	SmrtError	error;

	if (!smrt_request_check(request, &argument, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" is not valid: %s",
						smrt_report_text(argument, NAMEDATALEN), error.text)));
}

static bool
check_member(SmrtOperation operation, const MemberRow *row, SmrtSpan value,
			 SmrtError *error)
{
	if (row->pattern == PATTERN_NUMBER)
		return check_number(value, row->min, row->max, error);
	return check_length(value, row->min, row->max, error) &&
		check_pattern(operation, value, row->pattern, error);
}

static bool
check_length(SmrtSpan value, int min, int max, SmrtError *error)
{
	if (value.len < min)
		return smrt_error_set(error, "it must not be empty");
	if (value.len > max)
		return smrt_error_set(error, "it has %zu characters, %d are permitted",
							  value.len, max);
	return true;
}

static bool
check_pattern(SmrtOperation operation, SmrtSpan value, Pattern pattern,
			  SmrtError *error)
{
	switch (pattern)
	{
		case PATTERN_FIELD:
			return check_field(value, error);
		case PATTERN_WORDS:
			if (value.data[0] == ' ')
				return smrt_error_set(error, "it must not begin with a blank");
			return check_field(value, error);
		case PATTERN_SESSION:
			/* Only InvokeEndpoint opens sessions. */
			return (operation == SMRT_OPERATION_INVOKE &&
					smrt_span_equal(value, smrt_span("NEW_SESSION"))) ||
				check_name(value, error);
		case PATTERN_NAME:
			return check_name(value, error);
		case PATTERN_LOCATION:
			return check_location(value, error);
		case PATTERN_PATH:
			return check_path(value, error);
		case PATTERN_FILENAME:
			return check_filename(value, error);
		case PATTERN_NUMBER:
			break;				/* has no length */
	}
	return false;
}

static bool
check_field(SmrtSpan value, SmrtError *error)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] < ' ' || value.data[i] > '~')
			return smrt_error_set(error, "character %zu is a control or non-ASCII character",
								  i + 1);
	return true;
}

static bool
check_name(SmrtSpan value, SmrtError *error)
{
	for (size_t i = 0; i < value.len; i++)
	{
		bool		inside = i > 0 && i + 1 < value.len;

		if (!alphanumeric(value.data[i]) && !(inside && value.data[i] == '-'))
			return smrt_error_set(error, "only letters, digits and inner hyphens are permitted");
	}
	return true;
}

static bool
check_location(SmrtSpan value, SmrtError *error)
{
	static const SmrtSpan schemes[] = {SMRT_LITERAL("s3://"), SMRT_LITERAL("https://")};

	for (int i = 0; i < lengthof(schemes); i++)
		if (smrt_span_starts_with(value, schemes[i]) &&
			smrt_span_up_to(smrt_span_after(value, schemes[i].len), '/').len > 0)
			return check_field(value, error);
	return smrt_error_set(error, "it is not of the form s3://bucket/key");
}

static bool
check_path(SmrtSpan value, SmrtError *error)
{
	for (size_t i = 0; i < value.len; i++)
		if (!alphanumeric(value.data[i]) &&
			memchr("!_.*'()/-", value.data[i], 9) == NULL)
			return smrt_error_set(error, "only letters, digits and !_.*'()/- are permitted");
	return true;
}

static bool
check_filename(SmrtSpan value, SmrtError *error)
{
	int			dots = 0;

	for (size_t i = 0; i < value.len; i++)
	{
		char		c = value.data[i];

		dots += c == '.';
		if (!alphanumeric(c) &&
			(i == 0 || dots > 1 || (c != '-' && c != '_' && c != '.')))
			return smrt_error_set(error, "only letters, digits, hyphens, underscores and one dot are permitted, and first a letter or digit");
	}
	return true;
}

static bool
check_number(SmrtSpan value, int min, int max, SmrtError *error)
{
	int			number = 0;

	for (size_t i = 0; i < value.len && number >= 0 && number <= max; i++)
		number = value.data[i] < '0' || value.data[i] > '9' ? -1 :
			number * 10 + (value.data[i] - '0');
	return (number >= min && number <= max) ||
		smrt_error_set(error, "it must be between %d and %d", min, max);
}

/*
 * A header for a member that we have no argument for yet.  One that has an
 * argument would be sent twice; any other name could change what is signed.
 */
static bool
check_extra(SmrtOperation operation, const SmrtHeader *header,
			SmrtError *error)
{
	if (header->name.len <= member_prefix.len || header->name.len > 128 ||
		!smrt_span_equal_nocase(smrt_span_of(header->name.data,
											 member_prefix.len),
								member_prefix))
		return smrt_error_set(error, "only headers named X-Amzn-SageMaker-... can be added");
	for (size_t i = 0; i < header->name.len; i++)
		if (!alphanumeric(header->name.data[i]) && header->name.data[i] != '-')
			return smrt_error_set(error, "a header's name has letters, digits and hyphens only");
	for (int i = 0; i < SMRT_MEMBER_COUNT; i++)
		if (smrt_span_equal_nocase(header->name, members[i].headers[operation]))
			return smrt_error_set(error, "use the argument \"%s\" for it",
								  members[i].name);
	return check_length(header->value, 0, 1024, error) &&
		check_field(header->value, error);
}

static bool
alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9');
}
