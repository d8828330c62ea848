/*
 * The governor.  Its lock guards all of its table and is held for microseconds.
 * An entry that nobody needs any more goes when room is needed; if there is none
 * of these, an endpoint too many is not governed.
 */
#include "postgres.h"

#include "pg/compat.h"
#include "pg/governor.h"
#include "pg/settings.h"
#include "pg/shared.h"
#include "storage/shmem.h"

/* 4 kB each. */
#define MAX_ENTRIES 256

/* After this time without a word an entry may go. */
#define MAX_IDLE_MS (60 * 1000)

/*
 * Between two questions for a slot, at random, so that each who waits has the same
 * chance.  Some hundred processes that ask so often cost a few per cent of a core.
 */
#define LEAST_WAIT_MS 5
#define WAIT_SPREAD_MS 20

/*
 * Who has an answer could have the slot again before anybody else asks.  When one has
 * waited for so long, the others wait once, too.
 */
#define PATIENCE_MS 100

/* Who has not asked for so long waits no more. */
#define WAITER_GONE_MS (2 * (LEAST_WAIT_MS + WAIT_SPREAD_MS))

/* So that many who wait for a rate do not wake as one, and see it grow. */
#define LONGEST_WAIT_MS 500

typedef struct Entry
{
	SmrtGovernorKey key;		/* first: the table's */
	int64		asked_at_ms;
	SmrtRate	rate;
	SmrtBreaker breaker;
	SmrtFaultKind last_failure;
	SmrtRetryBucket bucket;
	int64		waiting_since_ms;	/* who waits longest for a slot */
	int64		waiter_seen_ms; /* and when he asked last */
	int64		lent_until_ms[SMRT_MAX_SLOTS];	/* 0: not lent */
} Entry;

static HTAB *entries;

static HTAB *table(void);
static Entry *find(const SmrtGovernorKey *key);
static Entry *find_host(const SmrtGovernorKey *key);
static Entry *enter(const SmrtGovernorKey *key, int64 now_ms);
static void drop_idle(int64 now_ms);
static void decide(Entry *entry, int64 now_ms, int64 lend_until_ms,
				   SmrtTurn *turn);
static bool gives_way(const Entry *entry, int64 now_ms, const SmrtTurn *turn);
static void note_waiter(Entry *entry, int64 now_ms, SmrtTurn *turn);
static int	free_slot(const Entry *entry, int64 now_ms);
static int	count_lent(const Entry *entry, int64 now_ms);
static int64 spread(int64 wait_ms);

Size
smrt_governor_size(void)
{
	return hash_estimate_size(MAX_ENTRIES, sizeof(Entry));
}

void
smrt_governor_attach(void)
{
	entries = NULL;
	(void) table();
}

static HTAB *
table(void)
{
	const SmrtSharedTable spec = {
		.name = "sagemaker_rt governor",
		.key_size = sizeof(SmrtGovernorKey),
		.entry_size = sizeof(Entry),
		.max = MAX_ENTRIES,
	};

	if (entries == NULL)
		entries = smrt_shared_table(&spec);
	return entries;
}

void
smrt_governor_key(SmrtGovernorKey *key, SmrtSpan host, SmrtSpan endpoint)
{
	memset(key, 0, sizeof(*key));
	memcpy(key->host, host.data, Min(host.len, sizeof(key->host) - 1));
	memcpy(key->endpoint, endpoint.data,
		   Min(endpoint.len, sizeof(key->endpoint) - 1));
}

void
smrt_governor_ask(const SmrtGovernorKey *key, int64 now_ms,
				  int64 lend_until_ms, SmrtTurn *turn)
{
	SmrtGovernorKey host = *key;
	Entry	   *entry;

	*turn = (SmrtTurn) {.kind = SMRT_TURN_NOW,.slot = -1,
		.waiting_since_ms = turn->waiting_since_ms};
	memset(host.endpoint, 0, sizeof(host.endpoint));
	smrt_lock(SMRT_LOCK_GOVERNOR, LW_EXCLUSIVE);
	/* The bucket has to be there when a retry is asked for. */
	(void) enter(&host, now_ms);
	entry = enter(key, now_ms);
	if (entry != NULL && key->endpoint[0] != '\0')
		decide(entry, now_ms, lend_until_ms, turn);
	smrt_unlock(SMRT_LOCK_GOVERNOR);
	if (turn->kind == SMRT_TURN_LATER)
		turn->wait_ms = spread(turn->wait_ms);
}

static void
decide(Entry *entry, int64 now_ms, int64 lend_until_ms, SmrtTurn *turn)
{
	int			slot = free_slot(entry, now_ms);

	if (smrt_settings.max_in_flight > 0 &&
		(slot < 0 || gives_way(entry, now_ms, turn)))
	{
		turn->kind = SMRT_TURN_LATER;
		note_waiter(entry, now_ms, turn);
	}
	else if (smrt_settings.adaptive_rate &&
			 (turn->wait_ms = smrt_rate_take(&entry->rate, now_ms)) > 0)
		turn->kind = SMRT_TURN_LATER;
	else if (smrt_settings.breaker_failures > 0 &&
			 !smrt_breaker_admits(&entry->breaker, now_ms))
	{
		turn->kind = SMRT_TURN_REFUSED;
		turn->failures = entry->breaker.failures;
		turn->last_failure = entry->last_failure;
	}
	else if (slot >= 0)
	{
		turn->slot = slot;
		turn->lent_until_ms = lend_until_ms;
		entry->lent_until_ms[slot] = lend_until_ms;
		if (turn->waiting_since_ms == entry->waiting_since_ms)
			entry->waiter_seen_ms = 0;
		turn->waiting_since_ms = 0;
	}
}

static bool
gives_way(const Entry *entry, int64 now_ms, const SmrtTurn *turn)
{
	return turn->waiting_since_ms == 0 &&
		now_ms - entry->waiter_seen_ms < WAITER_GONE_MS &&
		now_ms - entry->waiting_since_ms >= PATIENCE_MS;
}

static void
note_waiter(Entry *entry, int64 now_ms, SmrtTurn *turn)
{
	if (turn->waiting_since_ms == 0)
		turn->waiting_since_ms = now_ms;
	if (turn->waiting_since_ms > entry->waiting_since_ms &&
		now_ms - entry->waiter_seen_ms < WAITER_GONE_MS)
		return;
	entry->waiting_since_ms = turn->waiting_since_ms;
	entry->waiter_seen_ms = now_ms;
}

/* -1: as many are lent as may be; without a cap, as are counted. */
static int
free_slot(const Entry *entry, int64 now_ms)
{
	int			most = smrt_settings.max_in_flight > 0 ?
		smrt_settings.max_in_flight : SMRT_MAX_SLOTS;

	for (int i = 0; i < most; i++)
		if (entry->lent_until_ms[i] <= now_ms)
			return i;
	return -1;
}

static int64
spread(int64 wait_ms)
{
	wait_ms = Min(wait_ms, LONGEST_WAIT_MS);
	return wait_ms + LEAST_WAIT_MS +
		(int64) (WAIT_SPREAD_MS * smrt_random_fraction());
}

void
smrt_governor_leave(const SmrtGovernorKey *key, SmrtTurn *turn)
{
	Entry	   *entry;

	if (turn->slot < 0 || turn->lent_until_ms == 0)
		return;
	smrt_lock(SMRT_LOCK_GOVERNOR, LW_EXCLUSIVE);
	entry = find(key);
	/* It may have been lent to another when its time was over. */
	if (entry != NULL &&
		entry->lent_until_ms[turn->slot] == turn->lent_until_ms)
		entry->lent_until_ms[turn->slot] = 0;
	smrt_unlock(SMRT_LOCK_GOVERNOR);
	turn->lent_until_ms = 0;
}

/*
 * A host that fails, or whose service does, fails for all; what is said about one
 * request shows that it works.
 */
void
smrt_governor_note(const SmrtGovernorKey *key, int64 now_ms, SmrtFaultKind kind)
{
	SmrtRetryClass class = smrt_retry_class(kind);
	bool		failed = class == SMRT_RETRY_TRANSIENT || class == SMRT_RETRY_ONCE;
	Entry	   *entry;

	if (key->endpoint[0] == '\0')
		return;
	smrt_lock(SMRT_LOCK_GOVERNOR, LW_EXCLUSIVE);
	entry = find(key);
	if (entry != NULL)
	{
		if (failed)
			entry->last_failure = kind;
		smrt_breaker_note(&entry->breaker, now_ms, failed,
						  smrt_settings.breaker_failures);
		if (!failed && smrt_settings.adaptive_rate)
			smrt_rate_note(&entry->rate, now_ms, kind == SMRT_FAULT_THROTTLED);
	}
	smrt_unlock(SMRT_LOCK_GOVERNOR);
}

bool
smrt_governor_take_retry(const SmrtGovernorKey *key, SmrtRetryClass class,
						 int *price)
{
	Entry	   *entry;
	bool		taken = true;

	smrt_lock(SMRT_LOCK_GOVERNOR, LW_EXCLUSIVE);
	entry = find_host(key);
	if (entry != NULL)
		taken = smrt_bucket_take(&entry->bucket, class, price);
	smrt_unlock(SMRT_LOCK_GOVERNOR);
	return taken;
}

void
smrt_governor_give_retry(const SmrtGovernorKey *key, int last_price)
{
	Entry	   *entry;

	smrt_lock(SMRT_LOCK_GOVERNOR, LW_EXCLUSIVE);
	entry = find_host(key);
	if (entry != NULL)
		smrt_bucket_give(&entry->bucket, last_price);
	smrt_unlock(SMRT_LOCK_GOVERNOR);
}

static Entry *
find_host(const SmrtGovernorKey *key)
{
	SmrtGovernorKey host = *key;

	memset(host.endpoint, 0, sizeof(host.endpoint));
	return find(&host);
}

static Entry *
find(const SmrtGovernorKey *key)
{
	return hash_search(table(), key, HASH_FIND, NULL);
}

/* NULL: no room. */
static Entry *
enter(const SmrtGovernorKey *key, int64 now_ms)
{
	Entry	   *entry = find(key);
	bool		found;

	if (entry == NULL)
	{
		if (hash_get_num_entries(entries) >= MAX_ENTRIES)
			drop_idle(now_ms);
		if (hash_get_num_entries(entries) >= MAX_ENTRIES)
			return NULL;
		entry = smrt_shared_enter(entries, key, &found);
		if (entry == NULL)
			return NULL;
		memset((char *) entry + sizeof(SmrtGovernorKey), 0,
			   sizeof(Entry) - sizeof(SmrtGovernorKey));
		smrt_bucket_init(&entry->bucket);
	}
	entry->asked_at_ms = now_ms;
	return entry;
}

static void
drop_idle(int64 now_ms)
{
	HASH_SEQ_STATUS scan;
	Entry	   *entry;

	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (now_ms - entry->asked_at_ms > MAX_IDLE_MS &&
			count_lent(entry, now_ms) == 0)
			hash_search(entries, &entry->key, HASH_REMOVE, NULL);
}

static int
count_lent(const Entry *entry, int64 now_ms)
{
	int			n = 0;

	for (int i = 0; i < SMRT_MAX_SLOTS; i++)
		n += entry->lent_until_ms[i] > now_ms;
	return n;
}

SmrtGovernorState *
smrt_governor_read(int64 now_ms, int *n)
{
	HASH_SEQ_STATUS scan;
	Entry	   *entry;
	SmrtGovernorState *states = palloc(MAX_ENTRIES * sizeof(SmrtGovernorState));

	*n = 0;
	smrt_lock(SMRT_LOCK_GOVERNOR, LW_SHARED);
	hash_seq_init(&scan, table());
	while ((entry = hash_seq_search(&scan)) != NULL)
		states[(*n)++] = (SmrtGovernorState)
	{
		.key = entry->key,
			.in_flight = count_lent(entry, now_ms),
			.rate = entry->rate,
			.breaker = entry->breaker,
			.bucket = entry->bucket,
	};
	smrt_unlock(SMRT_LOCK_GOVERNOR);
	return states;
}
