/*
 * What the database server finds around it: the postmaster's environment and
 * files that it may read.  Not the user's shell.
 */
#ifndef SMRT_CALL_CREDENTIAL_SURROUNDINGS_H
#define SMRT_CALL_CREDENTIAL_SURROUNDINGS_H

#include "aws/profile.h"
#include "aws/span.h"
#include "lib/stringinfo.h"

/* A variable's value; NULL when it is unset or blank. */
extern const char *smrt_surroundings_env(const char *name);

/* Whether a variable says "true". */
extern bool smrt_surroundings_env_true(const char *name);

/*
 * A file's bytes without the blanks and line ends at its end, palloc'ed,
 * NUL-terminated; absent, with the reason in why, when it cannot be read or is
 * too large for a token.
 */
extern SmrtSpan smrt_surroundings_token(const char *path, StringInfo why);

/*
 * The profiles of AWS's shared files, in the current memory context; an empty
 * set where there are no files.  NULL, with why, when one is wrong or cannot be
 * read.  Free it by smrt_profiles_free(), as it holds secrets.
 */
extern SmrtProfiles *smrt_surroundings_profiles(StringInfo why);

/* The paths of the two files, palloc'ed; NULL: nothing says where it is. */
extern char *smrt_surroundings_profile_path(SmrtProfileFile file);

/* The profile that counts: the given one unless NULL, else the environment's. */
extern SmrtSection smrt_surroundings_profile(const char *given);

/* A property of that profile, palloc'ed; NULL: none. */
extern char *smrt_surroundings_property(const char *given_profile,
										const char *property);

/* Whether the variable, else the property of that profile, says "true". */
extern bool smrt_surroundings_choice(const char *given_profile,
									 const char *variable,
									 const char *property);

/*
 * The URL that environment or profile set for a service ("sts",
 * "sagemaker_runtime") or for all; NULL: none, or they are to be ignored.
 */
extern const char *smrt_surroundings_endpoint_url(const char *given_profile,
												  const char *service);

#endif							/* SMRT_CALL_CREDENTIAL_SURROUNDINGS_H */
