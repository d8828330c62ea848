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
 * A file's bytes, palloc'ed, NUL-terminated; absent, with the reason in why,
 * when it cannot be read or is larger than max.
 */
extern SmrtSpan smrt_surroundings_file(const char *path, size_t max,
									   StringInfo why);

/* The same with the blanks and line ends at its end cut off: a token. */
extern SmrtSpan smrt_surroundings_token(const char *path, StringInfo why);

#endif							/* SMRT_CALL_CREDENTIAL_SURROUNDINGS_H */
