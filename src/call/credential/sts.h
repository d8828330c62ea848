/*
 * The Security Token Service: other keys for a role that may be assumed.
 */
#ifndef SMRT_CALL_CREDENTIAL_STS_H
#define SMRT_CALL_CREDENTIAL_STS_H

#include "call/credential/credential.h"

typedef struct SmrtRole
{
	const char *arn;
	const char *session_name;	/* NULL: one of ours */
	const char *external_id;	/* NULL: none */
	const char *duration_seconds;	/* NULL: STS's default, an hour */
} SmrtRole;

/*
 * AssumeRole, signed with the keys of base; GIVEN or FAILED.  credential may be
 * base.
 */
extern SmrtProvision smrt_sts_assume_role(const SmrtSearch *search,
										  const SmrtRole *role,
										  const SmrtCredential *base,
										  SmrtCredential *credential,
										  StringInfo why);

/* AssumeRoleWithWebIdentity, not signed: the token file is what counts. */
extern SmrtProvision smrt_sts_web_identity(const SmrtSearch *search,
										   const SmrtRole *role,
										   const char *token_file,
										   SmrtCredential *credential,
										   StringInfo why);

#endif							/* SMRT_CALL_CREDENTIAL_STS_H */
