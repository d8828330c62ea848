/*
 * Keys from the agent of ECS, EKS Pod Identity or Greengrass, where the
 * environment says it is.  The token file is read anew each time.  Never
 * through a proxy.
 */
#include "postgres.h"

#include "call/credential/credential.h"
#include "call/credential/fetch.h"
#include "call/credential/surroundings.h"
#include "pg/alloc.h"

#define CONNECT_TIMEOUT_MS 2000
#define TIMEOUT_MS 5000
#define ATTEMPTS 3
#define PAUSE_MS 1000
#define MAX_URL 2048

static bool find_token(SmrtSpan *token, StringInfo why);

SmrtProvision
smrt_provide_container(const SmrtSearch *search, SmrtCredential *credential,
					   StringInfo why)
{
	const char *relative = smrt_surroundings_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = smrt_surroundings_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	SmrtHeader	headers[] = {
		{SMRT_LITERAL("Accept"), SMRT_LITERAL("application/json")},
		{SMRT_LITERAL("Authorization")},
	};
	SmrtFetch	fetch = {
		.spec = {
			.method = SMRT_METHOD_GET,
			.headers = headers,
			.identity = "container credentials",
			.connect_timeout_ms = CONNECT_TIMEOUT_MS,.timeout_ms = TIMEOUT_MS,
		},
		.search = search,.attempts = ATTEMPTS,.pause_ms = PAUSE_MS,
	};
	SmrtMetadataReach reach;
	SmrtFetched fetched;
	SmrtError	error;
	SmrtBuf		url;

	smrt_buf_init(&url, &smrt_alloc_palloc, MAX_URL);
	switch (smrt_metadata_container(smrt_span(relative), smrt_span(full),
									   &url, &reach, &error))
	{
		case SMRT_METADATA_UNSET:
			appendStringInfoString(why, "no AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI");
			return SMRT_PROVISION_NONE;
		case SMRT_METADATA_REFUSED:
			appendStringInfoString(why, error.text);
			return SMRT_PROVISION_FAILED;
		case SMRT_METADATA_FOUND:
			break;
	}
	if (!find_token(&headers[1].value, why))
		return SMRT_PROVISION_FAILED;
	fetch.spec.n_headers = smrt_span_absent(headers[1].value) ? 1 : 2;
	fetch.spec.url = url.data;
	fetch.spec.addresses = smrt_fetch_addresses(reach);
	if (!smrt_fetch(&fetch, &fetched, why))
		return SMRT_PROVISION_FAILED;
	if (fetched.status != 200)
	{
		appendStringInfo(why, "the container's service answered %d",
						 fetched.status);
		return SMRT_PROVISION_FAILED;
	}
	return smrt_credential_from_json(fetched.body, "container credentials",
									 headers[1].value, credential, why);
}

/* The file's comes before the variable's; absent when there is neither. */
static bool
find_token(SmrtSpan *token, StringInfo why)
{
	const char *file = smrt_surroundings_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *text = smrt_surroundings_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");

	if (file != NULL)
	{
		*token = smrt_surroundings_token(file, why);
		return !smrt_span_absent(*token);
	}
	*token = smrt_span(text);
	for (size_t i = 0; i < token->len; i++)
		if (token->data[i] < ' ' || token->data[i] > '~')
		{
			appendStringInfoString(why, "AWS_CONTAINER_AUTHORIZATION_TOKEN fits no header");
			return false;
		}
	return true;
}
