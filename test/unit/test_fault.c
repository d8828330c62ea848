/*
 * From a status and an error code to a kind of fault.
 */
#include "check.h"
#include "aws/fault.h"
#include "aws/retry.h"

static void
codes_are_cut_out(void)
{
	static const struct
	{
		const char *text;
		const char *code;
	}			rows[] =
	{
		{"ModelError", "ModelError"},
		{"ThrottlingException:http://internal.amazon.com/coral/x/", "ThrottlingException"},
		{"com.amazon.coral.service#ThrottlingException", "ThrottlingException"},
		{"aws.protocoltests.restjson#FooError:http://a.com/b#c", "FooError"},
		{"a#b#FooError", "FooError"},
		{"FooError:", "FooError"},
		{"  FooError \t", "FooError \t"},
		{" FooError ", "FooError"},
		{"FooError :http://a", "FooError"},
		{"ns# FooError", "FooError"},
		{"#FooError", "FooError"},
		{"FooError#", ""},
		{":http://a", ""},
		{"#", ""},
		{":", ""},
		{"   ", ""},
		{"", ""},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK_TEXT(smrt_fault_code(smrt_span(rows[i].text)), rows[i].code);
	CHECK(smrt_span_absent(smrt_fault_code(smrt_span(NULL))));
}

/* The text need not end in a NUL: nothing beyond its length is looked at. */
static void
codes_end_at_their_length(void)
{
	static const char text[] = "ns#ModelError:tail";

	CHECK_TEXT(smrt_fault_code(smrt_span_of(text, 13)), "ModelError");
	CHECK_TEXT(smrt_fault_code(smrt_span_of(text, 8)), "Model");
	CHECK_TEXT(smrt_fault_code(smrt_span_of(text, 2)), "ns");
	CHECK_TEXT(smrt_fault_code(smrt_span_of(text, 0)), "");
}

static void
the_operation_s_own_errors(void)
{
	static const struct
	{
		int			status;
		const char *code;
		SmrtFaultKind kind;
	}			rows[] =
	{
		{400, "ValidationError", SMRT_FAULT_REFUSED},
		{424, "ModelError", SMRT_FAULT_MODEL},
		{429, "ModelNotReadyException", SMRT_FAULT_NOT_READY},
		{500, "InternalFailure", SMRT_FAULT_SERVICE},
		{503, "ServiceUnavailable", SMRT_FAULT_SERVICE},
		{530, "InternalDependencyException", SMRT_FAULT_DEPENDENCY},
		{0, "ModelStreamError", SMRT_FAULT_STREAM},
		{0, "InternalStreamFailure", SMRT_FAULT_SERVICE},
		{403, "AccessDeniedException", SMRT_FAULT_DENIED},
		{403, "ExpiredTokenException", SMRT_FAULT_EXPIRED},
		{403, "InvalidSignatureException", SMRT_FAULT_DENIED},
		{403, "UnrecognizedClientException", SMRT_FAULT_DENIED},
		{403, "RequestTimeTooSkewed", SMRT_FAULT_DENIED},
		{403, "AccessDenied", SMRT_FAULT_DENIED},
		{403, "SignatureDoesNotMatch", SMRT_FAULT_DENIED},
		{403, "InvalidAccessKeyId", SMRT_FAULT_DENIED},
		{400, "InvalidToken", SMRT_FAULT_DENIED},
		{400, "ExpiredToken", SMRT_FAULT_EXPIRED},
		{301, "PermanentRedirect", SMRT_FAULT_REFUSED},
		{404, "NoSuchKey", SMRT_FAULT_REFUSED},
		{503, "SlowDown", SMRT_FAULT_THROTTLED},
		{500, "InternalError", SMRT_FAULT_SERVICE},
		{400, "RequestTimeout", SMRT_FAULT_SERVICE},
		{408, "RequestTimeoutException", SMRT_FAULT_SERVICE},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK_INT(smrt_fault_kind(rows[i].status, smrt_span(rows[i].code)),
				  rows[i].kind);
}

static void
every_throttling_code(void)
{
	static const char *const codes[] = {
		"Throttling", "ThrottlingException", "ThrottledException",
		"RequestThrottledException", "TooManyRequestsException",
		"ProvisionedThroughputExceededException",
		"TransactionInProgressException", "RequestLimitExceeded",
		"BandwidthLimitExceeded", "LimitExceededException", "RequestThrottled",
		"SlowDown", "PriorRequestNotComplete", "EC2ThrottledException",
	};
	static const int statuses[] = {400, 403, 429, 503};

	CHECK_INT(COUNT_OF(codes), 14);
	for (size_t i = 0; i < COUNT_OF(codes); i++)
		for (size_t j = 0; j < COUNT_OF(statuses); j++)
		{
			SmrtFaultKind kind = smrt_fault_kind(statuses[j],
												 smrt_span(codes[i]));

			CHECK_INT(kind, SMRT_FAULT_THROTTLED);
			CHECK_INT(smrt_retry_class(kind), SMRT_RETRY_THROTTLED);
		}
}

static void
a_status_counts_without_a_known_code(void)
{
	static const struct
	{
		int			status;
		SmrtFaultKind kind;
	}			rows[] =
	{
		{0, SMRT_FAULT_REPLY},
		{199, SMRT_FAULT_REPLY},
		{301, SMRT_FAULT_REPLY},
		{399, SMRT_FAULT_REPLY},
		{400, SMRT_FAULT_REFUSED},
		{401, SMRT_FAULT_DENIED},
		{403, SMRT_FAULT_DENIED},
		{404, SMRT_FAULT_REFUSED},
		{413, SMRT_FAULT_TOO_LARGE},
		{424, SMRT_FAULT_MODEL},
		{429, SMRT_FAULT_THROTTLED},
		{499, SMRT_FAULT_REFUSED},
		{500, SMRT_FAULT_SERVICE},
		{502, SMRT_FAULT_SERVICE},
		{503, SMRT_FAULT_SERVICE},
		{504, SMRT_FAULT_SERVICE},
		{501, SMRT_FAULT_SERVER},
		{505, SMRT_FAULT_SERVER},
		{999, SMRT_FAULT_SERVER},
		{530, SMRT_FAULT_DEPENDENCY},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		CHECK_INT(smrt_fault_kind(rows[i].status, smrt_span(NULL)), rows[i].kind);
		CHECK_INT(smrt_fault_kind(rows[i].status, smrt_span("")), rows[i].kind);
		CHECK_INT(smrt_fault_kind(rows[i].status, smrt_span("Unheard")),
				  rows[i].kind);
	}
}

static void
codes_are_compared_whole(void)
{
	CHECK_INT(smrt_fault_kind(400, smrt_span("Throttl")), SMRT_FAULT_REFUSED);
	CHECK_INT(smrt_fault_kind(400, smrt_span("ThrottlingExceptions")),
			  SMRT_FAULT_REFUSED);
	CHECK_INT(smrt_fault_kind(400, smrt_span("throttlingexception")),
			  SMRT_FAULT_REFUSED);
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"a code is cut at its tail and behind its namespace", codes_are_cut_out},
		{"a code ends at its length", codes_end_at_their_length},
		{"the operation's own errors", the_operation_s_own_errors},
		{"every throttling code outranks the status", every_throttling_code},
		{"the status counts where no code is known", a_status_counts_without_a_known_code},
		{"codes are compared whole", codes_are_compared_whole},
	};

	return check_run(cases, COUNT_OF(cases));
}
