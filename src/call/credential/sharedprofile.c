/*
 * Keys by a profile of AWS's shared files: its own, or those of a role that it
 * names, assumed with the keys of another profile, of another provider, or
 * with a web identity.
 */
#include "postgres.h"

#include "call/credential/credential.h"
#include "call/credential/sts.h"
#include "call/credential/surroundings.h"
#include "lib/stringinfo.h"

/* Profiles that name one another as their source. */
#define MAX_CHAIN 10

typedef struct Walk
{
	const SmrtSearch *search;
	const SmrtProfiles *profiles;
	SmrtSection visited[MAX_CHAIN];
	int			n_visited;
	StringInfo	why;
} Walk;

typedef struct SourceRow
{
	const char *name;			/* as in credential_source */
	SmrtProvider provide;
} SourceRow;

static const SourceRow sources[] = {
	{"Environment", smrt_provide_environment},
	{"EcsContainer", smrt_provide_container},
	{"Ec2InstanceMetadata", smrt_provide_imds},
};

static SmrtProvision by_profile(Walk *walk, SmrtSection section,
								SmrtCredential *credential);
static SmrtProvision by_role(Walk *walk, SmrtSection section,
							 SmrtCredential *credential);
static SmrtProvision base_of_role(Walk *walk, SmrtSection section,
								  SmrtCredential *credential);
static SmrtProvision by_source(Walk *walk, const char *name,
							   SmrtCredential *credential);
static SmrtProvision by_keys(Walk *walk, SmrtSection section,
							 SmrtCredential *credential);
static SmrtProvision without_keys(Walk *walk, SmrtSection section);
static bool visited(const Walk *walk, SmrtSection section);
static char *value(const Walk *walk, SmrtSection section, const char *property);

#define FAILED(...) \
	(appendStringInfo(walk->why, __VA_ARGS__), SMRT_PROVISION_FAILED)

/* A section's name, for "%.*s". */
#define NAME(section) (int) (section).name.len, (section).name.data

SmrtProvision
smrt_provide_profile(const SmrtSearch *search, SmrtCredential *credential,
					 StringInfo why)
{
	SmrtProfiles *profiles = smrt_surroundings_profiles(why);
	SmrtSection section = smrt_surroundings_profile(search->target->profile);
	Walk		walk = {.search = search,.profiles = profiles,.why = why};
	SmrtProvision provision;

	if (profiles == NULL)
		return SMRT_PROVISION_FAILED;
	if (smrt_profiles_has(profiles, section))
		provision = by_profile(&walk, section, credential);
	else
	{
		appendStringInfo(why, "there is no profile \"%.*s\"", NAME(section));
		provision = search->target->profile != NULL ||
			smrt_surroundings_env("AWS_PROFILE") != NULL ||
			smrt_surroundings_env("AWS_DEFAULT_PROFILE") != NULL ?
			SMRT_PROVISION_FAILED : SMRT_PROVISION_NONE;
	}
	smrt_profiles_free(profiles);
	return provision;
}

static SmrtProvision
by_profile(Walk *walk, SmrtSection section, SmrtCredential *credential)
{
	if (walk->n_visited == MAX_CHAIN || visited(walk, section))
		return FAILED("the profiles name one another as their source");
	walk->visited[walk->n_visited++] = section;

	if (value(walk, section, "role_arn") != NULL)
		return by_role(walk, section, credential);
	if (value(walk, section, "web_identity_token_file") != NULL)
		return FAILED("profile \"%.*s\" has web_identity_token_file, but no role_arn",
					  NAME(section));
	return by_keys(walk, section, credential);
}

static SmrtProvision
by_role(Walk *walk, SmrtSection section, SmrtCredential *credential)
{
	char	   *token_file = value(walk, section, "web_identity_token_file");
	SmrtRole	role = {
		.arn = value(walk, section, "role_arn"),
		.session_name = value(walk, section, "role_session_name"),
		.external_id = value(walk, section, "external_id"),
		.duration_seconds = value(walk, section, "duration_seconds"),
	};
	SmrtProvision provision;

	if (value(walk, section, "mfa_serial") != NULL)
		return FAILED("profile \"%.*s\" wants a one-time password (mfa_serial), which nobody can type here",
					  NAME(section));
	if (token_file != NULL)
		return smrt_sts_web_identity(walk->search, &role, token_file,
									 credential, walk->why);
	provision = base_of_role(walk, section, credential);
	if (provision != SMRT_PROVISION_GIVEN)
		return SMRT_PROVISION_FAILED;
	return smrt_sts_assume_role(walk->search, &role, credential, credential,
								walk->why);
}

static SmrtProvision
base_of_role(Walk *walk, SmrtSection section, SmrtCredential *credential)
{
	char	   *profile = value(walk, section, "source_profile");
	char	   *source = value(walk, section, "credential_source");
	SmrtSection base;

	if (profile == NULL && source == NULL)
		return FAILED("profile \"%.*s\" has role_arn, but neither source_profile nor credential_source",
					  NAME(section));
	if (profile != NULL && source != NULL)
		return FAILED("profile \"%.*s\" has both source_profile and credential_source",
					  NAME(section));
	if (source != NULL)
		return by_source(walk, source, credential);
	base = smrt_section(SMRT_SECTION_PROFILE, smrt_span(profile));
	if (!smrt_profiles_has(walk->profiles, base))
		return FAILED("there is no profile \"%s\", the source of \"%.*s\"",
					  profile, NAME(section));
	/* A profile may be its own source: its keys assume its role. */
	if (smrt_span_equal(base.name, section.name))
		return by_keys(walk, base, credential);
	return by_profile(walk, base, credential);
}

static SmrtProvision
by_source(Walk *walk, const char *name, SmrtCredential *credential)
{
	for (int i = 0; i < lengthof(sources); i++)
		if (strcmp(sources[i].name, name) == 0)
			return sources[i].provide(walk->search, credential, walk->why);
	return FAILED("credential_source \"%s\" is none of Environment, EcsContainer, Ec2InstanceMetadata",
				  name);
}

/*
 * Id, secret and token out of one file: the credentials file if it has any of
 * the keys.
 */
static SmrtProvision
by_keys(Walk *walk, SmrtSection section, SmrtCredential *credential)
{
	static const SmrtProfileFile files[] = {SMRT_PROFILE_CREDENTIALS,
	SMRT_PROFILE_CONFIG};

	for (int i = 0; i < lengthof(files); i++)
	{
		SmrtSpan	parts[3];
		static const char *const names[] = {"aws_access_key_id",
			"aws_secret_access_key", "aws_session_token"};

		for (int j = 0; j < lengthof(names); j++)
			parts[j] = smrt_profiles_value_in(walk->profiles, files[i], section,
											  smrt_span(names[j]));
		if (parts[0].len == 0 && parts[1].len == 0)
			continue;
		if (parts[0].len == 0 || parts[1].len == 0)
			return FAILED("profile \"%.*s\" lacks %s", NAME(section),
						  names[parts[0].len == 0 ? 0 : 1]);
		credential->keys.access_key_id = smrt_span(pnstrdup(parts[0].data, parts[0].len));
		credential->keys.secret_access_key = smrt_span(pnstrdup(parts[1].data, parts[1].len));
		if (parts[2].len > 0)
			credential->keys.session_token = smrt_span(pnstrdup(parts[2].data, parts[2].len));
		credential->from_file = true;
		credential->source = psprintf("profile \"%.*s\"", NAME(section));
		return SMRT_PROVISION_GIVEN;
	}
	return without_keys(walk, section);
}

/* What is there instead of keys decides how bad that is. */
static SmrtProvision
without_keys(Walk *walk, SmrtSection section)
{
	static const char *const sso[] = {"sso_session", "sso_start_url",
		"sso_account_id"};

	if (value(walk, section, "credential_process") != NULL)
		return FAILED("profile \"%.*s\" has credential_process, which is not supported: a database server should run no program for keys; use role_arn, or a user mapping",
					  NAME(section));
	for (int i = 0; i < lengthof(sso); i++)
		if (value(walk, section, sso[i]) != NULL)
			return FAILED("profile \"%.*s\" signs in by SSO, which is not supported: it needs a browser; use role_arn with a source, or a user mapping",
						  NAME(section));
	appendStringInfo(walk->why, "profile \"%.*s\" has no keys", NAME(section));
	return SMRT_PROVISION_NONE;
}

static bool
visited(const Walk *walk, SmrtSection section)
{
	for (int i = 0; i < walk->n_visited; i++)
		if (smrt_span_equal(walk->visited[i].name, section.name))
			return true;
	return false;
}

/* NULL when it is not there or empty. */
static char *
value(const Walk *walk, SmrtSection section, const char *property)
{
	SmrtSpan	text = smrt_profiles_value(walk->profiles, section,
										   smrt_span(property));

	return text.len == 0 ? NULL : pnstrdup(text.data, text.len);
}
