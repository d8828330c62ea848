/*
 * The keyring.
 *
 * Keys are looked for anew from 15 minutes before they expire, as the SDKs do
 * it, or in the last quarter of their life if that is shorter.  Keys out of
 * files are read again every second, which is how a rotation is seen.  Nothing
 * of that fails a call: the old keys sign while they live.
 *
 * A file that is written in place is empty for a moment.  So a search goes no
 * further than to the provider that gave the last keys, until that has had none
 * for a minute: else a session would go on as somebody else.
 *
 * Each credential lies in a memory context of its own.  It is replaced as a
 * whole, and overwritten when it goes.
 */
#include "postgres.h"

#include <time.h>

#include "access/xact.h"
#include "call/attempt.h"
#include "call/credential/chain.h"
#include "call/credential/keyring.h"
#include "lib/ilist.h"
#include "net/pump.h"
#include "pg/alloc.h"
#include "pg/report.h"
#include "pg/server.h"
#include "utils/memutils.h"

#define REFRESH_AHEAD_S (15 * 60)

/* What a refresh may take while the old keys live: it holds up a call. */
#define REFRESH_MS 2000

/*
 * Between two of them, when they fail: that long, or longer when the old keys
 * live longer.
 */
#define REFRESH_PAUSE_MS 5000
#define REFRESHES_LEFT 15

/* How old keys out of a file may be. */
#define FILE_AGE_MS 1000

/* A provider that has had no keys for so long has none. */
#define LOST_MS 60000

/* Identities kept; a backend acts for one or two. */
#define MAX_ENTRIES 16

typedef struct Entry
{
	dlist_node	node;			/* in entries, the last used first */
	char		identity[SMRT_SHA256_HEX_LEN + 1];
	Oid			mapping;		/* whose it is; InvalidOid: no mapping's */
	uint64		generation;		/* of mappings, when it was last used */
	MemoryContext context;		/* the credential's; NULL: there is none */
	SmrtCredential credential;
	int64		found_at;		/* seconds from 1970; those below on the
								 * pump's clock */
	int64		pause_until_ms; /* no refresh that is not needed before */
	int64		missing_from_ms;	/* the first search without success since
									 * then; 0: there was none */
	bool		rejected;		/* by the service: not to be used again */
} Entry;

typedef enum Need
{
	NEED_NOTHING,
	NEED_IF_POSSIBLE,			/* the old ones will do if it fails */
	NEED_NEW
} Need;

static dlist_head entries = DLIST_STATIC_INIT(entries);
static int	n_entries;

static bool found_by_looking(const SmrtTarget *target);
static Entry *find_entry(const SmrtTarget *target);
static Entry *make_entry(const SmrtTarget *target);
static void on_transaction_end(XactEvent event, void *arg);
static void forget_mapping(Oid mapping);
static void drop_entry(Entry *entry);
static void drop_credential(Entry *entry);
static Need need_of(const Entry *entry);
static bool lost(const Entry *entry);
static bool refresh(Entry *entry, Need need, SmrtSearch *search,
					StringInfo said);
static int64 ms_left(const Entry *entry);
static bool find(Entry *entry, const SmrtSearch *search, StringInfo said);
static void store(Entry *entry, const SmrtCredential *found);
static void wipe(void *keys);
pg_noreturn static void no_credentials(const SmrtTarget *target,
									   const char *said);

const SmrtKeys *
smrt_keyring_get(SmrtTarget *target, int64 give_up_at_ms)
{
	Entry	   *entry;
	Need		need;

	if (!found_by_looking(target))
		return &target->keys;
	entry = find_entry(target);
	if (entry == NULL)
		entry = make_entry(target);
	entry->generation = smrt_server_mapping_generation();
	/* A second time where the old keys ended while better ones were looked for. */
	while ((need = need_of(entry)) != NEED_NOTHING)
	{
		SmrtSearch	search = {.target = target,.give_up_at_ms = give_up_at_ms};
		StringInfoData said;

		initStringInfo(&said);
		if (!refresh(entry, need, &search, &said))
		{
			if (need == NEED_NEW)
				no_credentials(target, said.data);
			/* The details are for the administrator, not for every statement. */
			ereport(DEBUG1,
					(errmsg_internal("could not refresh AWS credentials: %s",
									 said.data)));
		}
		pfree(said.data);
	}
	return &entry->credential.keys;
}

bool
smrt_keyring_reject(const SmrtTarget *target, const char *key_id_tail)
{
	Entry	   *entry = found_by_looking(target) ? find_entry(target) : NULL;
	size_t		len = strlen(key_id_tail);
	SmrtSpan	id;

	if (entry == NULL)
		return false;
	/* Of many calls under way, the first that is refused had them replaced. */
	id = entry->credential.keys.access_key_id;
	if (entry->context != NULL && id.len >= len &&
		memcmp(id.data + id.len - len, key_id_tail, len) == 0)
		entry->rejected = true;
	return true;
}

const SmrtCredential *
smrt_keyring_peek(const SmrtTarget *target)
{
	Entry	   *entry = find_entry(target);

	return entry != NULL && entry->context != NULL ? &entry->credential : NULL;
}

void
smrt_keyring_blot(const SmrtTarget *target, SmrtFault *fault)
{
	const SmrtCredential *found = smrt_keyring_peek(target);

	smrt_report_blot(fault, &target->keys);
	if (found != NULL)
		smrt_report_blot(fault, &found->keys);
}

static bool
found_by_looking(const SmrtTarget *target)
{
	return target->role_arn != NULL || smrt_target_uses_surroundings(target);
}

static Entry *
find_entry(const SmrtTarget *target)
{
	dlist_iter	iter;

	dlist_foreach(iter, &entries)
	{
		Entry	   *entry = dlist_container(Entry, node, iter.cur);

		if (strcmp(entry->identity, target->identity) == 0)
		{
			dlist_move_head(&entries, &entry->node);
			return entry;
		}
	}
	return NULL;
}

static Entry *
make_entry(const SmrtTarget *target)
{
	static bool registered = false;
	Entry	   *entry = MemoryContextAllocZero(TopMemoryContext, sizeof(Entry));

	if (!registered)
		RegisterXactCallback(on_transaction_end, NULL);
	registered = true;
	forget_mapping(target->mapping);
	strlcpy(entry->identity, target->identity, sizeof(entry->identity));
	entry->mapping = target->mapping;
	dlist_push_head(&entries, &entry->node);
	if (++n_entries > MAX_ENTRIES)
		drop_entry(dlist_container(Entry, node, dlist_tail_node(&entries)));
	return entry;
}

/*
 * The mapping may have been dropped.  If it was another one, the keys are found
 * again.
 */
static void
on_transaction_end(XactEvent event, void *arg)
{
	dlist_iter	iter;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	dlist_foreach(iter, &entries)
	{
		Entry	   *entry = dlist_container(Entry, node, iter.cur);

		if (OidIsValid(entry->mapping) &&
			entry->generation != smrt_server_mapping_generation())
			drop_credential(entry);
	}
}

/* One that was altered has another identity now, and no use for the old keys. */
static void
forget_mapping(Oid mapping)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &entries)
	{
		Entry	   *entry = dlist_container(Entry, node, iter.cur);

		if (OidIsValid(mapping) && entry->mapping == mapping)
			drop_entry(entry);
	}
}

static void
drop_entry(Entry *entry)
{
	dlist_delete(&entry->node);
	drop_credential(entry);
	pfree(entry);
	n_entries--;
}

static Need
need_of(const Entry *entry)
{
	int64		now = (int64) time(NULL);
	int64		life = entry->credential.expires_at - entry->found_at;
	int64		left = entry->credential.expires_at - now;
	bool		lasting = entry->credential.expires_at == 0;

	if (entry->context == NULL || entry->rejected || (!lasting && left <= 0))
		return NEED_NEW;
	if (smrt_pump_now_ms() < entry->pause_until_ms)
		return NEED_NOTHING;
	if (entry->credential.from_file)
		return lost(entry) ? NEED_NEW : NEED_IF_POSSIBLE;
	return !lasting && left <= Min(REFRESH_AHEAD_S, life / 4) ?
		NEED_IF_POSSIBLE : NEED_NOTHING;
}

static bool
lost(const Entry *entry)
{
	return entry->missing_from_ms != 0 &&
		smrt_pump_now_ms() - entry->missing_from_ms >= LOST_MS;
}

static bool
refresh(Entry *entry, Need need, SmrtSearch *search, StringInfo said)
{
	int64		now_ms = smrt_pump_now_ms();
	bool		success;

	if (!lost(entry))
		search->last = entry->credential.provider;
	if (need == NEED_IF_POSSIBLE)
	{
		int64		left = ms_left(entry);

		search->once = true;
		search->give_up_at_ms = Min(search->give_up_at_ms,
									now_ms + Min(REFRESH_MS, left / 2));
		/* Before it: a call that is cancelled meanwhile has waited for others. */
		entry->pause_until_ms = now_ms +
			(entry->credential.from_file ? FILE_AGE_MS :
			 Max(REFRESH_PAUSE_MS, left / REFRESHES_LEFT));
	}
	success = find(entry, search, said);
	if (!success && entry->missing_from_ms == 0)
		entry->missing_from_ms = now_ms;
	return success;
}

static int64
ms_left(const Entry *entry)
{
	return entry->credential.expires_at == 0 ? PG_INT64_MAX :
		1000 * (entry->credential.expires_at - (int64) time(NULL));
}

static bool
find(Entry *entry, const SmrtSearch *search, StringInfo said)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "sagemaker_rt credential search",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(scratch);
	SmrtCredential found = {{{0}}};
	bool		success = smrt_chain_walk(search, &found, said);

	if (success && found.expires_at != 0 && found.expires_at <= time(NULL))
	{
		appendStringInfoString(said, " gave keys that have expired");
		success = false;
	}
	if (success && !smrt_keys_fit(&found.keys))
	{
		appendStringInfoString(said, " gave keys that fit no header");
		success = false;
	}
	/* Keys that were found are copies; after a failure they may be the target's. */
	if (success)
	{
		store(entry, &found);
		wipe(&found.keys);
	}
	MemoryContextSwitchTo(before);
	MemoryContextDelete(scratch);
	return success;
}

static void
store(Entry *entry, const SmrtCredential *found)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "sagemaker_rt credential",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	MemoryContextCallback *on_delete = palloc0(sizeof(*on_delete));
	SmrtKeys   *keys = palloc0(sizeof(SmrtKeys));

	keys->access_key_id = smrt_span_copy(found->keys.access_key_id);
	keys->secret_access_key = smrt_span_copy(found->keys.secret_access_key);
	keys->session_token = smrt_span_copy(found->keys.session_token);
	on_delete->func = wipe;
	on_delete->arg = keys;
	MemoryContextRegisterResetCallback(context, on_delete);

	drop_credential(entry);
	entry->context = context;
	entry->credential = *found;
	entry->credential.keys = *keys;
	entry->credential.source = pstrdup(found->source);
	entry->found_at = (int64) time(NULL);
	entry->pause_until_ms = found->from_file ?
		smrt_pump_now_ms() + FILE_AGE_MS : 0;
	entry->missing_from_ms = 0;
	entry->rejected = false;
	MemoryContextSwitchTo(before);
}

static void
drop_credential(Entry *entry)
{
	if (entry->context != NULL)
	{
		MemoryContextDelete(entry->context);
		smrt_attempt_forget_keys();
	}
	entry->context = NULL;
}

static void
wipe(void *arg)
{
	SmrtKeys   *keys = arg;

	smrt_cleanse((char *) keys->secret_access_key.data,
				 keys->secret_access_key.len);
	if (!smrt_span_absent(keys->session_token))
		smrt_cleanse((char *) keys->session_token.data,
					 keys->session_token.len);
}

static void
no_credentials(const SmrtTarget *target, const char *said)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("no AWS credentials found"),
			 errdetail("%s%s", said, target->region.len > 0 ? "" :
					   "\nregion: neither server, setting, environment, profile nor instance names one"),
			 errhint("Create a user mapping, or provide keys to the database server; sagemaker_check() shows what it looks at.")));
}
