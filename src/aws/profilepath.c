/*
 * Paths of the shared files.
 */
#include "aws/profilepath.h"

static bool append_home(SmrtSpan home, const char *name, SmrtBuf *path,
						SmrtError *error);

/* What stands for the user's home directory; "~name/" is not understood. */
static bool
starts_at_home(SmrtSpan path)
{
	return smrt_span_equal(path, smrt_span("~")) ||
		smrt_span_starts_with(path, smrt_span("~/"));
}

bool
smrt_profilepath_find(const SmrtProfileEnvironment *environment,
					  SmrtProfileFile file, SmrtBuf *path, SmrtError *error)
{
	static const struct
	{
		const char *variable;
		SmrtSpan	standard;
	}			files[SMRT_PROFILE_FILE_COUNT] =
	{
		[SMRT_PROFILE_CONFIG] =
		{"AWS_CONFIG_FILE", SMRT_LITERAL("~/.aws/config")},
		[SMRT_PROFILE_CREDENTIALS] =
		{"AWS_SHARED_CREDENTIALS_FILE", SMRT_LITERAL("~/.aws/credentials")},
	};
	const char *name = files[file].variable;
	SmrtSpan	given = file == SMRT_PROFILE_CONFIG ?
		environment->config_file : environment->credentials_file;

	if (given.len == 0)
	{
		if (environment->home.len == 0)
			return true;
		given = files[file].standard;
		name = "HOME";
	}
	if (starts_at_home(given))
	{
		if (!append_home(environment->home, name, path, error))
			return false;
		given = smrt_span_of(given.data + 1, given.len - 1);
	}
	if (given.len > 0 && memchr(given.data, '\0', given.len) != NULL)
		return smrt_error_set(error, "%s has a NUL byte", name);
	if (!smrt_buf_append_span(path, given))
		return smrt_error_set(error, "%s is too long", name);
	return true;
}

/* Without a "/" at its end, as one follows. */
static bool
append_home(SmrtSpan home, const char *name, SmrtBuf *path, SmrtError *error)
{
	if (home.len == 0)
		return smrt_error_set(error, "%s starts with ~, but HOME is not set", name);
	if (memchr(home.data, '\0', home.len) != NULL)
		return smrt_error_set(error, "HOME has a NUL byte");
	while (home.len > 0 && home.data[home.len - 1] == '/')
		home.len--;
	if (!smrt_buf_append_span(path, home))
		return smrt_error_set(error, "HOME is too long");
	return true;
}

SmrtSpan
smrt_profilepath_profile(const SmrtProfileEnvironment *environment)
{
	if (environment->profile.len > 0)
		return environment->profile;
	if (environment->default_profile.len > 0)
		return environment->default_profile;
	return smrt_span("default");
}
