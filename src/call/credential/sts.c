/*
 * STS by its Query protocol: a form goes in, XML comes out.
 *
 * Requests go to the regional endpoint, or to the URL that the target or,
 * where the server's own identity is used, the surroundings name.
 */
#include "postgres.h"

#include <time.h>

#include "aws/timestamp.h"
#include "aws/uri.h"
#include "aws/xml.h"
#include "call/credential/fetch.h"
#include "call/credential/sts.h"
#include "call/credential/surroundings.h"
#include "call/location.h"
#include "miscadmin.h"
#include "pg/alloc.h"
#include "pg/report.h"

/* STS's own limit is the token's: some kB. */
#define MAX_FORM (128 * 1024)

#define CONNECT_TIMEOUT_MS 3100
#define TIMEOUT_MS 10000
#define ATTEMPTS 3
#define PAUSE_MS 200

static SmrtProvision ask(const SmrtSearch *search, SmrtBuf *form,
						 const SmrtKeys *secrets, SmrtCredential *credential,
						 StringInfo why);
static void begin_form(SmrtBuf *form, const char *action, const SmrtRole *role);
static void add_field(SmrtBuf *form, const char *name, SmrtSpan value);
static char *find_url(const SmrtTarget *target, SmrtUrl *url, StringInfo why);
static int	sign(const SmrtTarget *target, const SmrtUrl *url, SmrtSpan body,
				 const SmrtKeys *keys, SmrtHeader *headers, int n);
static SmrtProvision read_answer(const SmrtFetched *fetched,
								 SmrtCredential *credential, StringInfo why);
static SmrtProvision refusal(const SmrtFetched *fetched,
							 const SmrtKeys *secrets, StringInfo why);
static bool is_passing(const SmrtFetched *fetched);

#define HEADER(n, v) ((SmrtHeader) {SMRT_LITERAL(n), (v)})

SmrtProvision
smrt_sts_assume_role(const SmrtSearch *search, const SmrtRole *role,
					 const SmrtCredential *base, SmrtCredential *credential,
					 StringInfo why)
{
	SmrtBuf		form;

	if (!smrt_keys_fit(&base->keys))
	{
		appendStringInfoString(why, "the keys to assume it with fit no header");
		return SMRT_PROVISION_FAILED;
	}
	begin_form(&form, "AssumeRole", role);
	add_field(&form, "ExternalId", smrt_span(role->external_id));
	return ask(search, &form, &base->keys, credential, why);
}

SmrtProvision
smrt_sts_web_identity(const SmrtSearch *search, const SmrtRole *role,
					  const char *token_file, SmrtCredential *credential,
					  StringInfo why)
{
	SmrtSpan	token = smrt_surroundings_token(token_file, why);
	SmrtKeys	secrets = {.session_token = token};
	SmrtBuf		form;

	if (smrt_span_absent(token))
		return SMRT_PROVISION_FAILED;
	begin_form(&form, "AssumeRoleWithWebIdentity", role);
	add_field(&form, "WebIdentityToken", token);
	return ask(search, &form, &secrets, credential, why);
}

/* Secrets with an access key id sign the form; others are in it. */
static SmrtProvision
ask(const SmrtSearch *search, SmrtBuf *form, const SmrtKeys *secrets,
	SmrtCredential *credential, StringInfo why)
{
	const SmrtTarget *target = search->target;
	SmrtHeader	headers[6];
	SmrtFetch	fetch = {.search = search,.attempts = ATTEMPTS,
	.pause_ms = PAUSE_MS,.try_again = is_passing};
	SmrtFetched fetched;
	SmrtUrl		url;
	char	   *text = find_url(target, &url, why);
	int			n = 0;

	if (text == NULL)
		return SMRT_PROVISION_FAILED;
	if (!smrt_buf_ok(form))
	{
		appendStringInfoString(why, "the request to STS is too large");
		return SMRT_PROVISION_FAILED;
	}
	headers[n++] = HEADER("Content-Type",
						  smrt_span("application/x-www-form-urlencoded; charset=utf-8"));
	headers[n++] = HEADER("Host", url.authority);
	if (!smrt_span_absent(secrets->access_key_id))
		n = sign(target, &url, smrt_buf_span(form), secrets, headers, n);
	fetch.spec.url = psprintf("%s/", text);
	fetch.spec.headers = headers;
	fetch.spec.n_headers = n;
	fetch.spec.body = smrt_buf_span(form);
	fetch.spec.identity = target->identity;
	fetch.spec.ca_file = target->ca_file;
	fetch.spec.proxy = target->proxy;
	fetch.spec.addresses = url.tls || target->allow_http ?
		SMRT_ADDRESS_NO_LINK_LOCAL : SMRT_ADDRESS_LOOPBACK;
	fetch.spec.connect_timeout_ms = CONNECT_TIMEOUT_MS;
	fetch.spec.timeout_ms = TIMEOUT_MS;
	if (!smrt_fetch(&fetch, &fetched, why))
		return SMRT_PROVISION_FAILED;
	if (fetched.status != 200)
		return refusal(&fetched, secrets, why);
	return read_answer(&fetched, credential, why);
}

static void
begin_form(SmrtBuf *form, const char *action, const SmrtRole *role)
{
	smrt_buf_init(form, &smrt_alloc_palloc, MAX_FORM);
	smrt_buf_append_string(form, "Version=2011-06-15");
	add_field(form, "Action", smrt_span(action));
	add_field(form, "RoleArn", smrt_span(role->arn));
	add_field(form, "RoleSessionName",
			  smrt_span(role->session_name ? role->session_name :
						psprintf("sagemaker_rt-%d", MyProcPid)));
	add_field(form, "DurationSeconds", smrt_span(role->duration_seconds));
}

static void
add_field(SmrtBuf *form, const char *name, SmrtSpan value)
{
	if (smrt_span_absent(value))
		return;
	smrt_buf_append_char(form, '&');
	smrt_buf_append_string(form, name);
	smrt_buf_append_char(form, '=');
	smrt_uri_encode(value, false, form);
}

/* Palloc'ed, with url pointing into it; NULL with why. */
static char *
find_url(const SmrtTarget *target, SmrtUrl *url, StringInfo why)
{
	const char *given = target->sts_endpoint_url;
	char	   *text;
	SmrtError	error;

	if (given == NULL && smrt_target_uses_surroundings(target))
		given = smrt_surroundings_endpoint_url(target->profile, "sts");
	if (target->region.len == 0)
	{
		appendStringInfoString(why, "there is no region to ask STS in");
		return NULL;
	}
	text = given ? pstrdup(given) :
		smrt_location_url(target, SMRT_SERVICE_STS);
	for (size_t len = strlen(text); len > 0 && text[len - 1] == '/'; len--)
		text[len - 1] = '\0';
	/* Shown only once it is known to have no user name and password. */
	if (!smrt_url_parse(smrt_span(text), url, &error))
		appendStringInfo(why, "the URL of STS cannot be used: %s", error.text);
	else if (given != NULL && (target->use_fips || target->use_dualstack))
		appendStringInfo(why, "FIPS and dual-stack hosts cannot be asked for beside the URL \"%s\"",
						 text);
	else if (!url->tls && !target->allow_http && !smrt_url_loopback(url))
		appendStringInfo(why, "the URL of STS, \"%s\", is not https", text);
	else
		return text;
	return NULL;
}

static int
sign(const SmrtTarget *target, const SmrtUrl *url, SmrtSpan body,
	 const SmrtKeys *keys, SmrtHeader *headers, int n)
{
	SmrtScope  *scope = palloc0(sizeof(SmrtScope));
	SmrtBuf    *authorization = palloc(sizeof(SmrtBuf));
	char		hash[SMRT_SHA256_HEX_LEN + 1];
	SmrtSignable signable = {
		.method = SMRT_LITERAL("POST"),
		.path = smrt_span(psprintf("%.*s/", (int) url->path.len,
								   url->path.data ? url->path.data : "")),
		.headers = headers,.payload_hash = hash,
	};

	scope->region = smrt_endpoint_signing_region(SMRT_SERVICE_STS,
												 target->region);
	scope->service = smrt_span("sts");
	smrt_buf_init(authorization, &smrt_alloc_palloc, 4096);
	if (!smrt_sha256_hex(body, hash) ||
		!smrt_timestamp_format((int64_t) time(NULL), scope->timestamp))
		elog(ERROR, "could not sign a request to STS");
	headers[n++] = HEADER("X-Amz-Date", smrt_span(scope->timestamp));
	if (!smrt_span_absent(keys->session_token))
		headers[n++] = HEADER("X-Amz-Security-Token", keys->session_token);
	signable.n_headers = n;
	if (!smrt_sigv4_authorization(NULL, keys, scope, &signable, authorization))
		elog(ERROR, "could not sign a request to STS");
	headers[n++] = HEADER("Authorization", smrt_buf_span(authorization));
	return n;
}

static SmrtProvision
read_answer(const SmrtFetched *fetched, SmrtCredential *credential,
			StringInfo why)
{
	SmrtSpan	id = smrt_xml_text(fetched->body, "AccessKeyId");
	SmrtSpan	secret = smrt_xml_text(fetched->body, "SecretAccessKey");
	SmrtSpan	token = smrt_xml_text(fetched->body, "SessionToken");
	SmrtSpan	expiration = smrt_xml_text(fetched->body, "Expiration");
	int64_t		expires_at;

	if (id.len == 0 || secret.len == 0 || token.len == 0 ||
		!smrt_timestamp_parse_iso(expiration, &expires_at))
	{
		appendStringInfoString(why, "STS answered without keys that last");
		return SMRT_PROVISION_FAILED;
	}
	credential->keys.access_key_id = smrt_span_copy(id);
	credential->keys.secret_access_key = smrt_span_copy(secret);
	credential->keys.session_token = smrt_span_copy(token);
	credential->expires_at = expires_at;
	credential->from_file = false;
	credential->source = psprintf("%s, role assumed",
								  credential->source ? credential->source :
								  "web identity");
	smrt_cleanse((char *) fetched->body.data, fetched->body.len);
	return SMRT_PROVISION_GIVEN;
}

/*
 * A refused signature repeats what was signed, the session token in it; a
 * refused web identity may repeat its token.
 */
static SmrtProvision
refusal(const SmrtFetched *fetched, const SmrtKeys *secrets, StringInfo why)
{
	SmrtFault	fault = {
		.code = smrt_xml_text(fetched->body, "Code"),
		.text = smrt_xml_text(fetched->body, "Message"),
	};

	smrt_report_blot(&fault, secrets);
	appendStringInfo(why, "STS answered %d: %s: %s", fetched->status,
					 smrt_report_text(fault.code, 100),
					 smrt_report_text(fault.text, 500));
	return SMRT_PROVISION_FAILED;
}

/* Errors of status 400 that are worth another try, as the SDKs have it. */
static bool
is_passing(const SmrtFetched *fetched)
{
	static const char *const codes[] = {"IDPCommunicationError", "Throttling",
		"ThrottlingException", "RequestLimitExceeded"};
	SmrtSpan	code = smrt_xml_text(fetched->body, "Code");

	for (int i = 0; i < lengthof(codes); i++)
		if (fetched->status == 400 &&
			smrt_span_equal(code, smrt_span(codes[i])))
			return true;
	return false;
}
