/*
 * Keys in the postmaster's environment.
 */
#include "postgres.h"

#include "aws/timestamp.h"
#include "call/credential/credential.h"
#include "call/credential/surroundings.h"

SmrtProvision
smrt_provide_environment(const SmrtSearch *search, SmrtCredential *credential,
						 StringInfo why)
{
	const char *id = smrt_surroundings_env("AWS_ACCESS_KEY_ID");
	const char *secret = smrt_surroundings_env("AWS_SECRET_ACCESS_KEY");
	const char *token = smrt_surroundings_env("AWS_SESSION_TOKEN");
	const char *expiration = smrt_surroundings_env("AWS_CREDENTIAL_EXPIRATION");

	if (id == NULL && secret == NULL)
	{
		appendStringInfoString(why, "no AWS_ACCESS_KEY_ID");
		return SMRT_PROVISION_NONE;
	}
	if (id == NULL || secret == NULL)
	{
		appendStringInfo(why, "%s is missing",
						 id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
		return SMRT_PROVISION_FAILED;
	}
	if (expiration != NULL)
	{
		int64_t		seconds;

		if (!smrt_timestamp_parse_iso(smrt_span(expiration), &seconds))
		{
			appendStringInfoString(why, "AWS_CREDENTIAL_EXPIRATION is no time");
			return SMRT_PROVISION_FAILED;
		}
		credential->expires_at = seconds;
	}
	credential->keys.access_key_id = smrt_span(pstrdup(id));
	credential->keys.secret_access_key = smrt_span(pstrdup(secret));
	if (token != NULL)
		credential->keys.session_token = smrt_span(pstrdup(token));
	credential->source = "environment";
	return SMRT_PROVISION_GIVEN;
}
