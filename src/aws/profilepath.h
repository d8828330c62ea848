/*
 * Where AWS's shared files are and which profile is meant, by the environment.
 * A variable that is set to nothing counts as not set.
 */
#ifndef SMRT_AWS_PROFILEPATH_H
#define SMRT_AWS_PROFILEPATH_H

#include "aws/profile.h"

/* The variables' values; absent when not set. */
typedef struct SmrtProfileEnvironment
{
	SmrtSpan	config_file;	/* AWS_CONFIG_FILE */
	SmrtSpan	credentials_file;	/* AWS_SHARED_CREDENTIALS_FILE */
	SmrtSpan	home;			/* HOME */
	SmrtSpan	profile;		/* AWS_PROFILE */
	SmrtSpan	default_profile;	/* AWS_DEFAULT_PROFILE, of the older tools */
} SmrtProfileEnvironment;

/*
 * Appends the file's path, with "~" and "~/" in front replaced by the home
 * directory.  Nothing is appended when neither a variable nor a home directory
 * says where the file is: there is none then.  A relative path is left as it
 * is.  Refused: "~" without a home directory, a NUL byte, a path too long for
 * the buffer.
 */
extern bool smrt_profilepath_find(const SmrtProfileEnvironment *environment,
								  SmrtProfileFile file, SmrtBuf *path,
								  SmrtError *error);

/* The name of the profile: AWS_PROFILE, AWS_DEFAULT_PROFILE or "default". */
extern SmrtSpan smrt_profilepath_profile(const SmrtProfileEnvironment *environment);

#endif							/* SMRT_AWS_PROFILEPATH_H */
