/*
 * The settings, as tables: the limits, which a call's options share, and the
 * strings.  What only counts for the role that set it is defined in
 * pg/ownsetting.c.
 */
#include "postgres.h"

#include <limits.h>

#include "aws/url.h"
#include "pg/compat.h"
#include "pg/governor.h"
#include "pg/ownsetting.h"
#include "pg/settings.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#define PREFIX "sagemaker_rt."

#define DAY (24 * 60 * 60)

/* A day: what is longer is a mistake. */
#define MAX_MS (DAY * 1000)

/* A bytea, its composite and their headers must stay below 1 GB. */
#define MAX_RESPONSE_BYTES (1000 * 1024 * 1024)

SmrtSettings smrt_settings;
uint64		smrt_settings_generation = 1;
bool		smrt_preloaded;

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

typedef struct QueueRow
{
	const char *name;
	int		   *variable;
	int			initial;
	int			min;
	int			max;
	int			unit;
	GucContext	context;
	const char *description;
} QueueRow;

/* Workers act for everybody, so what they obey is the administrator's. */
static const QueueRow queue_rows[] = {
	{"queue_max_rows", &smrt_settings.queue.max_rows,
		1000000, 0, INT_MAX, 0, PGC_SUSET,
	"Most rows of a database's queue that are not answered yet."},
	{"queue_batch_rows", &smrt_settings.queue.batch_rows,
		10000, 1, 100000, 0, PGC_SIGHUP,
	"Most rows that a queue worker takes at a time."},
	/* With the waits between them about three hours. */
	{"queue_max_attempts", &smrt_settings.queue.max_attempts,
		20, 1, 1000, 0, PGC_SIGHUP,
	"Most attempts at a row of the queue before it is dead."},
	{"queue_retry_delay", &smrt_settings.queue.retry_delay,
		5, 1, DAY, GUC_UNIT_S, PGC_SIGHUP,
	"Wait before the second attempt at a row of the queue; doubles with each one, up to 10 minutes."},
	{"queue_lease", &smrt_settings.queue.lease,
		15 * 60, 1, DAY, GUC_UNIT_S, PGC_SIGHUP,
	"Time after which a row of the queue that a worker took and did not answer is taken again."},
	{"queue_interval", &smrt_settings.queue.interval,
		30, 1, 60 * 60, GUC_UNIT_S, PGC_SIGHUP,
	"Longest time for which a queue worker sleeps."},
	{"queue_retention", &smrt_settings.queue.retention,
		DAY, 0, INT_MAX, GUC_UNIT_S, PGC_SIGHUP,
	"Time for which rows of the queue are kept once they are done or dead."},
};

#define MAX_REUSE_SIZE (1024 * 1024 * 1024)

typedef struct StringRow
{
	const char *name;
	char	  **variable;
	GucStringCheckHook check;	/* NULL: any text will do */
	const char *description;
} StringRow;

static bool check_region(char **value, void **extra, GucSource source);
static bool check_url(char **value, void **extra, GucSource source);
static bool check_names(char **value, void **extra, GucSource source);

/* Each says where requests go, what is trusted or whose key signs: superusers'. */
static const StringRow string_rows[] = {
	{"region", &smrt_settings.region, check_region,
	"AWS region whose SageMaker endpoints are called."},
	{"endpoint_url", &smrt_settings.endpoint_url, check_url,
	"URL that requests go to instead of the region's own host."},
	{"s3_endpoint_url", &smrt_settings.s3_endpoint_url, check_url,
	"URL that asynchronous answers are fetched from instead of the region's own S3."},
	{"ca_file", &smrt_settings.ca_file, NULL,
	"PEM file of the certificate authorities to trust instead of the system's."},
	{"proxy", &smrt_settings.proxy, check_url,
	"URL of the HTTP proxy that requests go through."},
	{"profile", &smrt_settings.profile, NULL,
	"Profile of the server's shared AWS files that signs, before its environment."},
};

/* The cost guard's: administrators'. */
static const struct
{
	const char *name;
	int			unit;
	const char *description;
}			cost_rows[SMRT_PURSE_COUNT][SMRT_COST_COUNT] = {
	[SMRT_PURSE_STATEMENT] = {
		[SMRT_COST_REQUESTS] = {PREFIX "statement_max_requests", 0,
		"Most requests that a statement may send; 0 is no limit."},
		[SMRT_COST_ROWS] = {PREFIX "statement_max_rows", 0,
		"Most rows that a statement may send; 0 is no limit."},
		[SMRT_COST_BYTES] = {PREFIX "statement_max_bytes", GUC_UNIT_KB,
		"Most bytes of bodies that a statement may send; 0 is no limit."},
		[SMRT_COST_INPUT_TOKENS] = {PREFIX "statement_max_input_tokens", 0,
		"Tokens read by models after which a statement sends no more; 0 is no limit."},
		[SMRT_COST_OUTPUT_TOKENS] = {PREFIX "statement_max_output_tokens", 0,
		"Tokens written by models after which a statement sends no more; 0 is no limit."},
	},
	[SMRT_PURSE_ROLE] = {
		[SMRT_COST_REQUESTS] = {PREFIX "role_max_requests", 0,
		"Most requests that a role may send in an hour; 0 is no limit."},
		[SMRT_COST_ROWS] = {PREFIX "role_max_rows", 0,
		"Most rows that a role may send in an hour; 0 is no limit."},
		[SMRT_COST_BYTES] = {PREFIX "role_max_bytes", GUC_UNIT_KB,
		"Most bytes of bodies that a role may send in an hour; 0 is no limit."},
		[SMRT_COST_INPUT_TOKENS] = {PREFIX "role_max_input_tokens", 0,
		"Tokens read by models after which a role sends no more in an hour; 0 is no limit."},
		[SMRT_COST_OUTPUT_TOKENS] = {PREFIX "role_max_output_tokens", 0,
		"Tokens written by models after which a role sends no more in an hour; 0 is no limit."},
	},
};

/* Those whose configured value this session cannot know. */
static bool hidden[lengthof(string_rows)];
static bool cost_hidden[SMRT_PURSE_COUNT][SMRT_COST_COUNT];

static void define_queue_settings(void);
static void define_cost_limits(void);
static void define_governor_settings(void);
static bool given_at_start(const char *name);
static void note_change_string(const char *value, void *extra);
static void note_change_int(int value, void *extra);
static void note_change_bool(bool value, void *extra);
static const LimitRow *find_limit(const char *name);
static int *limit_in(SmrtLimits *limits, const LimitRow *row);

void
smrt_settings_define(void)
{
	smrt_preloaded = process_shared_preload_libraries_in_progress;
	for (int i = 0; i < lengthof(string_rows); i++)
	{
		const StringRow *row = &string_rows[i];
		char	   *name = psprintf(PREFIX "%s", row->name);
		bool		given = given_at_start(name);

		DefineCustomStringVariable(name, row->description, NULL, row->variable,
								   "", PGC_SUSET, 0, row->check,
								   note_change_string, NULL);
		hidden[i] = given && !given_at_start(name);
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
	DefineCustomBoolVariable(PREFIX "batch",
							 "Sends many rows of a query in one request, and many requests at once.",
							 NULL, &smrt_settings.batch, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(PREFIX "concurrency",
							"Most requests in flight for each call of a batched query, unless its model says otherwise.",
							NULL, &smrt_settings.concurrency, 8, 1,
							SMRT_MAX_CONCURRENCY, PGC_USERSET, 0, NULL, NULL,
							NULL);
	DefineCustomIntVariable(PREFIX "reuse_size",
							"Bytes of requests and answers that a batched call keeps, so that rows equal to earlier ones are not sent again.",
							NULL, &smrt_settings.reuse_size, 4 * 1024 * 1024,
							0, MAX_REUSE_SIZE, PGC_USERSET, GUC_UNIT_BYTE, NULL,
							NULL, NULL);
	/* The service closes connections that were idle for 60 s. */
	DefineCustomIntVariable(PREFIX "idle_timeout",
							"Idle time after which a kept connection is not used again.",
							NULL, &smrt_settings.idle_timeout, 50, 1, 3600,
							PGC_USERSET, GUC_UNIT_S, NULL, note_change_int,
							NULL);
	define_queue_settings();
	DefineCustomIntVariable(PREFIX "max_failed_rows",
							"Most rows of a model that may fail in a statement where a failed row is no error; 0 is no limit.",
							NULL, &smrt_settings.max_failed_rows, 0, 0, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable(PREFIX "max_failed_ratio",
							 "Largest part of a model's rows that may fail in a statement where a failed row is no error.",
							 NULL, &smrt_settings.max_failed_ratio, 1, 0, 1,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	define_cost_limits();
	define_governor_settings();
	/* The size of shared memory is settled when the server starts. */
	DefineCustomIntVariable(PREFIX "stat_max",
							"Most entries that the statistics of endpoints keep.",
							NULL, &smrt_settings.stat_max, 1000, 10, 100000,
							smrt_preloaded ? PGC_POSTMASTER : PGC_SIGHUP, 0,
							NULL, NULL, NULL);
	smrt_ownsettings_define(PREFIX);
	smrt_reserve_settings("sagemaker_rt");
}

static void
define_queue_settings(void)
{
	DefineCustomStringVariable(PREFIX "queue_databases",
							   "Databases whose queue is worked off.", NULL,
							   &smrt_settings.queue.databases, "", PGC_SIGHUP,
							   0, check_names, NULL, NULL);
	for (int i = 0; i < lengthof(queue_rows); i++)
	{
		const QueueRow *row = &queue_rows[i];

		DefineCustomIntVariable(psprintf(PREFIX "%s", row->name),
								row->description, NULL, row->variable,
								row->initial, row->min, row->max, row->context,
								row->unit, NULL, NULL, NULL);
	}
}

/* What one session may do depends on all others: the same for each. */
static void
define_governor_settings(void)
{
	DefineCustomIntVariable(PREFIX "max_in_flight",
							"Most requests in flight to one endpoint, of all sessions together; 0 is no limit.",
							NULL, &smrt_settings.max_in_flight, 0, 0,
							SMRT_MAX_SLOTS, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(PREFIX "breaker_failures",
							"Failures of an endpoint in a row after which it is asked by a probe only; 0 is never.",
							NULL, &smrt_settings.breaker_failures, 50, 0,
							INT_MAX, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable(PREFIX "adaptive_rate",
							 "Limits requests a second to an endpoint that has throttled one.",
							 NULL, &smrt_settings.adaptive_rate, false,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
define_cost_limits(void)
{
	for (int purse = 0; purse < SMRT_PURSE_COUNT; purse++)
		for (int what = 0; what < SMRT_COST_COUNT; what++)
		{
			const char *name = cost_rows[purse][what].name;
			bool		given = given_at_start(name);

			DefineCustomIntVariable(name, cost_rows[purse][what].description,
									NULL, &smrt_settings.cost_limits[purse][what],
									0, 0, INT_MAX, PGC_SUSET,
									cost_rows[purse][what].unit, NULL, NULL,
									NULL);
			cost_hidden[purse][what] = given && !given_at_start(name);
		}
}

int64
smrt_cost_limit(SmrtPurse purse, SmrtCostKind what)
{
	int64		limit = smrt_settings.cost_limits[purse][what];

	return what == SMRT_COST_BYTES ? limit * 1024 : limit;
}

const char *
smrt_cost_limit_name(SmrtPurse purse, SmrtCostKind what)
{
	return cost_rows[purse][what].name;
}

/*
 * While nobody has claimed a name, any role may give it a value in the options
 * of its connection, and that takes the place of the configuration's.  It is
 * refused when the library comes and the role turns out to be no superuser;
 * the configuration's value is not to be had any more.
 */
static bool
given_at_start(const char *name)
{
	const struct config_generic *setting = smrt_setting_find(name);

	return setting != NULL && setting->reset_source != PGC_S_DEFAULT;
}

void
smrt_settings_require_known(void)
{
	for (int i = 0; i < lengthof(string_rows); i++)
		if (hidden[i] && (*string_rows[i].variable)[0] == '\0')
			smrt_settings_report_hidden(string_rows[i].name);
	for (int purse = 0; purse < SMRT_PURSE_COUNT; purse++)
		for (int what = 0; what < SMRT_COST_COUNT; what++)
			if (cost_hidden[purse][what] &&
				smrt_settings.cost_limits[purse][what] == 0)
				smrt_settings_report_hidden(cost_rows[purse][what].name +
											strlen(PREFIX));
}

void
smrt_settings_report_hidden(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("what the configuration says of \"" PREFIX "%s\" is not known in this session",
					name),
			 errdetail("Another value was given when the session began, before the library was loaded."),
			 errhint("Connect without giving it.")));
}

bool
smrt_region_fits(const char *region)
{
	size_t		len = strlen(region);

	return len > 0 && len <= 63 && region[0] != '-' && region[len - 1] != '-' &&
		strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

bool
smrt_limits_set(SmrtLimits *limits, const char *name, const char *value,
				SmrtError *error)
{
	const LimitRow *row = find_limit(name);
	const char *hint = NULL;
	int			number;

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
	return smrt_error_set(error, "there is no such limit");
}

bool
smrt_limit_exists(const char *name)
{
	for (int i = 0; smrt_limit_name(i) != NULL; i++)
		if (strcmp(smrt_limit_name(i), name) == 0)
			return true;
	return false;
}

const char *
smrt_limit_name(int i)
{
	if (i < lengthof(limit_rows))
		return limit_rows[i].name;
	return i == lengthof(limit_rows) ? "retry_timeouts" : NULL;
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
	if ((*value)[0] == '\0' || smrt_region_fits(*value))
		return true;
	GUC_check_errdetail("A region is made of lower-case letters, digits and inner hyphens, like \"us-east-1\".");
	return false;
}

static bool
check_url(char **value, void **extra, GucSource source)
{
	SmrtError	error;
	SmrtUrl		url;

	if ((*value)[0] == '\0' ||
		smrt_url_parse(smrt_span(*value), &url, &error))
		return true;
	GUC_check_errdetail("Not a URL that can be used: %s.", error.text);
	return false;
}

static bool
check_names(char **value, void **extra, GucSource source)
{
	List	   *names;

	if (SplitGUCList(pstrdup(*value), ',', &names))
		return true;
	GUC_check_errdetail("It must be a list of names with commas between them.");
	return false;
}
