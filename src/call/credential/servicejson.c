/*
 * The JSON of container and instance credentials:
 * {"AccessKeyId": ..., "SecretAccessKey": ..., "Token": ..., "Expiration": ...}
 */
#include "postgres.h"

#include "aws/digest.h"
#include "aws/timestamp.h"
#include "call/credential/credential.h"
#include "pg/json.h"
#include "pg/report.h"

static void refusal(SmrtSpan code, SmrtSpan message, const char *what,
					SmrtSpan token, StringInfo why);

SmrtProvision
smrt_credential_from_json(SmrtSpan json, const char *what, SmrtSpan token,
						  SmrtCredential *credential, StringInfo why)
{
	enum
	{
		ID, SECRET, TOKEN, EXPIRATION, CODE, MESSAGE,
		MEMBERS
	};
	SmrtJsonMember members[MEMBERS] = {
		{"AccessKeyId"}, {"SecretAccessKey"}, {"Token"}, {"Expiration"},
		{"Code"}, {"Message"},
	};
	int64_t		seconds;

	if (!smrt_json_members(json, members, MEMBERS))
	{
		appendStringInfo(why, "%s answered what is no JSON object", what);
		return SMRT_PROVISION_FAILED;
	}
	if (members[CODE].value != NULL && strcmp(members[CODE].value, "Success") != 0)
	{
		refusal(smrt_span(members[CODE].value),
				smrt_span(members[MESSAGE].value), what, token, why);
		return SMRT_PROVISION_FAILED;
	}
	if (members[ID].value == NULL || members[SECRET].value == NULL)
	{
		appendStringInfo(why, "%s answered without keys", what);
		return SMRT_PROVISION_FAILED;
	}
	if (members[EXPIRATION].value != NULL)
	{
		if (!smrt_timestamp_parse_iso(smrt_span(members[EXPIRATION].value),
									  &seconds))
		{
			appendStringInfo(why, "%s answered with an Expiration that is no time",
							 what);
			return SMRT_PROVISION_FAILED;
		}
		credential->expires_at = seconds;
	}
	credential->keys.access_key_id = smrt_span(members[ID].value);
	credential->keys.secret_access_key = smrt_span(members[SECRET].value);
	credential->keys.session_token = smrt_span(members[TOKEN].value);
	credential->source = what;
	smrt_cleanse((char *) json.data, json.len);
	return SMRT_PROVISION_GIVEN;
}

/* The token may be repeated with the scheme before it ("Bearer x"), or without. */
static void
refusal(SmrtSpan code, SmrtSpan message, const char *what, SmrtSpan token,
		StringInfo why)
{
	SmrtFault	fault = {.code = code,.text = message};
	SmrtSpan	scheme = smrt_span_up_to(token, ' ');
	SmrtKeys	secrets = {.session_token = token};

	if (scheme.len < token.len)
		secrets.secret_access_key = smrt_span_after(token, scheme.len + 1);
	smrt_report_blot(&fault, &secrets);
	appendStringInfo(why, "%s answered %s: %s", what,
					 smrt_report_text(fault.code, 100),
					 smrt_report_text(fault.text, 500));
}
