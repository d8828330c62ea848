/*
 * The check: the same functions that a call goes through, one after the other,
 * each in a subtransaction so that its error becomes a row.
 */
#include "postgres.h"

#include <pwd.h>
#include <time.h>
#include <unistd.h>

#include "access/xact.h"
#include "call/attempt.h"
#include "call/callset.h"
#include "call/check.h"
#include "call/credential/keyring.h"
#include "call/credential/surroundings.h"
#include "call/location.h"
#include "miscadmin.h"
#include "net/library.h"
#include "net/pump.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* The service refuses signatures that are off by five minutes. */
#define MAX_SKEW_S (5 * 60)

/* A variant that nobody has: its refusal shows that all before it worked. */
#define NO_VARIANT "sagemaker-rt-check"

typedef struct Check
{
	SmrtSpan	endpoint;
	const char *server;
	bool		send;
	SmrtCheckTell tell;
	void	   *context;

	SmrtTarget *target;			/* once there is one; retained */
	const SmrtCredential *credential;
	SmrtExchange *exchange;		/* the one that tried the host */
	SmrtReply	reply;
} Check;

/* Fills in found, or raises an error, or changes outcome. */
typedef void (*StepFunction) (Check *check, SmrtCheckStep *step);

typedef struct StepRow
{
	const char *name;
	StepFunction function;
} StepRow;

static void check_library(Check *check, SmrtCheckStep *step);
static void check_target(Check *check, SmrtCheckStep *step);
static void check_surroundings(Check *check, SmrtCheckStep *step);
static void check_region(Check *check, SmrtCheckStep *step);
static void check_credentials(Check *check, SmrtCheckStep *step);
static void check_host(Check *check, SmrtCheckStep *step);
static void check_lookup(Check *check, SmrtCheckStep *step);
static void check_connection(Check *check, SmrtCheckStep *step);
static void check_clock(Check *check, SmrtCheckStep *step);
static void check_invocation(Check *check, SmrtCheckStep *step);

/* Each needs those above it, but the first two. */
static const StepRow steps[] = {
	{"library", check_library},
	{"target", check_target},
	{"surroundings", check_surroundings},
	{"region", check_region},
	{"credentials", check_credentials},
	{"host", check_host},
	{"name lookup", check_lookup},
	{"connection", check_connection},
	{"clock", check_clock},
	{"invocation", check_invocation},
};

static const char ok[] = "ok";
static const char failed[] = "failed";
static const char skipped[] = "skipped";

pg_noreturn static void report_exchange(Check *check);
static bool run_step(const StepRow *row, Check *check, SmrtCheckStep *step);
static void end_check(void *arg);
static void append_file(StringInfo text, SmrtProfileFile file);
static int64 give_up_at_ms(const Check *check);
static bool refused_for_variant(const SmrtFault *fault);

void
smrt_check(SmrtSpan endpoint, const char *server, bool send,
		   SmrtCheckTell tell, void *context)
{
	MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext,
												 "sagemaker_rt check",
												 ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(memory);
	MemoryContextCallback *on_delete = palloc0(sizeof(*on_delete));
	Check	   *check = palloc0(sizeof(Check));
	bool		go_on = true;

	check->endpoint = endpoint;
	check->server = server;
	check->send = send;
	on_delete->func = end_check;
	on_delete->arg = check;
	MemoryContextRegisterResetCallback(memory, on_delete);
	for (int i = 0; i < lengthof(steps); i++)
	{
		SmrtCheckStep step = {steps[i].name, go_on ? ok : skipped};

		if (go_on)
			go_on = run_step(&steps[i], check, &step);
		tell(context, &step);
	}
	MemoryContextSwitchTo(before);
	MemoryContextDelete(memory);
}

static void
end_check(void *arg)
{
	Check	   *check = arg;

	if (check->exchange != NULL)
		smrt_exchange_end(check->exchange);
	if (check->target != NULL)
		smrt_target_release(check->target);
}

/* True unless it failed.  A cancel is nobody's failure and goes through. */
static bool
run_step(const StepRow *row, Check *check, SmrtCheckStep *step)
{
	MemoryContext memory = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool success = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(memory);
	PG_TRY();
	{
		row->function(check, step);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(memory);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(memory);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
			ReThrowError(error);
		step->outcome = failed;
		step->found = error->detail == NULL ? error->message :
			psprintf("%s\n%s", error->message, error->detail);
		step->hint = error->hint;
		success = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(memory);
	CurrentResourceOwner = owner;
	return success;
}

static void
check_library(Check *check, SmrtCheckStep *step)
{
	step->found = psprintf("sagemaker_rt %s, libcurl %s, %s, %s", SMRT_VERSION,
						   smrt_libcurl_running(), smrt_tls_library(),
						   smrt_preloaded ? "in shared_preload_libraries" :
						   "loaded by this session");
}

static void
check_target(Check *check, SmrtCheckStep *step)
{
	check->target = smrt_target_retain(smrt_target_get(check->server));
	step->found = psprintf("%s%s%s, role \"%s\", %s%s%s",
						   check->target->server ? "server \"" : "settings",
						   check->target->server ? check->target->server : "",
						   check->target->server ? "\"" : "",
						   GetUserNameFromId(GetUserId(), false),
						   smrt_key_source_name(check->target->key_source),
						   check->target->role_arn ? ", then role " : "",
						   check->target->role_arn ? check->target->role_arn : "");
}

/* Whatever is printed here are names, never values that could be keys. */
static void
check_surroundings(Check *check, SmrtCheckStep *step)
{
	extern char **environ;
	StringInfoData text;
	struct passwd *user;
	int			n = 0;

	if (!smrt_target_uses_surroundings(check->target))
	{
		step->outcome = skipped;
		step->found = "the database server's own identity is not used";
		return;
	}
	initStringInfo(&text);
	user = getpwuid(geteuid());
	appendStringInfo(&text, "operating system user %s, HOME %s",
					 user ? user->pw_name : "without a name",
					 getenv("HOME") ? getenv("HOME") : "not set");
	append_file(&text, SMRT_PROFILE_CONFIG);
	append_file(&text, SMRT_PROFILE_CREDENTIALS);
	appendStringInfoString(&text, "\nenvironment:");
	for (char **variable = environ; *variable; variable++)
		if (strncmp(*variable, "AWS_", 4) == 0)
		{
			appendStringInfo(&text, " %.*s", (int) strcspn(*variable, "="),
							 *variable);
			n++;
		}
	if (n == 0)
		appendStringInfoString(&text, " no AWS_ variable");
	step->found = text.data;
}

static void
append_file(StringInfo text, SmrtProfileFile file)
{
	char	   *path = smrt_surroundings_profile_path(file);

	if (path != NULL)
		appendStringInfo(text, "\n%s %s", path,
						 access(path, R_OK) == 0 ? "can be read" :
						 errno == ENOENT ? "is not there" : "cannot be read");
}

static int64
give_up_at_ms(const Check *check)
{
	return smrt_pump_now_ms() + check->target->limits.total_timeout;
}

static void
check_region(Check *check, SmrtCheckStep *step)
{
	smrt_location_find(check->target, give_up_at_ms(check));
	step->found = psprintf("%.*s, from %s", (int) check->target->region.len,
						   check->target->region.data,
						   check->target->region_source);
}

static void
check_credentials(Check *check, SmrtCheckStep *step)
{
	const SmrtKeys *keys = smrt_keyring_get(check->target,
												  give_up_at_ms(check));
	const SmrtCredential *credential = smrt_keyring_peek(check->target);
	SmrtSpan	id = keys->access_key_id;

	step->found = psprintf("%s, key ending in %s%s",
						   credential ? credential->source :
						   smrt_key_source_name(check->target->key_source),
						   id.len > SMRT_KEY_ID_TAIL ?
						   id.data + id.len - SMRT_KEY_ID_TAIL : "(too short)",
						   smrt_span_absent(keys->session_token) ? "" :
						   ", with a session token");
	if (credential != NULL && credential->expires_at != 0)
		step->found = psprintf("%s, for %lld s more", step->found,
							   (long long) (credential->expires_at - time(NULL)));
}

static void
check_host(Check *check, SmrtCheckStep *step)
{
	step->found = check->target->base_url;
}

/* One unsigned request, whose answer may be anything: it is there. */
static void
check_lookup(Check *check, SmrtCheckStep *step)
{
	SmrtTarget *target = check->target;
	SmrtHeader	host = {SMRT_LITERAL("Host"), target->url.authority};
	SmrtExchangeSpec spec = {
		.method = SMRT_METHOD_GET,
		.url = psprintf("%s/ping", target->base_url),
		.headers = &host,.n_headers = 1,
		.max_response = 65536,
	};
	SmrtExchange *exchange;

	smrt_attempt_route(&spec, target, &target->limits);
	spec.timeout_ms = target->limits.timeout;
	check->exchange = exchange = smrt_exchange_start(&spec);
	while (!exchange->done)
		smrt_pump_run(spec.timeout_ms);
	smrt_reply_read(exchange, SMRT_OPERATION_INVOKE, &check->reply);
	if (exchange->failure != SMRT_FAULT_NONE &&
		exchange->phase == SMRT_PHASE_RESOLVING)
		report_exchange(check);
	step->found = target->proxy ? "left to the proxy" :
		psprintf("%.*s has the address %s", (int) target->url.host.len,
				 target->url.host.data, exchange->address);
}

static void
check_connection(Check *check, SmrtCheckStep *step)
{
	if (check->exchange->failure != SMRT_FAULT_NONE)
		report_exchange(check);
	step->found = check->target->url.tls ?
		"TLS, with a certificate that is trusted" : "plain http";
}

static void
report_exchange(Check *check)
{
	const SmrtExchange *exchange = check->exchange;
	SmrtReport	report = {
		.target = check->target,
		.phase = smrt_phase_name(exchange->phase),
		.elapsed_us = exchange->finished_us - exchange->started_us,
	};

	smrt_report_fault(&check->reply.fault, &report);
}

static void
check_clock(Check *check, SmrtCheckStep *step)
{
	if (!check->reply.has_date)
	{
		step->outcome = skipped;
		step->found = "the answer has no date";
		return;
	}
	step->found = psprintf("the host's clock is %lld s %s ours",
						   llabs((long long) check->reply.skew_s),
						   check->reply.skew_s < 0 ? "behind" : "ahead of");
	if (check->reply.skew_s > MAX_SKEW_S || check->reply.skew_s < -MAX_SKEW_S)
	{
		step->outcome = failed;
		step->hint = "Set the server's clock: requests are signed by the host's after one refusal, at the price of one more request a session.";
	}
}

static void
check_invocation(Check *check, SmrtCheckStep *step)
{
	SmrtRequest request = {.endpoint = check->endpoint,.body = smrt_span("")};
	SmrtCallSet *set;
	SmrtCall   *call;

	if (!check->send)
	{
		step->outcome = skipped;
		step->found = "not asked for";
		return;
	}
	if (smrt_span_absent(check->endpoint))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no endpoint is named"),
				 errhint("Name one: sagemaker_check('my-endpoint', send => true).")));
	request.members[SMRT_MEMBER_TARGET_VARIANT] = smrt_span(NO_VARIANT);
	smrt_request_require(&request);
	set = smrt_callset_create(check->target, &check->target->limits);
	smrt_callset_submit(set, &request);
	call = smrt_callset_wait(set);
	if (call->reply.fault.kind != SMRT_FAULT_NONE &&
		!refused_for_variant(&call->reply.fault))
		smrt_report_fault(&call->reply.fault, &call->report);
	step->found = "the service knows the endpoint and accepts the signature";
	smrt_callset_delete(set);
}

/*
 * Then signature, permission and endpoint are right.  A refused signature
 * repeats the headers, so the name alone does not tell.
 */
static bool
refused_for_variant(const SmrtFault *fault)
{
	return fault->kind == SMRT_FAULT_REFUSED && fault->text.len > 0 &&
		memmem(fault->text.data, fault->text.len,
			   NO_VARIANT, strlen(NO_VARIANT)) != NULL;
}
