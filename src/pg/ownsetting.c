/*
 * Settings with an owner.
 *
 * The check hook stores each value as "@OID@VALUE", where OID is the role that
 * sets it, or 0 for the configuration.  That way the owner follows the value
 * through transactions, savepoints, functions' SET clauses and, as PostgreSQL
 * hands settings to parallel workers as text, into those.  Show hooks cut it
 * off again.
 *
 * Secrets.  A key may stand in the configuration file or be set in a session.
 * It is refused in ALTER ROLE, ALTER DATABASE and in a function's SET clause,
 * because every role can read pg_db_role_setting and pg_proc; in ALTER SYSTEM,
 * because it does not belong in a file that is written by SQL.  A refused value
 * is never repeated in the message, an accepted one never shown.
 * GUC_SUPERUSER_ONLY will not do for the latter: set_config() returns what it
 * has set, so a plain role's would fail, and that is the way to set a key that
 * leaves no trace in the statement's text.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "aws/digest.h"
#include "miscadmin.h"
#include "pg/compat.h"
#include "pg/onerror.h"
#include "pg/ownsetting.h"
#include "pg/settings.h"

#define SECRET_FLAGS (GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | \
					  GUC_DISALLOW_IN_AUTO_FILE)

typedef struct OwnRow
{
	const char *name;
	bool		secret;
	size_t		max_len;
	GucStringCheckHook check;
	GucShowHook show;
	const char *description;
	const char *const *words;	/* ended by NULL; NULL: any text will do */
} OwnRow;

static bool check_access_key_id(char **value, void **extra, GucSource source);
static bool check_secret_access_key(char **value, void **extra,
									GucSource source);
static bool check_session_token(char **value, void **extra, GucSource source);
static bool check_default_server(char **value, void **extra, GucSource source);
static bool check_on_error(char **value, void **extra, GucSource source);
static const char *show_access_key_id(void);
static const char *show_secret_access_key(void);
static const char *show_session_token(void);
static const char *show_default_server(void);
static const char *show_on_error(void);

static const OwnRow rows[] = {
	/* IAM: AccessKeyId has 16 to 128 characters. */
	[SMRT_OWN_ACCESS_KEY_ID] = {"access_key_id", true, 128,
		check_access_key_id, show_access_key_id,
	"Access key id that requests are signed with."},
	[SMRT_OWN_SECRET_ACCESS_KEY] = {"secret_access_key", true, 256,
		check_secret_access_key, show_secret_access_key,
	"Secret access key that requests are signed with."},
	/* IAM states no size; tokens of some kB with session tags are known. */
	[SMRT_OWN_SESSION_TOKEN] = {"session_token", true, 16384,
		check_session_token, show_session_token,
	"Session token that belongs to temporary keys."},
	[SMRT_OWN_DEFAULT_SERVER] = {"default_server", false, NAMEDATALEN - 1,
		check_default_server, show_default_server,
	"Foreign server that is used where none is named."},
	[SMRT_OWN_ON_ERROR] = {"on_error", false, 0,
		check_on_error, show_on_error,
		"What becomes of a failed prediction where the model does not say it.",
	smrt_on_error_words},
};

StaticAssertDecl(lengthof(rows) == SMRT_OWN_COUNT, "every setting needs a row");

static const char *setting_prefix;
static char *current[SMRT_OWN_COUNT];	/* "" or "@OID@VALUE" */
static char *configured[SMRT_OWN_COUNT];	/* malloc'ed, or NULL */
static bool hidden[SMRT_OWN_COUNT]; /* another value came in its place */
static bool defining;
static Oid	placeholder_setter; /* while defining */

/* Who no role is, and no configuration. */
#define NOBODY PG_UINT32_MAX

static bool check(SmrtOwnSetting setting, char **value, GucSource source);
static bool check_secret(const OwnRow *row, const char *value,
						 GucSource source);
static bool check_word(const OwnRow *row, const char *value);
static Oid	setter(GucSource source);
static bool remember_configured(SmrtOwnSetting setting, const char *value);
static bool add_owner(char **value, Oid owner);
static const char *split(const char *stored, Oid *owner);
static void note_change(const char *value, void *extra);

void
smrt_ownsettings_define(const char *prefix)
{
	setting_prefix = prefix;
	defining = true;
	for (int i = 0; i < SMRT_OWN_COUNT; i++)
	{
		char	   *name = psprintf("%s%s", prefix, rows[i].name);
		const struct config_generic *placeholder = smrt_setting_find(name);

		hidden[i] = placeholder != NULL &&
			placeholder->reset_source > PGC_S_ARGV;
		placeholder_setter = placeholder ? smrt_setting_setter(placeholder) :
			InvalidOid;
		DefineCustomStringVariable(name, rows[i].description, NULL,
								   &current[i], "", PGC_USERSET,
								   rows[i].secret ? SECRET_FLAGS : 0,
								   rows[i].check, note_change, rows[i].show);
	}
	defining = false;
}

const char *
smrt_ownsetting_configured(SmrtOwnSetting setting)
{
	if (hidden[setting])
		smrt_settings_report_hidden(rows[setting].name);
	return configured[setting] ? configured[setting] : "";
}

const char *
smrt_ownsetting_of_role(SmrtOwnSetting setting, Oid role)
{
	Oid			owner;
	const char *value = split(current[setting], &owner);

	return value[0] != '\0' && owner == role ? value : NULL;
}

static bool
check(SmrtOwnSetting setting, char **value, GucSource source)
{
	Oid			owner;

	/* A parallel worker gets the leader's value with its owner. */
	if (InitializingParallelWorker && (*value)[0] == '@')
	{
		const char *plain = split(*value, &owner);

		return OidIsValid(owner) || remember_configured(setting, plain);
	}
	if (rows[setting].secret && !check_secret(&rows[setting], *value, source))
		return false;
	if (rows[setting].words != NULL && !check_word(&rows[setting], *value))
		return false;
	/* A starting worker resets settings, but not what it was configured with. */
	if (source <= PGC_S_ARGV &&
		!(InitializingParallelWorker && source == PGC_S_DEFAULT) &&
		!remember_configured(setting, *value))
		return false;
	return (*value)[0] == '\0' || add_owner(value, setter(source));
}

/*
 * A secret may be set where only its owner and the administrator see it, and
 * must be fit for a header.
 */
static bool
check_secret(const OwnRow *row, const char *value, GucSource source)
{
	if (value[0] == '\0')
		return true;
	if (source == PGC_S_TEST || source == PGC_S_GLOBAL ||
		source == PGC_S_DATABASE || source == PGC_S_USER ||
		source == PGC_S_DATABASE_USER)
	{
		GUC_check_errmsg("\"%s%s\" cannot be stored with a role, a database or a function",
						 setting_prefix, row->name);
		GUC_check_errdetail("Every role can read what is stored there.");
		GUC_check_errhint("Use a user mapping, put it into the server's configuration file, or set it in the session with SELECT set_config('%s%s', $1, false).",
						  setting_prefix, row->name);
		return false;
	}
	for (const char *c = value; *c; c++)
		if (*c <= ' ' || *c > '~')
		{
			GUC_check_errmsg("invalid value for parameter \"%s%s\"",
							 setting_prefix, row->name);
			GUC_check_errdetail("It must consist of visible ASCII characters.");
			return false;
		}
	if (strlen(value) > row->max_len)
	{
		GUC_check_errmsg("invalid value for parameter \"%s%s\"",
						 setting_prefix, row->name);
		GUC_check_errdetail("It is longer than %zu characters.", row->max_len);
		return false;
	}
	return true;
}

/* Nothing is a word too: the first one. */
static bool
check_word(const OwnRow *row, const char *value)
{
	char		all[64] = "";

	if (value[0] == '\0')
		return true;
	for (int i = 0; row->words[i] != NULL; i++)
	{
		if (strcmp(row->words[i], value) == 0)
			return true;
		strlcat(all, i > 0 ? ", " : "", sizeof(all));
		strlcat(all, row->words[i], sizeof(all));
	}
	GUC_check_errdetail("It must be one of %s.", all);
	return false;
}

/*
 * The role that a value belongs to.  When the library is loaded in the middle
 * of a session, placeholders become ours now, perhaps under another role than
 * the one that set them.
 */
static Oid
setter(GucSource source)
{
	Oid			user;
	int			security_context;

	if (source <= PGC_S_ARGV)
		return InvalidOid;
	if (defining && source < PGC_S_CLIENT)
		return GetAuthenticatedUserId();
	if (defining)
		return OidIsValid(placeholder_setter) ? placeholder_setter : NOBODY;
	GetUserIdAndSecContext(&user, &security_context);
	return user;
}

/* A session's value hides the configuration's from us, so it is kept apart. */
static bool
remember_configured(SmrtOwnSetting setting, const char *value)
{
	char	   *copy = strdup(value);

	if (copy == NULL)
	{
		GUC_check_errcode(ERRCODE_OUT_OF_MEMORY);
		GUC_check_errmsg("out of memory");
		return false;
	}
	/* While the session has a value of its own, no assign hook tells. */
	if (configured[setting] == NULL || strcmp(configured[setting], copy) != 0)
		smrt_settings_generation++;
	if (configured[setting] != NULL)
	{
		smrt_cleanse(configured[setting], strlen(configured[setting]));
		free(configured[setting]);
	}
	configured[setting] = copy;
	if (!defining)
		hidden[setting] = false;
	return true;
}

static bool
add_owner(char **value, Oid owner)
{
	char	   *stored;
	size_t		size = strlen(*value) + 16;

	stored = smrt_setting_alloc(size);
	if (stored == NULL)
	{
		GUC_check_errcode(ERRCODE_OUT_OF_MEMORY);
		GUC_check_errmsg("out of memory");
		return false;
	}
	snprintf(stored, size, "@%u@%s", owner, *value);
	smrt_setting_free(*value);
	*value = stored;
	return true;
}

static const char *
split(const char *stored, Oid *owner)
{
	char	   *end;

	*owner = InvalidOid;
	if (stored == NULL || stored[0] != '@')
		return "";
	*owner = (Oid) strtoul(stored + 1, &end, 10);
	return *end == '@' ? end + 1 : "";
}

static void
note_change(const char *value, void *extra)
{
	smrt_settings_generation++;
}

/* The hooks, one of each a setting. */

static bool
check_access_key_id(char **value, void **extra, GucSource source)
{
	return check(SMRT_OWN_ACCESS_KEY_ID, value, source);
}

static bool
check_secret_access_key(char **value, void **extra, GucSource source)
{
	return check(SMRT_OWN_SECRET_ACCESS_KEY, value, source);
}

static bool
check_session_token(char **value, void **extra, GucSource source)
{
	return check(SMRT_OWN_SESSION_TOKEN, value, source);
}

static bool
check_default_server(char **value, void **extra, GucSource source)
{
	return check(SMRT_OWN_DEFAULT_SERVER, value, source);
}

static bool
check_on_error(char **value, void **extra, GucSource source)
{
	return check(SMRT_OWN_ON_ERROR, value, source);
}

/* Whether there is a secret is no secret. */
static const char *
show(SmrtOwnSetting setting)
{
	Oid			owner;
	const char *value = split(current[setting], &owner);

	return rows[setting].secret && value[0] ? "********" : value;
}

static const char *
show_access_key_id(void)
{
	return show(SMRT_OWN_ACCESS_KEY_ID);
}

static const char *
show_secret_access_key(void)
{
	return show(SMRT_OWN_SECRET_ACCESS_KEY);
}

static const char *
show_session_token(void)
{
	return show(SMRT_OWN_SESSION_TOKEN);
}

static const char *
show_default_server(void)
{
	return show(SMRT_OWN_DEFAULT_SERVER);
}

static const char *
show_on_error(void)
{
	const char *value = show(SMRT_OWN_ON_ERROR);

	return value[0] ? value : smrt_on_error_words[SMRT_ON_ERROR_ERROR];
}
