/*
 * The settings, as tables: the limits, which a call's options share, and the
 * strings.
 *
 * Secrets.  A key may stand in the configuration file or be set in a session.
 * It is refused in ALTER ROLE, ALTER DATABASE and in a function's SET clause,
 * because every role can read pg_db_role_setting and pg_proc; in ALTER SYSTEM,
 * because it does not belong in a file that is written by SQL.  A refused value
 * is never repeated in the message, an accepted one never shown.
 *
 * GUC_SUPERUSER_ONLY will not do for the latter: set_config() returns what it
 * has set, so a plain role's would fail, and that is the way to set a key that
 * leaves no trace in the statement's text.
 */
#include "postgres.h"

#include <limits.h>

#include "aws/url.h"
#include "pg/compat.h"
#include "pg/settings.h"
#include "utils/builtins.h"

#define PREFIX "sagemaker_rt."

#define SECRET_FLAGS (GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | \
					  GUC_DISALLOW_IN_AUTO_FILE)

/* A day: what is longer is a mistake. */
#define MAX_MS (24 * 60 * 60 * 1000)

/* A bytea, its composite and their headers must stay below 1 GB. */
#define MAX_RESPONSE_BYTES (1000 * 1024 * 1024)

SmrtSettings smrt_settings;
uint64		smrt_settings_generation = 1;

typedef struct LimitRow
{
	const char *name;
	int		   *variable;
	int			initial;
	int			min;
	int			max;
	int			unit;
	const char *description;
} LimitRow;

static const LimitRow limit_rows[] = {
	{"connect_timeout", &smrt_settings.limits.connect_timeout,
		3100, 1, MAX_MS, GUC_UNIT_MS,
	"Longest time for name lookup, connection and TLS handshake of one attempt."},
	/* The service itself gives a model 60 s. */
	{"timeout", &smrt_settings.limits.timeout,
		70 * 1000, 1, MAX_MS, GUC_UNIT_MS,
	"Longest time for one attempt."},
	{"total_timeout", &smrt_settings.limits.total_timeout,
		5 * 60 * 1000, 1, MAX_MS, GUC_UNIT_MS,
	"Longest time for one call: all its attempts and the waits between them."},
	{"max_attempts", &smrt_settings.limits.max_attempts,
		3, 1, 100, 0,
	"Most attempts at one call, the first one included."},
	{"max_response_size", &smrt_settings.limits.max_response_size,
		64 * 1024 * 1024, 0, MAX_RESPONSE_BYTES, GUC_UNIT_BYTE,
	"Largest body of an answer that is accepted."},
};

typedef struct StringRow
{
	const char *name;
	char	  **variable;
	GucContext	context;
	int			flags;
	GucStringCheckHook check;
	GucShowHook show;			/* NULL: as it is */
	const char *description;
} StringRow;

static bool check_region(char **value, void **extra, GucSource source);
static bool check_access_key_id(char **value, void **extra, GucSource source);
static bool check_secret_access_key(char **value, void **extra,
									GucSource source);
static bool check_session_token(char **value, void **extra, GucSource source);
static bool check_endpoint_url(char **value, void **extra, GucSource source);
static bool check_proxy(char **value, void **extra, GucSource source);
static const char *show_access_key_id(void);
static const char *show_secret_access_key(void);
static const char *show_session_token(void);

static const StringRow string_rows[] = {
	{"region", &smrt_settings.region, PGC_SUSET, 0, check_region, NULL,
	"AWS region whose SageMaker endpoints are called."},
	{"access_key_id", &smrt_settings.access_key_id, PGC_USERSET, SECRET_FLAGS,
		check_access_key_id, show_access_key_id,
	"Access key id that requests are signed with."},
	{"secret_access_key", &smrt_settings.secret_access_key, PGC_USERSET,
		SECRET_FLAGS, check_secret_access_key, show_secret_access_key,
	"Secret access key that requests are signed with."},
	{"session_token", &smrt_settings.session_token, PGC_USERSET, SECRET_FLAGS,
		check_session_token, show_session_token,
	"Session token that belongs to temporary keys."},
	{"endpoint_url", &smrt_settings.endpoint_url, PGC_SUSET, 0,
		check_endpoint_url, NULL,
	"URL that requests go to instead of the region's own host."},
	{"ca_file", &smrt_settings.ca_file, PGC_SUSET, 0, NULL, NULL,
	"PEM file of the certificate authorities to trust instead of the system's."},
	{"proxy", &smrt_settings.proxy, PGC_SUSET, 0, check_proxy, NULL,
	"URL of the HTTP proxy that requests go through."},
};

static void note_change_string(const char *value, void *extra);
static void note_change_int(int value, void *extra);
static void note_change_bool(bool value, void *extra);
static const LimitRow *find_limit(const char *name);
static int *limit_in(SmrtLimits *limits, const LimitRow *row);

void
smrt_settings_define(void)
{
	for (int i = 0; i < lengthof(string_rows); i++)
	{
		const StringRow *row = &string_rows[i];

		DefineCustomStringVariable(psprintf(PREFIX "%s", row->name),
								   row->description, NULL, row->variable, "",
								   row->context, row->flags, row->check,
								   note_change_string, row->show);
	}
	for (int i = 0; i < lengthof(limit_rows); i++)
	{
		const LimitRow *row = &limit_rows[i];

		DefineCustomIntVariable(psprintf(PREFIX "%s", row->name),
								row->description, NULL, row->variable,
								row->initial, row->min, row->max, PGC_USERSET,
								row->unit, NULL, note_change_int, NULL);
	}
	DefineCustomBoolVariable(PREFIX "retry_timeouts",
							 "Tries again after a timeout, although the model may have run and been billed.",
							 NULL, &smrt_settings.limits.retry_timeouts, true,
							 PGC_USERSET, 0, NULL, note_change_bool, NULL);
	DefineCustomBoolVariable(PREFIX "allow_http",
							 "Permits plain http to hosts other than this machine.",
							 NULL, &smrt_settings.allow_http, false,
							 PGC_SUSET, 0, NULL, note_change_bool, NULL);
	/* The service closes connections that were idle for 60 s. */
	DefineCustomIntVariable(PREFIX "idle_timeout",
							"Idle time after which a kept connection is not used again.",
							NULL, &smrt_settings.idle_timeout, 50, 1, 3600,
							PGC_USERSET, GUC_UNIT_S, NULL, note_change_int,
							NULL);
	smrt_reserve_settings("sagemaker_rt");
}

bool
smrt_limits_set(SmrtLimits *limits, const char *name, const char *value,
				bool *known, SmrtError *error)
{
	const LimitRow *row = find_limit(name);
	const char *hint = NULL;
	int			number;

	*known = true;
	if (row != NULL)
	{
		if (!parse_int(value, &number, row->unit, &hint))
			return smrt_error_set(error, "\"%s\" is not a whole number with a unit that fits",
								  value);
		if (number < row->min || number > row->max)
			return smrt_error_set(error, "%d is outside the valid range (%d .. %d)",
								  number, row->min, row->max);
		*limit_in(limits, row) = number;
		return true;
	}
	if (strcmp(name, "retry_timeouts") == 0)
	{
		if (!parse_bool(value, &limits->retry_timeouts))
			return smrt_error_set(error, "\"%s\" is not a Boolean", value);
		return true;
	}
	*known = false;
	return false;
}

char *
smrt_limits_names(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(limit_rows); i++)
		appendStringInfo(&names, "%s, ", limit_rows[i].name);
	appendStringInfoString(&names, "retry_timeouts");
	return names.data;
}

static const LimitRow *
find_limit(const char *name)
{
	for (int i = 0; i < lengthof(limit_rows); i++)
		if (strcmp(limit_rows[i].name, name) == 0)
			return &limit_rows[i];
	return NULL;
}

/* The row names a field of smrt_settings.limits; the same field of another. */
static int *
limit_in(SmrtLimits *limits, const LimitRow *row)
{
	return (int *) ((char *) limits +
					((char *) row->variable - (char *) &smrt_settings.limits));
}

static void
note_change_string(const char *value, void *extra)
{
	smrt_settings_generation++;
}

static void
note_change_int(int value, void *extra)
{
	smrt_settings_generation++;
}

static void
note_change_bool(bool value, void *extra)
{
	smrt_settings_generation++;
}

/*
 * Checks.
 */

static bool
check_region(char **value, void **extra, GucSource source)
{
	size_t		len = strlen(*value);

	if (len == 0)
		return true;
	if (len > 63 || (*value)[0] == '-' || (*value)[len - 1] == '-' ||
		strspn(*value, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
	{
		GUC_check_errdetail("A region is made of lower-case letters, digits and inner hyphens, like \"us-east-1\".");
		return false;
	}
	return true;
}

static bool
check_url(char *value)
{
	SmrtError	error;
	SmrtUrl		url;

	if (value[0] == '\0' || smrt_url_parse(smrt_span(value), &url, &error))
		return true;
	GUC_check_errdetail("Not a URL that can be used: %s.", error.text);
	return false;
}

static bool
check_endpoint_url(char **value, void **extra, GucSource source)
{
	return check_url(*value);
}

static bool
check_proxy(char **value, void **extra, GucSource source)
{
	return check_url(*value);
}

/*
 * A secret may be set where only its owner and the administrator see it, and
 * must be fit for a header.
 */
static bool
check_secret(const char *name, const char *value, int max_len,
			 GucSource source)
{
	if (value[0] == '\0')
		return true;
	if (source == PGC_S_TEST || source == PGC_S_GLOBAL ||
		source == PGC_S_DATABASE || source == PGC_S_USER ||
		source == PGC_S_DATABASE_USER)
	{
		GUC_check_errmsg("\"" PREFIX "%s\" cannot be stored with a role, a database or a function",
						 name);
		GUC_check_errdetail("Every role can read what is stored there.");
		GUC_check_errhint("Set it in the session with SELECT set_config('" PREFIX "%s', $1, false), or put it into the server's configuration file and sagemaker_rt into session_preload_libraries.",
						  name);
		return false;
	}
	for (const char *c = value; *c; c++)
		if (*c <= ' ' || *c > '~')
		{
			GUC_check_errmsg("invalid value for parameter \"" PREFIX "%s\"",
							 name);
			GUC_check_errdetail("It must consist of visible ASCII characters.");
			return false;
		}
	if (strlen(value) > max_len)
	{
		GUC_check_errmsg("invalid value for parameter \"" PREFIX "%s\"", name);
		GUC_check_errdetail("It is longer than %d characters.", max_len);
		return false;
	}
	return true;
}

static bool
check_access_key_id(char **value, void **extra, GucSource source)
{
	/* IAM: AccessKeyId has 16 to 128 characters. */
	return check_secret("access_key_id", *value, 128, source);
}

static bool
check_secret_access_key(char **value, void **extra, GucSource source)
{
	return check_secret("secret_access_key", *value, 256, source);
}

static bool
check_session_token(char **value, void **extra, GucSource source)
{
	/* IAM states no size; tokens of some kB with session tags are known. */
	return check_secret("session_token", *value, 16384, source);
}

/* Whether there is a secret is no secret. */
static const char *
show_secret(const char *value)
{
	return value[0] ? "********" : "";
}

static const char *
show_access_key_id(void)
{
	return show_secret(smrt_settings.access_key_id);
}

static const char *
show_secret_access_key(void)
{
	return show_secret(smrt_settings.secret_access_key);
}

static const char *
show_session_token(void)
{
	return show_secret(smrt_settings.session_token);
}
