/*
 * Targets made of settings, servers and user mappings.
 *
 * A few are kept until something that they are made of changes, since every
 * call of a scoring query wants one; USAGE on a server is asked each time.
 * Each lies in a memory context of its own and is counted: a change in the
 * middle of a call leaves that call's target alone.  Keys are overwritten when
 * their target goes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "aws/digest.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "pg/compat.h"
#include "pg/ownsetting.h"
#include "pg/report.h"
#include "pg/server.h"
#include "pg/target.h"

/* Targets kept beyond their last use. */
#define MAX_KEPT 8

typedef struct Kept
{
	dlist_node	node;			/* in kept, the last used first */
	Oid			server;			/* InvalidOid: none */
	Oid			user;
	uint64		settings_generation;
	uint64		server_generation;
	SmrtTarget *target;
} Kept;

static const char *const source_names[] = {
	[SMRT_KEYS_MAPPING] = "keys of the user mapping",
	[SMRT_KEYS_SESSION] = "keys set in this session",
	[SMRT_KEYS_CONFIGURED] = "keys in the configuration",
	[SMRT_KEYS_PROFILE] = "the profile that the user mapping names",
	[SMRT_KEYS_AMBIENT] = "the database server's own identity",
};

StaticAssertDecl(lengthof(source_names) == SMRT_KEYS_AMBIENT + 1,
				 "every source of keys needs a name");

static dlist_head kept = DLIST_STATIC_INIT(kept);
static int	n_kept;

static Oid	server_in_play(const char *name, Oid user);
static Kept *find_kept(Oid server, Oid user);
static bool is_stale(const Kept *entry);
static void on_transaction_end(XactEvent event, void *arg);
static void forget_kept(Kept *entry);
static void keep(const Kept *key, SmrtTarget *target);
static SmrtTarget *make_target(Oid server, Oid user);
static void read_settings(SmrtTarget *target);
static void read_server(SmrtTarget *target, const SmrtServer *server, Oid user);
static SmrtChoice choice_of(const SmrtOptionValues *options, SmrtOption option);
static void choose_mapping_keys(SmrtTarget *target, const SmrtServer *server,
								Oid user);
static void choose_setting_keys(SmrtTarget *target, Oid user);
static bool use_own(SmrtTarget *target, Oid user);
static bool use_configured(SmrtTarget *target);
static void may_not_use_identity(const SmrtServer *server, Oid user);
static void require_pair(const char *id, const char *secret, const char *where);
static void set_keys(SmrtTarget *target, SmrtKeySource source, const char *id,
					 const char *secret, const char *token);
static void name_identity(SmrtTarget *target, Oid owner);
static void wipe_keys(void *target);
static void release_origin(void *target);

const char *
smrt_key_source_name(SmrtKeySource source)
{
	return source_names[source];
}

SmrtTarget *
smrt_target_get(const char *server_name)
{
	Oid			user = GetUserId();
	Oid			server = server_in_play(server_name, user);
	Kept	   *entry = find_kept(server, user);

	if (entry == NULL)
	{
		/* Counted before it is made: what changes meanwhile makes it stale. */
		Kept		key = {.server = server,.user = user,
			.settings_generation = smrt_settings_generation,
		.server_generation = smrt_server_generation()};

		keep(&key, make_target(server, user));
		entry = dlist_container(Kept, node, dlist_head_node(&kept));
	}
	return entry->target;
}

SmrtTarget *
smrt_target_derive(SmrtTarget *target)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "sagemaker_rt derived target",
												  ALLOCSET_SMALL_SIZES);
	MemoryContextCallback *on_delete = MemoryContextAllocZero(context,
															  sizeof(*on_delete));
	SmrtTarget *derived = MemoryContextAlloc(context, sizeof(SmrtTarget));

	*derived = *target;
	derived->base_url = NULL;
	derived->context = context;
	derived->references = 1;
	on_delete->func = release_origin;
	on_delete->arg = smrt_target_retain(target);
	MemoryContextRegisterResetCallback(context, on_delete);
	return derived;
}

SmrtTarget *
smrt_target_retain(SmrtTarget *target)
{
	target->references++;
	return target;
}

void
smrt_target_release(SmrtTarget *target)
{
	if (--target->references == 0)
		MemoryContextDelete(target->context);
}

static void
release_origin(void *target)
{
	smrt_target_release(target);
}

/* What the call names, else the default that counts for this user. */
static Oid
server_in_play(const char *name, Oid user)
{
	/* An empty name is no way around the default server. */
	if (name != NULL)
		return smrt_server_require(name, user);
	name = smrt_ownsetting_of_role(SMRT_OWN_DEFAULT_SERVER, user);
	if (name == NULL)
		name = smrt_ownsetting_configured(SMRT_OWN_DEFAULT_SERVER);
	return name[0] == '\0' ? InvalidOid : smrt_server_require(name, user);
}

static Kept *
find_kept(Oid server, Oid user)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &kept)
	{
		Kept	   *entry = dlist_container(Kept, node, iter.cur);

		if (is_stale(entry))
			forget_kept(entry);
		else if (entry->server == server && entry->user == user)
		{
			dlist_move_head(&kept, &entry->node);
			return entry;
		}
	}
	return NULL;
}

static bool
is_stale(const Kept *entry)
{
	return entry->settings_generation != smrt_settings_generation ||
		entry->server_generation != smrt_server_generation();
}

/* A session that makes no call any more does not go on holding keys. */
static void
on_transaction_end(XactEvent event, void *arg)
{
	dlist_mutable_iter iter;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	dlist_foreach_modify(iter, &kept)
	{
		Kept	   *entry = dlist_container(Kept, node, iter.cur);

		if (is_stale(entry))
			forget_kept(entry);
	}
}

static void
forget_kept(Kept *entry)
{
	dlist_delete(&entry->node);
	n_kept--;
	smrt_target_release(entry->target);
	pfree(entry);
}

static void
keep(const Kept *key, SmrtTarget *target)
{
	static bool registered = false;
	Kept	   *entry = MemoryContextAlloc(TopMemoryContext, sizeof(Kept));

	if (!registered)
		RegisterXactCallback(on_transaction_end, NULL);
	registered = true;
	*entry = *key;
	entry->target = target;
	/* Nothing below can fail: from here on the target lives by its count. */
	MemoryContextSetParent(target->context, TopMemoryContext);
	dlist_push_head(&kept, &entry->node);
	if (++n_kept > MAX_KEPT)
		forget_kept(dlist_container(Kept, node, dlist_tail_node(&kept)));
}

static SmrtTarget *
make_target(Oid serverid, Oid user)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "sagemaker_rt target",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	MemoryContextCallback *on_delete = palloc0(sizeof(*on_delete));
	SmrtTarget *target = palloc0(sizeof(SmrtTarget));
	SmrtServer	server = {0};

	target->context = context;
	target->references = 1;
	on_delete->func = wipe_keys;
	on_delete->arg = target;
	MemoryContextRegisterResetCallback(context, on_delete);

	read_settings(target);
	if (OidIsValid(serverid))
	{
		smrt_server_read(serverid, user, &server, &target->limits);
		read_server(target, &server, user);
	}
	else
		choose_setting_keys(target, user);
	name_identity(target, OidIsValid(target->mapping) ? target->mapping :
				  target->key_source == SMRT_KEYS_SESSION ? user : InvalidOid);
	MemoryContextSwitchTo(before);
	return target;
}

static void
read_settings(SmrtTarget *target)
{
#define COPY(field, value) \
	target->field = (value)[0] ? pstrdup(value) : NULL

	smrt_settings_require_known();
	COPY(given_region, smrt_settings.region);
	COPY(endpoint_url, smrt_settings.endpoint_url);
	COPY(s3_endpoint_url, smrt_settings.s3_endpoint_url);
	COPY(ca_file, smrt_settings.ca_file);
	COPY(proxy, smrt_settings.proxy);
	COPY(profile, smrt_settings.profile);
	target->allow_http = smrt_settings.allow_http;
	target->idle_timeout = smrt_settings.idle_timeout;
	target->limits = smrt_settings.limits;
}

/* The server's options come before the settings, the mapping's before both. */
static void
read_server(SmrtTarget *target, const SmrtServer *server, Oid user)
{
	static const struct
	{
		SmrtOption	option;
		size_t		field;
	}			texts[] = {
		{SMRT_OPTION_REGION, offsetof(SmrtTarget, given_region)},
		{SMRT_OPTION_ENDPOINT_URL, offsetof(SmrtTarget, endpoint_url)},
		{SMRT_OPTION_STS_ENDPOINT_URL, offsetof(SmrtTarget, sts_endpoint_url)},
		{SMRT_OPTION_S3_ENDPOINT_URL, offsetof(SmrtTarget, s3_endpoint_url)},
		{SMRT_OPTION_CA_FILE, offsetof(SmrtTarget, ca_file)},
		{SMRT_OPTION_PROXY, offsetof(SmrtTarget, proxy)},
		{SMRT_OPTION_PROFILE, offsetof(SmrtTarget, profile)},
		{SMRT_OPTION_ROLE_ARN, offsetof(SmrtTarget, role_arn)},
		{SMRT_OPTION_EXTERNAL_ID, offsetof(SmrtTarget, external_id)},
		{SMRT_OPTION_ROLE_SESSION_NAME, offsetof(SmrtTarget, role_session_name)},
	};

	target->server = server->name;
	target->mapping = server->mapping;
	target->region_of_server = server->options.of[SMRT_OPTION_REGION] != NULL;
	target->url_of_server = server->options.of[SMRT_OPTION_ENDPOINT_URL] != NULL;
	target->given_fips = choice_of(&server->options, SMRT_OPTION_USE_FIPS);
	target->given_dualstack = choice_of(&server->options,
										SMRT_OPTION_USE_DUALSTACK);
	if (server->options.of[SMRT_OPTION_ALLOW_HTTP] != NULL)
		target->allow_http = smrt_option_true(&server->options,
											  SMRT_OPTION_ALLOW_HTTP);
	for (int i = 0; i < lengthof(texts); i++)
	{
		const char *value = server->mapping_options.of[texts[i].option];

		if (value == NULL)
			value = server->options.of[texts[i].option];
		if (value != NULL)
			*(const char **) ((char *) target + texts[i].field) = pstrdup(value);
	}
	choose_mapping_keys(target, server, user);
}

static SmrtChoice
choice_of(const SmrtOptionValues *options, SmrtOption option)
{
	if (options->of[option] == NULL)
		return SMRT_CHOICE_OPEN;
	return smrt_option_true(options, option) ? SMRT_CHOICE_YES :
		SMRT_CHOICE_NO;
}

/* Where a server is in play, only its mappings count. */
static void
choose_mapping_keys(SmrtTarget *target, const SmrtServer *server, Oid user)
{
	const char *const *of = server->mapping_options.of;
	const char *id = of[SMRT_OPTION_ACCESS_KEY_ID];
	const char *secret = of[SMRT_OPTION_SECRET_ACCESS_KEY];

	if (id != NULL || secret != NULL)
	{
		require_pair(id, secret, "The user mapping");
		set_keys(target, SMRT_KEYS_MAPPING, id, secret,
				 of[SMRT_OPTION_SESSION_TOKEN]);
	}
	else if (of[SMRT_OPTION_PROFILE] != NULL)
		target->key_source = SMRT_KEYS_PROFILE;
	else if (superuser_arg(user) ||
			 smrt_option_true(&server->mapping_options,
							  SMRT_OPTION_USE_SERVER_IDENTITY))
	{
		/* The server's profile is nearer than the configuration's keys. */
		if (server->options.of[SMRT_OPTION_PROFILE] != NULL ||
			!use_configured(target))
			target->key_source = SMRT_KEYS_AMBIENT;
	}
	else
		may_not_use_identity(server, user);
}

static void
choose_setting_keys(SmrtTarget *target, Oid user)
{
	if (use_own(target, user) || use_configured(target))
		return;
	if (!superuser_arg(user))
		may_not_use_identity(NULL, user);
	target->key_source = SMRT_KEYS_AMBIENT;
}

static bool
use_own(SmrtTarget *target, Oid user)
{
	const char *id = smrt_ownsetting_of_role(SMRT_OWN_ACCESS_KEY_ID, user);
	const char *secret = smrt_ownsetting_of_role(SMRT_OWN_SECRET_ACCESS_KEY, user);

	if (id == NULL && secret == NULL)
		return false;
	require_pair(id, secret, "The session");
	set_keys(target, SMRT_KEYS_SESSION, id, secret,
			 smrt_ownsetting_of_role(SMRT_OWN_SESSION_TOKEN, user));
	return true;
}

static bool
use_configured(SmrtTarget *target)
{
	const char *id = smrt_ownsetting_configured(SMRT_OWN_ACCESS_KEY_ID);
	const char *secret = smrt_ownsetting_configured(SMRT_OWN_SECRET_ACCESS_KEY);
	const char *token = smrt_ownsetting_configured(SMRT_OWN_SESSION_TOKEN);

	if (!id[0] && !secret[0])
		return false;
	require_pair(id[0] ? id : NULL, secret[0] ? secret : NULL,
				 "The configuration");
	set_keys(target, SMRT_KEYS_CONFIGURED, id, secret, token[0] ? token : NULL);
	return true;
}

static void
may_not_use_identity(const SmrtServer *server, Oid user)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to sign with the database server's own AWS identity"),
			 server == NULL ?
			 errdetail("Role \"%s\" set no keys in this session, and the configuration has none.",
					   GetUserNameFromId(user, false)) :
			 OidIsValid(server->mapping) ?
			 errdetail("The user mapping of role \"%s\" for server \"%s\" has no keys.",
					   GetUserNameFromId(user, false), server->name) :
			 errdetail("Role \"%s\" has no user mapping for server \"%s\".",
					   GetUserNameFromId(user, false), server->name),
			 errhint("Create a user mapping with access_key_id and secret_access_key, or have a superuser set use_server_identity 'true' in it.")));
}

static void
require_pair(const char *id, const char *secret, const char *where)
{
	if (id != NULL && secret != NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("incomplete AWS credentials"),
			 errdetail("%s has %s, but not %s.", where,
					   id ? "access_key_id" : "secret_access_key",
					   id ? "secret_access_key" : "access_key_id"),
			 errhint("Provide both.")));
}

static void
set_keys(SmrtTarget *target, SmrtKeySource source, const char *id,
		 const char *secret, const char *token)
{
	target->key_source = source;
	target->keys.access_key_id = smrt_span(pstrdup(id));
	target->keys.secret_access_key = smrt_span(pstrdup(secret));
	if (token != NULL)
		target->keys.session_token = smrt_span(pstrdup(token));
}

/*
 * A digest over everything that decides which keys sign, and whom to believe.
 * Connections and found credentials are kept under it.  The owner is a mapping,
 * whatever it says of whose keys sign, else the role whose session has the keys;
 * what is left is the server's own and shared: its configuration and identity.
 */
static void
name_identity(SmrtTarget *target, Oid owner)
{
	const char *const parts[] = {
		target->keys.access_key_id.data,
		target->keys.secret_access_key.data,
		target->keys.session_token.data,
		target->profile,
		target->role_arn,
		target->external_id,
		target->role_session_name,
		target->sts_endpoint_url,
		target->ca_file,
	};
	StringInfoData text;
	bool		computed;

	initStringInfo(&text);
	appendStringInfo(&text, "%d %u", target->key_source, owner);
	for (int i = 0; i < lengthof(parts); i++)
		appendStringInfo(&text, "%c%s", '\1', parts[i] ? parts[i] : "");
	computed = smrt_sha256_hex(smrt_span_of(text.data, text.len), target->identity);
	smrt_cleanse(text.data, text.len);
	if (!computed)
		smrt_report_no_digest();
}

static void
wipe_keys(void *arg)
{
	SmrtTarget *target = arg;
	SmrtSpan	secrets[] = {target->keys.secret_access_key,
	target->keys.session_token};

	for (int i = 0; i < lengthof(secrets); i++)
		if (!smrt_span_absent(secrets[i]))
			smrt_cleanse((char *) secrets[i].data, secrets[i].len);
}
