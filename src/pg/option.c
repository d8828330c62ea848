/*
 * The option table of the foreign-data wrapper, and its validation.
 *
 * Who may own a server or a mapping need not be a superuser, so what names a
 * host, a file, an authority to trust, a profile or a role is refused to anyone
 * else: with such an option the database server would go, read or sign where
 * its administrator did not mean it to.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "aws/url.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "pg/compat.h"
#include "pg/option.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#define ON_SERVER 1
#define ON_MAPPING 2

typedef enum Kind
{
	KIND_TEXT,					/* not empty, visible ASCII and blanks */
	KIND_SECRET,				/* not empty, visible ASCII, and never shown */
	KIND_REGION,
	KIND_BOOLEAN,
	KIND_URL
} Kind;

typedef enum Whose
{
	ANYONES,
	SUPERUSERS,
	BESIDE_KEYS					/* a superuser's, or beside keys of its own */
} Whose;

typedef struct OptionRow
{
	const char *name;
	int			places;
	Kind		kind;
	Whose		whose;
} OptionRow;

static const OptionRow rows[] = {
	/* A region selects one of AWS's own hosts, reached with the role's keys. */
	[SMRT_OPTION_REGION] = {"region", ON_SERVER, KIND_REGION, ANYONES},
	[SMRT_OPTION_USE_FIPS] = {"use_fips", ON_SERVER, KIND_BOOLEAN, ANYONES},
	[SMRT_OPTION_USE_DUALSTACK] = {"use_dualstack", ON_SERVER, KIND_BOOLEAN, ANYONES},
	/* A host of one's choice: requests from inside the server's network. */
	[SMRT_OPTION_ENDPOINT_URL] = {"endpoint_url", ON_SERVER, KIND_URL, SUPERUSERS},
	[SMRT_OPTION_STS_ENDPOINT_URL] = {"sts_endpoint_url", ON_SERVER, KIND_URL, SUPERUSERS},
	[SMRT_OPTION_S3_ENDPOINT_URL] = {"s3_endpoint_url", ON_SERVER, KIND_URL, SUPERUSERS},
	[SMRT_OPTION_PROXY] = {"proxy", ON_SERVER, KIND_URL, SUPERUSERS},
	/* What is sent may be read on the way. */
	[SMRT_OPTION_ALLOW_HTTP] = {"allow_http", ON_SERVER, KIND_BOOLEAN, SUPERUSERS},
	/* A file that the server reads, and whom to believe. */
	[SMRT_OPTION_CA_FILE] = {"ca_file", ON_SERVER, KIND_TEXT, SUPERUSERS},
	/* Keys in a file of the server's. */
	[SMRT_OPTION_PROFILE] = {"profile", ON_SERVER | ON_MAPPING, KIND_TEXT, SUPERUSERS},
	/* With the server's identity any role that trusts it could be assumed. */
	[SMRT_OPTION_ROLE_ARN] = {"role_arn", ON_SERVER | ON_MAPPING, KIND_TEXT, BESIDE_KEYS},
	[SMRT_OPTION_EXTERNAL_ID] = {"external_id", ON_SERVER | ON_MAPPING, KIND_TEXT, ANYONES},
	[SMRT_OPTION_ROLE_SESSION_NAME] = {"role_session_name", ON_SERVER | ON_MAPPING, KIND_TEXT, ANYONES},
	[SMRT_OPTION_ACCESS_KEY_ID] = {"access_key_id", ON_MAPPING, KIND_SECRET, ANYONES},
	[SMRT_OPTION_SECRET_ACCESS_KEY] = {"secret_access_key", ON_MAPPING, KIND_SECRET, ANYONES},
	[SMRT_OPTION_SESSION_TOKEN] = {"session_token", ON_MAPPING, KIND_SECRET, ANYONES},
	/* The privilege to sign as the server: as password_required elsewhere. */
	[SMRT_OPTION_USE_SERVER_IDENTITY] = {"use_server_identity", ON_MAPPING, KIND_BOOLEAN, SUPERUSERS},
};

StaticAssertDecl(lengthof(rows) == SMRT_OPTION_COUNT, "every option needs a row");

static int	find(const char *name, int place);
static void check_value(const OptionRow *row, const char *value);
static void check_limit(const char *name, const char *value);
static void check_no_url(const SmrtOptionValues *values);
static void check_right(const OptionRow *row, const SmrtOptionValues *values);
pg_noreturn static void unknown_option(const char *name, int place);
static List *names_at(int place);

void
smrt_option_read(List *options, SmrtOptionValues *values, SmrtLimits *limits)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst(cell);
		int			i = find(option->defname, ON_SERVER | ON_MAPPING);
		SmrtError	error;

		/* The validator has seen it: what is neither is of a later version. */
		if (i >= 0)
			values->of[i] = defGetString(option);
		else
			(void) smrt_limits_set(limits, option->defname,
								   defGetString(option), &error);
	}
}

bool
smrt_option_true(const SmrtOptionValues *values, SmrtOption option)
{
	bool		value;

	return values->of[option] != NULL &&
		parse_bool(values->of[option], &value) && value;
}

void
smrt_option_validate(List *options, Oid catalog)
{
	int			place = catalog == ForeignServerRelationId ? ON_SERVER :
		catalog == UserMappingRelationId ? ON_MAPPING : 0;
	SmrtOptionValues values = {{0}};
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst(cell);
		int			i = find(option->defname, place);

		if (i >= 0)
		{
			values.of[i] = defGetString(option);
			check_value(&rows[i], values.of[i]);
		}
		else if (place == ON_SERVER && smrt_limit_exists(option->defname))
			check_limit(option->defname, defGetString(option));
		else
			unknown_option(option->defname, place);
	}
	for (int i = 0; i < SMRT_OPTION_COUNT; i++)
		if (values.of[i] != NULL)
			check_right(&rows[i], &values);
	if (smrt_option_true(&values, SMRT_OPTION_USE_FIPS) ||
		smrt_option_true(&values, SMRT_OPTION_USE_DUALSTACK))
		check_no_url(&values);
}

static void
check_no_url(const SmrtOptionValues *values)
{
	static const SmrtOption urls[] = {SMRT_OPTION_ENDPOINT_URL,
	SMRT_OPTION_STS_ENDPOINT_URL, SMRT_OPTION_S3_ENDPOINT_URL};

	for (int i = 0; i < lengthof(urls); i++)
		if (values->of[urls[i]] != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("options \"use_fips\" and \"use_dualstack\" cannot stand beside \"%s\"",
							rows[urls[i]].name),
					 errdetail("They choose between AWS's own hosts.")));
}

static int
find(const char *name, int place)
{
	for (int i = 0; i < SMRT_OPTION_COUNT; i++)
		if ((rows[i].places & place) && strcmp(rows[i].name, name) == 0)
			return i;
	return -1;
}

static void
check_limit(const char *name, const char *value)
{
	SmrtLimits	scratch;
	SmrtError	error;

	if (!smrt_limits_set(&scratch, name, value, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" is not valid: %s", name, error.text)));
}

static void
check_value(const OptionRow *row, const char *value)
{
	SmrtError	error = {""};
	SmrtUrl		url;
	bool		boolean;

	switch (row->kind)
	{
		case KIND_BOOLEAN:
			if (!parse_bool(value, &boolean))
				smrt_error_set(&error, "it is not a Boolean");
			break;
		case KIND_URL:
			(void) smrt_url_parse(smrt_span(value), &url, &error);
			break;
		case KIND_TEXT:
		case KIND_SECRET:
			if (value[0] == '\0')
				smrt_error_set(&error, "it is empty");
			for (const char *c = value; *c; c++)
				if (*c < ' ' || *c > '~')
					smrt_error_set(&error, "it has a control or non-ASCII character");
				else if (*c == ' ' && row->kind == KIND_SECRET)
					smrt_error_set(&error, "it has a blank");
			break;
		case KIND_REGION:
			if (!smrt_region_fits(value))
				smrt_error_set(&error, "a region is made of lower-case letters, digits and inner hyphens");
			break;
	}
	if (error.text[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" is not valid: %s", row->name,
						error.text)));
}

static void
check_right(const OptionRow *row, const SmrtOptionValues *values)
{
	if (row->whose == ANYONES || superuser())
		return;
	if (row->whose == BESIDE_KEYS &&
		values->of[SMRT_OPTION_ACCESS_KEY_ID] != NULL &&
		values->of[SMRT_OPTION_SECRET_ACCESS_KEY] != NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to set option \"%s\"", row->name),
			 row->whose == BESIDE_KEYS ?
			 errdetail("Only a superuser may set it other than beside access_key_id and secret_access_key in the same user mapping.") :
			 errdetail("Only a superuser may set it.")));
}

static void
unknown_option(const char *name, int place)
{
	List	   *names = names_at(place);
	StringInfoData all;
	const char *nearest = NULL;
	int			nearest_distance = 4;	/* farther is no typing error */
	ListCell   *cell;

	initStringInfo(&all);
	foreach(cell, names)
	{
		const char *candidate = lfirst(cell);
		int			distance = varstr_levenshtein_less_equal(name, strlen(name),
															 candidate, strlen(candidate),
															 1, 1, 1,
															 nearest_distance, true);

		if (distance < nearest_distance)
		{
			nearest_distance = distance;
			nearest = candidate;
		}
		appendStringInfo(&all, "%s%s", all.len ? ", " : "", candidate);
	}
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 names == NIL ? errhint("There are no valid options in this context.") :
			 nearest ? errhint("Perhaps you meant the option \"%s\". Valid options are: %s.", nearest, all.data) :
			 errhint("Valid options are: %s.", all.data)));
}

static List *
names_at(int place)
{
	List	   *names = NIL;

	for (int i = 0; i < SMRT_OPTION_COUNT; i++)
		if (rows[i].places & place)
			names = lappend(names, (char *) rows[i].name);
	if (place == ON_SERVER)
		for (int i = 0; smrt_limit_name(i) != NULL; i++)
			names = lappend(names, (char *) smrt_limit_name(i));
	return names;
}
