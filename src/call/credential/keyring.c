/*
 * The keyring.
 *
 * Keys are looked for anew from 15 minutes before they expire, as the SDKs do
 * it, or in the last quarter of their life if that is shorter.  An outage then
 * fails no call: the old keys sign while they live.  Keys out of files are read
 * again every second, which is how a rotation is seen.
 *
 * Each credential lies in a memory context of its own.  It is replaced as a
 * whole, and overwritten when it goes.
 */
#include "postgres.h"

#include <time.h>

#include "call/attempt.h"
#include "call/credential/chain.h"
#include "call/credential/keyring.h"
#include "lib/ilist.h"
#include "net/pump.h"
#include "pg/alloc.h"
#include "utils/memutils.h"

#define REFRESH_AHEAD_S (15 * 60)

/*
 * After a refresh that failed, while the old keys live: that long, or longer
 * when they live longer, since a service that hangs holds up a call each time.
 */
#define REFRESH_PAUSE_S 5
#define REFRESHES_LEFT 15

/* How old keys out of a file may be. */
#define FILE_AGE_MS 1000

/* Identities kept; a backend acts for one or two. */
#define MAX_ENTRIES 16

typedef struct Entry
{
	dlist_node	node;			/* in entries, the last used first */
	char		identity[SMRT_SHA256_HEX_LEN + 1];
	MemoryContext context;		/* the credential's; NULL: there is none */
	SmrtCredential credential;
	int64		found_at;		/* seconds from 1970 */
	int64		found_at_ms;	/* on the pump's clock */
	int64		pause_until_ms; /* no refresh that is not needed before */
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
static void drop_credential(Entry *entry);
static Need need_of(const Entry *entry);
static int64 refresh_pause(const Entry *entry);
static bool refresh(Entry *entry, SmrtTarget *target, StringInfo said);
static void store(Entry *entry, const SmrtCredential *found);
static void wipe(void *keys);
pg_noreturn static void no_credentials(const char *said);

const SmrtKeys *
smrt_keyring_get(SmrtTarget *target)
{
	Entry	   *entry;
	Need		need;
	StringInfoData said;

	if (!found_by_looking(target))
		return &target->keys;
	entry = find_entry(target);
	if (entry == NULL)
		entry = make_entry(target);
	need = need_of(entry);
	if (need == NEED_NOTHING)
		return &entry->credential.keys;

	initStringInfo(&said);
	if (!refresh(entry, target, &said))
	{
		if (need == NEED_NEW)
			no_credentials(said.data);
		/* The details are for the administrator, not for every statement. */
		ereport(DEBUG1,
				(errmsg_internal("could not refresh AWS credentials: %s",
								 said.data)));
		entry->pause_until_ms = smrt_pump_now_ms() + 1000 * refresh_pause(entry);
	}
	pfree(said.data);
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

static bool
found_by_looking(const SmrtTarget *target)
{
	return target->role_arn != NULL ||
		target->key_source == SMRT_KEYS_PROFILE ||
		target->key_source == SMRT_KEYS_AMBIENT;
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
	Entry	   *entry = MemoryContextAllocZero(TopMemoryContext, sizeof(Entry));

	strlcpy(entry->identity, target->identity, sizeof(entry->identity));
	dlist_push_head(&entries, &entry->node);
	if (++n_entries > MAX_ENTRIES)
	{
		Entry	   *oldest = dlist_container(Entry, node,
											 dlist_tail_node(&entries));

		dlist_delete(&oldest->node);
		drop_credential(oldest);
		pfree(oldest);
		n_entries--;
	}
	return entry;
}

static Need
need_of(const Entry *entry)
{
	int64		now = (int64) time(NULL);
	int64		life = entry->credential.expires_at - entry->found_at;
	int64		left = entry->credential.expires_at - now;
	int64		now_ms = smrt_pump_now_ms();

	if (entry->context == NULL || entry->rejected)
		return NEED_NEW;
	if (entry->credential.from_file &&
		now_ms - entry->found_at_ms >= FILE_AGE_MS)
		return NEED_NEW;
	if (entry->credential.expires_at == 0)
		return NEED_NOTHING;
	if (left <= 0)
		return NEED_NEW;
	if (now_ms < entry->pause_until_ms)
		return NEED_NOTHING;
	return left <= Min(REFRESH_AHEAD_S, life / 4) ? NEED_IF_POSSIBLE :
		NEED_NOTHING;
}

static int64
refresh_pause(const Entry *entry)
{
	int64		left = entry->credential.expires_at - (int64) time(NULL);

	return Max(REFRESH_PAUSE_S, left / REFRESHES_LEFT);
}

static bool
refresh(Entry *entry, SmrtTarget *target, StringInfo said)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "sagemaker_rt credential search",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(scratch);
	SmrtCredential found = {{{0}}};
	bool		success = smrt_chain_walk(target, &found, said);

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
	entry->found_at_ms = smrt_pump_now_ms();
	entry->pause_until_ms = 0;
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
no_credentials(const char *said)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("no AWS credentials found"),
			 errdetail("%s", said),
			 errhint("Create a user mapping, or provide keys to the database server; sagemaker_check() shows what it looks at.")));
}
