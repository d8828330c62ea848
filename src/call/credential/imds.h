/*
 * The instance metadata service of EC2, version 2 only.
 */
#ifndef SMRT_CALL_CREDENTIAL_IMDS_H
#define SMRT_CALL_CREDENTIAL_IMDS_H

#include "call/credential/credential.h"

/*
 * What stands at a path below /latest/ ("meta-data/placement/region"),
 * palloc'ed; absent, with why, when the service is off, does not answer within
 * the search, or has nothing there (*missing is true then).
 */
extern SmrtSpan smrt_imds_get(const SmrtSearch *search, const char *path,
							  bool *missing, StringInfo why);

#endif							/* SMRT_CALL_CREDENTIAL_IMDS_H */
