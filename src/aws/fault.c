/*
 * From an HTTP status and an AWS error code to a kind of fault.  The code
 * outranks the status: throttling comes as 400 with the code in a header only.
 */
#include "aws/fault.h"

typedef struct CodeRow
{
	SmrtSpan	code;
	SmrtFaultKind kind;
} CodeRow;

/*
 * The operations' own errors (service model 2017-05-13), the fourteen
 * throttling codes and the transient ones of the SDKs' standard retry mode,
 * and AWS's common errors of authentication.
 */
static const CodeRow codes[] = {
	{SMRT_LITERAL("ValidationError"), SMRT_FAULT_REFUSED},
	{SMRT_LITERAL("ValidationException"), SMRT_FAULT_REFUSED},
	{SMRT_LITERAL("ModelError"), SMRT_FAULT_MODEL},
	{SMRT_LITERAL("ModelNotReadyException"), SMRT_FAULT_NOT_READY},
	{SMRT_LITERAL("InternalFailure"), SMRT_FAULT_SERVICE},
	{SMRT_LITERAL("ServiceUnavailable"), SMRT_FAULT_SERVICE},
	{SMRT_LITERAL("InternalDependencyException"), SMRT_FAULT_DEPENDENCY},
	{SMRT_LITERAL("InternalStreamFailure"), SMRT_FAULT_SERVICE},
	{SMRT_LITERAL("ModelStreamError"), SMRT_FAULT_STREAM},
	{SMRT_LITERAL("RequestTimeout"), SMRT_FAULT_SERVICE},
	{SMRT_LITERAL("RequestTimeoutException"), SMRT_FAULT_SERVICE},

	{SMRT_LITERAL("Throttling"), SMRT_FAULT_THROTTLED},
	{SMRT_LITERAL("ThrottlingException"), SMRT_FAULT_THROTTLED},
	{SMRT_LITERAL("ThrottledException"), SMRT_FAULT_THROTTLED},
	{SMRT_LITERAL("RequestThrottledException"), SMRT_FAULT_THROTTLED},
	{SMRT_LITERAL("TooManyRequestsException"), SMRT_FAULT_THROTTLED},
	{SMRT_LITERAL("ProvisionedThroughputExceededException"), SMRT_FAULT_THROTTLED},
	{SMRT_LITERAL("TransactionInProgressException"), SMRT_FAULT_THROTTLED},
	{SMRT_LITERAL("RequestLimitExceeded"), SMRT_FAULT_THROTTLED},
	{SMRT_LITERAL("BandwidthLimitExceeded"), SMRT_FAULT_THROTTLED},
	{SMRT_LITERAL("LimitExceededException"), SMRT_FAULT_THROTTLED},
	{SMRT_LITERAL("RequestThrottled"), SMRT_FAULT_THROTTLED},
	{SMRT_LITERAL("SlowDown"), SMRT_FAULT_THROTTLED},
	{SMRT_LITERAL("PriorRequestNotComplete"), SMRT_FAULT_THROTTLED},
	{SMRT_LITERAL("EC2ThrottledException"), SMRT_FAULT_THROTTLED},

	{SMRT_LITERAL("ExpiredToken"), SMRT_FAULT_EXPIRED},
	{SMRT_LITERAL("ExpiredTokenException"), SMRT_FAULT_EXPIRED},
	{SMRT_LITERAL("AccessDenied"), SMRT_FAULT_DENIED},
	{SMRT_LITERAL("AccessDeniedException"), SMRT_FAULT_DENIED},
	{SMRT_LITERAL("AuthFailure"), SMRT_FAULT_DENIED},
	{SMRT_LITERAL("IncompleteSignature"), SMRT_FAULT_DENIED},
	{SMRT_LITERAL("InvalidClientTokenId"), SMRT_FAULT_DENIED},
	{SMRT_LITERAL("InvalidSignatureException"), SMRT_FAULT_DENIED},
	{SMRT_LITERAL("MissingAuthenticationToken"), SMRT_FAULT_DENIED},
	{SMRT_LITERAL("MissingAuthenticationTokenException"), SMRT_FAULT_DENIED},
	{SMRT_LITERAL("NotAuthorized"), SMRT_FAULT_DENIED},
	{SMRT_LITERAL("OptInRequired"), SMRT_FAULT_DENIED},
	{SMRT_LITERAL("RequestExpired"), SMRT_FAULT_DENIED},
	{SMRT_LITERAL("RequestTimeTooSkewed"), SMRT_FAULT_DENIED},
	{SMRT_LITERAL("SignatureDoesNotMatch"), SMRT_FAULT_DENIED},
	{SMRT_LITERAL("UnrecognizedClientException"), SMRT_FAULT_DENIED},

	/* S3's: a bucket of another region, and a token that is none. */
	{SMRT_LITERAL("PermanentRedirect"), SMRT_FAULT_REFUSED},
	{SMRT_LITERAL("TemporaryRedirect"), SMRT_FAULT_REFUSED},
	{SMRT_LITERAL("InvalidToken"), SMRT_FAULT_DENIED},
};

static SmrtFaultKind kind_of_status(int status);

SmrtSpan
smrt_fault_code(SmrtSpan text)
{
	const char *c;

	if (smrt_span_absent(text))
		return text;
	text = smrt_span_up_to(text, ':');
	for (c = text.data + text.len; c > text.data; c--)
		if (c[-1] == '#')
			break;
	text.len -= (size_t) (c - text.data);
	text.data = c;
	while (text.len > 0 && text.data[text.len - 1] == ' ')
		text.len--;
	while (text.len > 0 && text.data[0] == ' ')
	{
		text.data++;
		text.len--;
	}
	return text;
}

SmrtFaultKind
smrt_fault_kind(int status, SmrtSpan code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (smrt_span_equal(codes[i].code, code))
			return codes[i].kind;
	return kind_of_status(status);
}

static SmrtFaultKind
kind_of_status(int status)
{
	switch (status)
	{
		case 401:
		case 403:
			return SMRT_FAULT_DENIED;
		case 413:
			return SMRT_FAULT_TOO_LARGE;
		case 424:
			return SMRT_FAULT_MODEL;
		case 429:
			return SMRT_FAULT_THROTTLED;
		case 500:
		case 502:
		case 503:
		case 504:
			return SMRT_FAULT_SERVICE;
		case 530:
			return SMRT_FAULT_DEPENDENCY;
		default:
			if (status >= 500)
				return SMRT_FAULT_SERVER;
			return status >= 400 ? SMRT_FAULT_REFUSED : SMRT_FAULT_REPLY;
	}
}

bool
smrt_fault_is_of_limit(SmrtFaultKind kind)
{
	return kind == SMRT_FAULT_COST || kind == SMRT_FAULT_UNMETERED ||
		kind == SMRT_FAULT_UNTOLD;
}

bool
smrt_fault_is_slow_model(const SmrtFault *fault)
{
	static const char words[] = "timed out";
	SmrtSpan	text = fault->text;

	if (fault->kind != SMRT_FAULT_MODEL)
		return false;
	for (size_t i = 0; i + strlen(words) <= text.len; i++)
		if (memcmp(text.data + i, words, strlen(words)) == 0)
			return true;
	return false;
}
