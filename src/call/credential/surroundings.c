/*
 * The postmaster's environment and files.
 */
#include "postgres.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/digest.h"
#include "aws/profilepath.h"
#include "call/credential/surroundings.h"
#include "pg/alloc.h"
#include "storage/fd.h"

/* A web identity token or a container's authorization. */
#define MAX_TOKEN (64 * 1024)

static bool says_true(const char *value);
static const char *home(void);
static SmrtSpan read_file(const char *path, size_t max, StringInfo why);
static SmrtProfileEnvironment environment(void);
static bool read_profile_file(SmrtProfileFile file, SmrtSpan *text,
							  StringInfo why);
static char *service_url(const char *services, const char *service);
static char *text_of(SmrtSpan value);

const char *
smrt_surroundings_env(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || value[strspn(value, " \t")] == '\0' ? NULL : value;
}

bool
smrt_surroundings_env_true(const char *name)
{
	return says_true(smrt_surroundings_env(name));
}

static bool
says_true(const char *value)
{
	return value != NULL && pg_strcasecmp(value, "true") == 0;
}

/* NUL-terminated; absent when it cannot be read or is larger than max. */
static SmrtSpan
read_file(const char *path, size_t max, StringInfo why)
{
	FILE	   *file = AllocateFile(path, "r");
	struct stat status;
	char	   *data = NULL;
	size_t		len = 0;

	if (file == NULL)
	{
		appendStringInfo(why, "could not open \"%s\": %s", path,
						 strerror(errno));
		return smrt_span(NULL);
	}
	if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode))
		appendStringInfo(why, "\"%s\" is no file", path);
	else
	{
		data = palloc(max + 1);
		len = fread(data, 1, max + 1, file);
		if (ferror(file))
			appendStringInfo(why, "could not read \"%s\"", path);
		else if (len > max)
			appendStringInfo(why, "\"%s\" has more than %zu bytes", path, max);
		else
		{
			FreeFile(file);
			data[len] = '\0';
			return smrt_span_of(repalloc(data, len + 1), len);
		}
	}
	FreeFile(file);
	return smrt_span(NULL);
}

SmrtSpan
smrt_surroundings_token(const char *path, StringInfo why)
{
	SmrtSpan	token = read_file(path, MAX_TOKEN, why);

	while (token.len > 0 && strchr(" \t\r\n", token.data[token.len - 1]))
		token.len--;
	if (!smrt_span_absent(token) && token.len == 0)
	{
		appendStringInfo(why, "\"%s\" is empty", path);
		return smrt_span(NULL);
	}
	for (size_t i = 0; i < token.len; i++)
		if (token.data[i] < ' ' || token.data[i] > '~')
		{
			appendStringInfo(why, "\"%s\" has a line break or another character that no header may hold",
							 path);
			return smrt_span(NULL);
		}
	return token;
}

SmrtProfiles *
smrt_surroundings_profiles(StringInfo why)
{
	SmrtSpan	texts[SMRT_PROFILE_FILE_COUNT];
	SmrtProfiles *profiles;
	SmrtError	error;

	for (int i = 0; i < SMRT_PROFILE_FILE_COUNT; i++)
		if (!read_profile_file(i, &texts[i], why))
			return NULL;
	profiles = smrt_profiles_parse(texts[SMRT_PROFILE_CONFIG],
								   texts[SMRT_PROFILE_CREDENTIALS],
								   &smrt_alloc_palloc, &error);
	for (int i = 0; i < SMRT_PROFILE_FILE_COUNT; i++)
		if (!smrt_span_absent(texts[i]))
		{
			smrt_cleanse((char *) texts[i].data, texts[i].len);
			pfree((char *) texts[i].data);
		}
	if (profiles == NULL)
		appendStringInfoString(why, error.text);
	return profiles;
}

/* A file that is not there is an empty one. */
static bool
read_profile_file(SmrtProfileFile file, SmrtSpan *text, StringInfo why)
{
	char	   *path = smrt_surroundings_profile_path(file);
	struct stat status;

	*text = smrt_span(NULL);
	if (path == NULL || (stat(path, &status) != 0 &&
						 (errno == ENOENT || errno == ENOTDIR)))
		return true;
	*text = read_file(path, SMRT_PROFILES_MAX_TEXT, why);
	return !smrt_span_absent(*text);
}

char *
smrt_surroundings_profile_path(SmrtProfileFile file)
{
	SmrtProfileEnvironment where = environment();
	SmrtBuf		path;
	SmrtError	error;

	smrt_buf_init(&path, &smrt_alloc_palloc, MAXPGPATH - 1);
	return smrt_profilepath_find(&where, file, &path, &error) &&
		path.len > 0 ? path.data : NULL;
}

/* Debian's service scripts start the server without HOME. */
static const char *
home(void)
{
	const char *folder = smrt_surroundings_env("HOME");
	struct passwd *user = folder ? NULL : getpwuid(geteuid());

	return user ? user->pw_dir : folder;
}

static SmrtProfileEnvironment
environment(void)
{
	SmrtProfileEnvironment where = {
		.config_file = smrt_span(smrt_surroundings_env("AWS_CONFIG_FILE")),
		.credentials_file = smrt_span(smrt_surroundings_env("AWS_SHARED_CREDENTIALS_FILE")),
		.home = smrt_span(home()),
		.profile = smrt_span(smrt_surroundings_env("AWS_PROFILE")),
		.default_profile = smrt_span(smrt_surroundings_env("AWS_DEFAULT_PROFILE")),
	};

	return where;
}

SmrtSection
smrt_surroundings_profile(const char *given)
{
	SmrtProfileEnvironment where = environment();

	return smrt_section(SMRT_SECTION_PROFILE,
						given ? smrt_span(given) :
						smrt_profilepath_profile(&where));
}

char *
smrt_surroundings_property(const char *given_profile, const char *property)
{
	StringInfoData why;
	SmrtProfiles *profiles;
	char	   *value;

	initStringInfo(&why);
	profiles = smrt_surroundings_profiles(&why);
	if (profiles == NULL)
		return NULL;
	value = text_of(smrt_profiles_value(profiles,
										smrt_surroundings_profile(given_profile),
										smrt_span(property)));
	smrt_profiles_free(profiles);
	return value;
}

bool
smrt_surroundings_choice(const char *given_profile, const char *variable,
						 const char *property)
{
	const char *value = smrt_surroundings_env(variable);

	return says_true(value ? value :
					 smrt_surroundings_property(given_profile, property));
}

const char *
smrt_surroundings_endpoint_url(const char *given_profile, const char *service)
{
	char	   *variable = psprintf("AWS_ENDPOINT_URL_%s", service);
	const char *url;
	char	   *services;

	if (smrt_surroundings_env_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"))
		return NULL;
	for (char *c = variable; *c; c++)
		*c = pg_toupper((unsigned char) *c);
	url = smrt_surroundings_env(variable);
	if (url == NULL)
		url = smrt_surroundings_env("AWS_ENDPOINT_URL");
	if (url != NULL)
		return url;
	if (says_true(smrt_surroundings_property(given_profile,
											 "ignore_configured_endpoint_urls")))
		return NULL;
	services = smrt_surroundings_property(given_profile, "services");
	if (services != NULL)
		url = service_url(services, service);
	return url ? url : smrt_surroundings_property(given_profile, "endpoint_url");
}

/* endpoint_url below the service in the section [services NAME] */
static char *
service_url(const char *services, const char *service)
{
	StringInfoData why;
	SmrtProfiles *profiles;
	char	   *url;

	initStringInfo(&why);
	profiles = smrt_surroundings_profiles(&why);
	if (profiles == NULL)
		return NULL;
	url = text_of(smrt_profiles_nested_value(profiles,
											 smrt_section(SMRT_SECTION_SERVICES,
														  smrt_span(services)),
											 smrt_span(service),
											 smrt_span("endpoint_url")));
	smrt_profiles_free(profiles);
	return url;
}

/* A copy; NULL for what is absent or empty. */
static char *
text_of(SmrtSpan value)
{
	return value.len == 0 ? NULL : pnstrdup(value.data, value.len);
}
