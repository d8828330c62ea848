/*
 * IMDSv2: a session token by PUT, then anything by GET with that token.  There
 * is no way back to version 1.  Never through a proxy.
 */
#include "postgres.h"

#include "call/credential/credential.h"
#include "call/credential/fetch.h"
#include "call/credential/imds.h"
#include "call/credential/surroundings.h"
#include "pg/alloc.h"

#define TOKEN_TTL_S "21600"
#define MAX_URL 2048

typedef struct Base
{
	const SmrtSearch *search;
	SmrtBuf		url;			/* without a "/" at the end */
	SmrtAddressRule addresses;
} Base;

static bool open_session(Base *base, const SmrtSearch *search, SmrtSpan *token,
						 StringInfo why);
static SmrtSpan get(const Base *base, SmrtSpan token, const char *path,
					bool *missing, StringInfo why);
static bool find_base(Base *base, StringInfo why);
static bool get_token(const Base *base, SmrtSpan *token, StringInfo why);
static bool request(const Base *base, SmrtMethod method, const char *path,
					SmrtHeader header, SmrtFetched *fetched, StringInfo why);
static int	number_from_env(const char *name, int initial, int max);

SmrtProvision
smrt_provide_imds(const SmrtSearch *search, SmrtCredential *credential,
				  StringInfo why)
{
	static const char *const folder = "meta-data/iam/security-credentials/";
	Base		base;
	SmrtSpan	token;
	SmrtSpan	role;
	SmrtSpan	json;
	bool		missing;

	if (!open_session(&base, search, &token, why))
		return SMRT_PROVISION_NONE;
	role = get(&base, token, folder, &missing, why);
	if (role.len == 0)
	{
		if (missing || !smrt_span_absent(role))
			appendStringInfoString(why, "the instance has no IAM role");
		return SMRT_PROVISION_NONE;
	}
	json = get(&base, token,
			   psprintf("%s%.*s", folder,
						(int) strcspn(role.data, "\r\n"), role.data),
			   &missing, why);
	if (smrt_span_absent(json))
	{
		if (missing)
			appendStringInfoString(why, "it has no keys for the instance's IAM role");
		return SMRT_PROVISION_FAILED;
	}
	return smrt_credential_from_json(json, "instance metadata", token,
									 credential, why);
}

SmrtSpan
smrt_imds_get(const SmrtSearch *search, const char *path, bool *missing,
			  StringInfo why)
{
	Base		base;
	SmrtSpan	token;

	*missing = false;
	return open_session(&base, search, &token, why) ?
		get(&base, token, path, missing, why) : smrt_span(NULL);
}

static bool
open_session(Base *base, const SmrtSearch *search, SmrtSpan *token,
			 StringInfo why)
{
	base->search = search;
	return find_base(base, why) && get_token(base, token, why);
}

static SmrtSpan
get(const Base *base, SmrtSpan token, const char *path, bool *missing,
	StringInfo why)
{
	SmrtHeader	header = {SMRT_LITERAL("X-aws-ec2-metadata-token"), token};
	SmrtFetched fetched;

	*missing = false;
	if (!request(base, SMRT_METHOD_GET, path, header, &fetched, why))
		return smrt_span(NULL);
	if (fetched.status == 200)
		return fetched.body;
	*missing = fetched.status == 404;
	if (!*missing)
		appendStringInfo(why, "it answered %d", fetched.status);
	return smrt_span(NULL);
}

static bool
find_base(Base *base, StringInfo why)
{
	SmrtInstanceEndpoint sources[] = {
		{
			smrt_span(smrt_surroundings_env("AWS_EC2_METADATA_SERVICE_ENDPOINT")),
			smrt_span(smrt_surroundings_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"))
		},
		{
			smrt_span(smrt_surroundings_property(NULL, "ec2_metadata_service_endpoint")),
			smrt_span(smrt_surroundings_property(NULL, "ec2_metadata_service_endpoint_mode"))
		},
	};
	SmrtMetadataReach reach;
	SmrtError	error;

	if (smrt_surroundings_env_true("AWS_EC2_METADATA_DISABLED"))
	{
		appendStringInfoString(why, "AWS_EC2_METADATA_DISABLED is set");
		return false;
	}
	smrt_buf_init(&base->url, &smrt_alloc_palloc, MAX_URL);
	if (!smrt_metadata_instance(sources, lengthof(sources), &base->url,
								   &reach, &error))
	{
		appendStringInfoString(why, error.text);
		return false;
	}
	base->addresses = smrt_fetch_addresses(reach);
	return true;
}

static bool
get_token(const Base *base, SmrtSpan *token, StringInfo why)
{
	SmrtHeader	lifetime = {
		SMRT_LITERAL("X-aws-ec2-metadata-token-ttl-seconds"),
		SMRT_LITERAL(TOKEN_TTL_S)
	};
	SmrtFetched fetched;

	if (!request(base, SMRT_METHOD_PUT, "api/token", lifetime, &fetched, why))
	{
		/* The usual reason in a container: the answer's hop limit is 1. */
		appendStringInfoString(why, " (in a container, the instance needs a metadata hop limit of 2)");
		return false;
	}
	if (fetched.status != 200)
	{
		appendStringInfo(why, "it gave no session token but %d", fetched.status);
		return false;
	}
	*token = fetched.body;
	for (size_t i = 0; i < token->len; i++)
		if (token->data[i] <= ' ' || token->data[i] > '~')
		{
			appendStringInfoString(why, "its session token fits no header");
			return false;
		}
	return true;
}

static bool
request(const Base *base, SmrtMethod method, const char *path,
		SmrtHeader header, SmrtFetched *fetched, StringInfo why)
{
	int			timeout_ms = 1000 *
		number_from_env("AWS_METADATA_SERVICE_TIMEOUT", 1, 60);
	SmrtFetch	fetch = {
		.spec = {
			.method = method,
			.url = psprintf("%s/latest/%s", base->url.data, path),
			.headers = &header,.n_headers = 1,
			.identity = "instance metadata",
			.addresses = base->addresses,
			.connect_timeout_ms = timeout_ms,.timeout_ms = timeout_ms,
		},
		.search = base->search,
		.attempts = number_from_env("AWS_METADATA_SERVICE_NUM_ATTEMPTS", 1, 10),
		.pause_ms = 100,
	};

	return smrt_fetch(&fetch, fetched, why);
}

/* Between 1 and max; anything else counts as not set. */
static int
number_from_env(const char *name, int initial, int max)
{
	const char *text = smrt_surroundings_env(name);
	int			value = text ? atoi(text) : initial;

	return value >= 1 && value <= max ? value : initial;
}
