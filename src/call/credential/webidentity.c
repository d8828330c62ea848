/*
 * A web identity that the environment names, as EKS does it for service
 * accounts.
 */
#include "postgres.h"

#include "call/credential/credential.h"
#include "call/credential/sts.h"
#include "call/credential/surroundings.h"

SmrtProvision
smrt_provide_web_identity(const SmrtSearch *search, SmrtCredential *credential,
						  StringInfo why)
{
	const char *file = smrt_surroundings_env("AWS_WEB_IDENTITY_TOKEN_FILE");
	SmrtRole	role = {
		.arn = smrt_surroundings_env("AWS_ROLE_ARN"),
		.session_name = smrt_surroundings_env("AWS_ROLE_SESSION_NAME"),
	};

	if (file == NULL)
	{
		appendStringInfoString(why, "no AWS_WEB_IDENTITY_TOKEN_FILE");
		return SMRT_PROVISION_NONE;
	}
	if (role.arn == NULL)
	{
		appendStringInfoString(why, "AWS_WEB_IDENTITY_TOKEN_FILE is set, AWS_ROLE_ARN is not");
		return SMRT_PROVISION_FAILED;
	}
	return smrt_sts_web_identity(search, &role, file, credential, why);
}
