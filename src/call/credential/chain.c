/*
 * The chain: environment, profile, web identity, container, instance.  It is
 * that of the AWS SDK for Rust; an explicit profile comes before all of it, as
 * in every SDK.  A provider that is set up and fails ends the walk: to go on
 * would sign as somebody else.
 */
#include "postgres.h"

#include "call/credential/chain.h"
#include "call/credential/sts.h"

typedef struct ProviderRow
{
	const char *name;
	SmrtProvider provide;
} ProviderRow;

static const ProviderRow providers[] = {
	{"environment", smrt_provide_environment},
	{"profile", smrt_provide_profile},
	{"web identity", smrt_provide_web_identity},
	{"container", smrt_provide_container},
	{"instance metadata", smrt_provide_imds},
};

static bool find_base(const SmrtSearch *search, SmrtCredential *credential,
					  StringInfo said);
static SmrtProvision ask(const ProviderRow *row, const SmrtSearch *search,
						 SmrtCredential *credential, StringInfo said);

bool
smrt_chain_walk(const SmrtSearch *search, SmrtCredential *credential,
				StringInfo said)
{
	const SmrtTarget *target = search->target;
	SmrtRole	role = {
		.arn = target->role_arn,
		.session_name = target->role_session_name,
		.external_id = target->external_id,
	};

	if (!find_base(search, credential, said))
		return false;
	if (target->role_arn == NULL)
		return true;
	appendStringInfo(said, "%srole: ", said->len ? "\n" : "");
	return smrt_sts_assume_role(search, &role, credential, credential,
								said) == SMRT_PROVISION_GIVEN;
}

static bool
find_base(const SmrtSearch *search, SmrtCredential *credential,
		  StringInfo said)
{
	const SmrtTarget *target = search->target;
	static const ProviderRow profile = {"profile", smrt_provide_profile};

	if (!smrt_target_uses_surroundings(target))
	{
		credential->keys = target->keys;
		credential->source = smrt_key_source_name(target->key_source);
		return true;
	}
	/* AWS_PROFILE is not explicit: keys in the environment come before it. */
	if (target->key_source == SMRT_KEYS_PROFILE || target->profile != NULL)
		return ask(&profile, search, credential, said) == SMRT_PROVISION_GIVEN;
	for (int i = 0; i < lengthof(providers); i++)
	{
		switch (ask(&providers[i], search, credential, said))
		{
			case SMRT_PROVISION_GIVEN:
				return true;
			case SMRT_PROVISION_FAILED:
				return false;
			case SMRT_PROVISION_NONE:
				break;
		}
		if (providers[i].provide == search->last)
			break;
	}
	return false;
}

static SmrtProvision
ask(const ProviderRow *row, const SmrtSearch *search,
	SmrtCredential *credential, StringInfo said)
{
	appendStringInfo(said, "%s%s: ", said->len ? "\n" : "", row->name);
	memset(credential, 0, sizeof(*credential));
	credential->provider = row->provide;
	return row->provide(search, credential, said);
}
