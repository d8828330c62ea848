/*
 * Error reports.
 *
 * The message names endpoint, what happened and what the service said in one
 * line, since schedulers and logs often keep that line only.  The detail has the
 * facts.  Keys that a service repeats in its answer are blotted out.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "pg/compat.h"
#include "pg/report.h"

/* Most bytes of a remote message that are shown. */
#define MAX_REMOTE_TEXT 1024

typedef struct FaultRow
{
	int			sqlstate;
	const char *what;
	const char *hint;
	bool		about_key;		/* which key, region and host matter */
} FaultRow;

#define RESOURCES ERRCODE_INSUFFICIENT_RESOURCES
#define LIMIT ERRCODE_PROGRAM_LIMIT_EXCEEDED
#define NOT_AUTHORIZED ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION

/* Never class 08: connection pools would drop the database connection. */
#define TRANSPORT ERRCODE_IO_ERROR

#define UNTOLD_HINT \
	"Use a model function whose options \"input_tokens\" and \"output_tokens\" say where its answers have them, or that there are none: 0."

static const FaultRow rows[] = {
	[SMRT_FAULT_NONE] = {ERRCODE_INTERNAL_ERROR, "nothing failed", NULL},
	[SMRT_FAULT_RESOLVE] = {TRANSPORT, "the host name could not be resolved",
		"Check the region or the URL, and the name service of the database server."},
	[SMRT_FAULT_ADDRESS] = {TRANSPORT, "the host's address is not permitted",
		"Check what the host's name resolves to."},
	[SMRT_FAULT_CONNECT] = {TRANSPORT, "could not connect",
		"Check that the database server reaches the host: route, firewall, VPC endpoint, proxy."},
	[SMRT_FAULT_CONNECT_TIMEOUT] = {TRANSPORT, "could not connect in time",
		"Check that the database server reaches the host, or raise connect_timeout."},
	[SMRT_FAULT_TLS] = {TRANSPORT, "no secure connection",
		"Check \"sagemaker_rt.ca_file\", the host's certificate, and the server's clock."},
	[SMRT_FAULT_CUT_OFF] = {TRANSPORT, "the connection ended before the answer did", NULL},
	[SMRT_FAULT_TIMEOUT] = {TRANSPORT, "no answer in time",
		"Raise timeout, or send less in one request."},
	[SMRT_FAULT_REPLY] = {SMRT_ERRCODE_BAD_REPLY, "the answer is not one that the service gives",
		"Check that the URL is that of SageMaker Runtime and not of a proxy or a web page."},
	[SMRT_FAULT_REPLY_TOO_LARGE] = {LIMIT, "the answer is too large",
		"Raise max_response_size, or ask for less in one request."},
	[SMRT_FAULT_HEADERS_TOO_LARGE] = {LIMIT, "the answer's headers are too large",
		"Check that the URL is that of SageMaker Runtime and not of a proxy or a web page."},
	[SMRT_FAULT_NO_MEMORY] = {ERRCODE_OUT_OF_MEMORY, "out of memory", NULL},
	[SMRT_FAULT_NO_TURN] = {ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, "no turn to send the request came in time",
		"Raise \"sagemaker_rt.max_in_flight\" or total_timeout, or ask less at once."},
	[SMRT_FAULT_BREAKER] = {ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, "the endpoint is not asked for now",
		"A request is let through every few seconds, and all are once one succeeds."},
	[SMRT_FAULT_COST] = {LIMIT, "not sent, as a limit on costs is reached",
		"Send less, or ask an administrator to raise the limit."},
	[SMRT_FAULT_UNMETERED] = {ERRCODE_FEATURE_NOT_SUPPORTED, "not sent, as there is a limit on tokens, which are not told here",
		UNTOLD_HINT},
	[SMRT_FAULT_DRY_RUN] = {ERRCODE_FEATURE_NOT_SUPPORTED, "this cannot be run dry",
		"A dry run covers calls and predictions, not streams, nor triggers that predict."},
	[SMRT_FAULT_REFUSED] = {ERRCODE_INVALID_PARAMETER_VALUE, "the service refused the request", NULL, true},
	[SMRT_FAULT_TOO_LARGE] = {LIMIT, "the request's body is too large for the endpoint",
		"Send fewer rows in one request."},
	[SMRT_FAULT_DENIED] = {NOT_AUTHORIZED, "access denied",
		"Check the key, its permissions, the region, and the server's clock.", true},
	[SMRT_FAULT_EXPIRED] = {NOT_AUTHORIZED, "the credentials have expired",
		"Provide new keys and session token.", true},
	[SMRT_FAULT_MODEL] = {ERRCODE_EXTERNAL_ROUTINE_EXCEPTION, "the model failed",
		"The model container's log has more."},
	[SMRT_FAULT_NOT_READY] = {RESOURCES, "the model is not ready",
		"Try again later, or raise total_timeout."},
	[SMRT_FAULT_THROTTLED] = {RESOURCES, "the service throttled the request",
		"Send fewer requests at once, or give the endpoint more capacity."},
	[SMRT_FAULT_SERVICE] = {ERRCODE_SYSTEM_ERROR, "the service failed", NULL},
	[SMRT_FAULT_SERVER] = {ERRCODE_SYSTEM_ERROR, "the service failed", NULL},
	[SMRT_FAULT_DEPENDENCY] = {ERRCODE_SYSTEM_ERROR, "the service failed", NULL},
	[SMRT_FAULT_STREAM] = {SMRT_ERRCODE_BROKEN_STREAM, "the stream broke off", NULL},
	[SMRT_FAULT_IN_ANSWER] = {SMRT_ERRCODE_BROKEN_STREAM, "the answer holds an error", NULL},
	[SMRT_FAULT_NO_TEXT] = {SMRT_ERRCODE_BAD_REPLY, "no text was found in the answer",
		"Say by a jsonpath where a message has its text."},
	[SMRT_FAULT_CUT] = {SMRT_ERRCODE_NO_ANSWER, "the model's answer was cut off for its length",
		"Permit more tokens in the option \"parameters\"."},
	[SMRT_FAULT_DECLINED] = {SMRT_ERRCODE_NO_ANSWER, "the model refused to answer", NULL},
	[SMRT_FAULT_OUTSIDE] = {SMRT_ERRCODE_NO_ANSWER, "the model's answer does not fit the result type",
		"Set the option \"response_format\" if the container knows it, or \"repair\"."},
	[SMRT_FAULT_UNTOLD] = {ERRCODE_FEATURE_NOT_SUPPORTED, "the answer does not tell its tokens, on which there is a limit",
		UNTOLD_HINT},
};

StaticAssertDecl(lengthof(rows) == SMRT_FAULT_COUNT,
				 "every kind of fault needs a row");

static char *message(const SmrtFault *fault, const SmrtReport *report);
static char *detail(const SmrtFault *fault, const SmrtReport *report);
static void append_sentence(StringInfo text, const char *sentence);
static char *shown(SmrtSpan remote);
static SmrtSpan blot_out(SmrtSpan text, SmrtSpan secret);

void
smrt_report_fault(const SmrtFault *fault, const SmrtReport *report)
{
	smrt_report_fault_at(ERROR, fault, report);
	pg_unreachable();
}

void
smrt_report_fault_at(int level, const SmrtFault *fault,
					 const SmrtReport *report)
{
	SmrtReportWords words;

	smrt_report_words(fault, report, &words);
	ereport(level,
			(errcode(words.sqlstate),
			 errmsg_internal("%s", words.message),
			 errdetail_internal("%s", words.detail),
			 words.hint ? errhint("%s", words.hint) : 0));
}

void
smrt_report_no_digest(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("libcrypto could not compute a SHA-256 digest."),
			 errhint("If it stays so, begin a new session: what OpenSSL could not load when it was first used, it does not load again.")));
}

int
smrt_report_sqlstate(SmrtFaultKind kind)
{
	return rows[kind].sqlstate;
}

const char *
smrt_report_what(SmrtFaultKind kind)
{
	return rows[kind].what;
}

void
smrt_report_words(const SmrtFault *fault, const SmrtReport *report,
				  SmrtReportWords *words)
{
	const FaultRow *row = &rows[fault->kind];

	words->sqlstate = row->sqlstate;
	words->message = message(fault, report);
	words->detail = detail(fault, report);
	words->hint = row->hint;
	if (fault->kind == SMRT_FAULT_TIMEOUT && report->ended_by != NULL &&
		strcmp(report->ended_by, SMRT_ENDED_BY_TOTAL_TIMEOUT) == 0)
		words->hint = "Raise total_timeout, or send less in one request.";
	if (fault->kind == SMRT_FAULT_DENIED && report->permission != NULL)
		words->hint = psprintf("Check the key, its permission %s, the region, and the server's clock.",
							   report->permission);
}

/* endpoint "x": the model failed: 500: shape mismatch */
static char *
message(const SmrtFault *fault, const SmrtReport *report)
{
	StringInfoData text;

	initStringInfo(&text);
	if (!smrt_span_absent(report->endpoint))
		appendStringInfo(&text, "endpoint \"%s\": ",
						 smrt_report_text(report->endpoint, NAMEDATALEN));
	if (!smrt_span_absent(report->object))
		appendStringInfo(&text, "object \"%s\": ", shown(report->object));
	appendStringInfoString(&text, rows[fault->kind].what);
	if (fault->original_status > 0)
		appendStringInfo(&text, " with status %d", fault->original_status);
	if (fault->original_message.len > 0)
		appendStringInfo(&text, ": %s",
						 shown(fault->original_message));
	else if (fault->text.len > 0)
		appendStringInfo(&text, ": %s", shown(fault->text));
	else if (fault->code.len > 0)
		appendStringInfo(&text, ": %s", shown(fault->code));
	return text.data;
}

static char *
detail(const SmrtFault *fault, const SmrtReport *report)
{
	const SmrtTarget *target = report->target;
	StringInfoData text;

	initStringInfo(&text);
	if (fault->status > 0)
		append_sentence(&text, psprintf("HTTP status %d%s%s", fault->status,
										fault->code.len ? ", code " : "",
										shown(fault->code)));
	if (fault->original_message.len > 0 && fault->text.len > 0)
		append_sentence(&text, psprintf("The service said: %s",
										shown(fault->text)));
	if (fault->log_stream_arn.len > 0)
		append_sentence(&text, psprintf("Log stream %s",
										shown(fault->log_stream_arn)));
	if (report->phase != NULL)
		append_sentence(&text, psprintf("It ended while %s, after " INT64_FORMAT " ms",
										report->phase,
										report->elapsed_us / 1000));
	if (report->received > 0)
		append_sentence(&text, psprintf(INT64_FORMAT " bytes of the stream had come",
										report->received));
	if (report->attempts > 0)
		append_sentence(&text, psprintf("%d %s, " INT64_FORMAT " ms waited between them%s%s",
										report->attempts,
										report->attempts == 1 ? "attempt" : "attempts",
										report->waited_ms,
										report->ended_by ? ", ended by " : "",
										report->ended_by ? report->ended_by : ""));
	if (fault->request_id.len > 0)
		append_sentence(&text, psprintf("Request id %s",
										shown(fault->request_id)));
	append_sentence(&text, psprintf("Host %.*s, region %.*s",
									(int) target->url.authority.len,
									target->url.authority.data,
									(int) target->region.len,
									target->region.data));
	if (rows[fault->kind].about_key && report->key_id_tail[0] != '\0')
		append_sentence(&text, psprintf("Access key id ending in %s",
										report->key_id_tail));
	return text.data;
}

static void
append_sentence(StringInfo text, const char *sentence)
{
	size_t		len = strlen(sentence);

	if (text->len > 0)
		appendStringInfoChar(text, ' ');
	appendStringInfoString(text, sentence);
	if (len == 0 || sentence[len - 1] != '.')
		appendStringInfoChar(text, '.');
}

static char *
shown(SmrtSpan remote)
{
	return smrt_report_text(remote, MAX_REMOTE_TEXT);
}

void
smrt_report_note_key(SmrtReport *report, const SmrtKeys *keys)
{
	size_t		len = keys->access_key_id.len;

	if (len > SMRT_KEY_ID_TAIL)
		strlcpy(report->key_id_tail,
				keys->access_key_id.data + len - SMRT_KEY_ID_TAIL,
				sizeof(report->key_id_tail));
}

void
smrt_report_blot(SmrtFault *fault, const SmrtKeys *keys)
{
	SmrtSpan   *texts[] = {&fault->text, &fault->code, &fault->request_id,
		&fault->original_message, &fault->log_stream_arn};

	for (int i = 0; i < lengthof(texts); i++)
	{
		*texts[i] = blot_out(*texts[i], keys->secret_access_key);
		*texts[i] = blot_out(*texts[i], keys->session_token);
	}
}

/* text with each occurrence of secret overwritten, in a copy if there is one */
static SmrtSpan
blot_out(SmrtSpan text, SmrtSpan secret)
{
	char	   *copy = NULL;

	if (secret.len == 0)
		return text;
	for (size_t i = 0; i + secret.len <= text.len; i++)
	{
		if (memcmp(text.data + i, secret.data, secret.len) != 0)
			continue;
		if (copy == NULL)
		{
			copy = palloc(text.len);
			memcpy(copy, text.data, text.len);
			text.data = copy;
		}
		memset(copy + i, '*', secret.len);
	}
	return text;
}

char *
smrt_report_text(SmrtSpan bytes, size_t max)
{
	StringInfoData text;
	bool		cut = bytes.len > max;
	const unsigned char *c = (const unsigned char *) bytes.data;
	const unsigned char *end = c + (cut ? max : bytes.len);

	initStringInfo(&text);
	while (c < end)
	{
		int			len = 1;

		if (*c >= 0x80 && GetDatabaseEncoding() == PG_UTF8)
		{
			/* U+0080 to U+009F, which C2 begins, are controls too. */
			len = pg_utf_mblen(c);
			if (len <= end - c && pg_utf8_islegal(c, len) && len > 1 &&
				!(c[0] == 0xc2 && c[1] < 0xa0))
			{
				appendBinaryStringInfo(&text, (const char *) c, len);
				c += len;
				continue;
			}
			len = 1;
		}
		if (*c == '\n' || *c == '\r' || *c == '\t')
			appendStringInfoChar(&text, ' ');
		else if (*c < 0x20 || *c >= 0x7f)
			appendStringInfo(&text, "\\x%02x", *c);
		else
			appendStringInfoChar(&text, (char) *c);
		c += len;
	}
	if (cut)
		appendStringInfoString(&text, "...");
	return text.data;
}

bool
smrt_report_is_of_data(int sqlerrcode)
{
	return sqlerrcode == SMRT_ERRCODE_BAD_REPLY ||
		ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_DATA_EXCEPTION ||
		ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_PROGRAM_LIMIT_EXCEEDED;
}

bool
smrt_report_is_of_row(int sqlerrcode)
{
	return smrt_report_is_of_data(sqlerrcode) ||
		ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
		ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_WITH_CHECK_OPTION_VIOLATION ||
		sqlerrcode == ERRCODE_RAISE_EXCEPTION;
}
