/*
 * The cost guard.  Its lock guards its table, whose entries are statements and
 * roles; what was spent counts for a period, the statement's beginning or the hour,
 * and is nothing in any other.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pg/compat.h"
#include "pg/guard.h"
#include "pg/shared.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

/* Sessions and roles that are under a limit; 64 bytes each. */
#define MAX_ENTRIES 8192

typedef struct Key
{
	SmrtPurse	purse;
	uint32		id;				/* process that leads the statement; role */
} Key;

typedef struct Entry
{
	Key			key;			/* first: the table's */
	int64		period;			/* when the statement began; which hour */
	SmrtCost	cost;
} Entry;

static const char *const purse_names[] = {
	[SMRT_PURSE_STATEMENT] = "this statement has",
	[SMRT_PURSE_ROLE] = "the role has, in this hour,",
};

StaticAssertDecl(lengthof(purse_names) == SMRT_PURSE_COUNT,
				 "every purse needs a name");

SmrtDryRun *smrt_dry_run;

static HTAB *entries;

static HTAB *table(void);
static bool is_limited(void);
static Entry *enter(SmrtPurse purse);
static void drop_old(void);
static uint32 id_of(SmrtPurse purse);
static int64 period_of(SmrtPurse purse);
static char *exceeded(SmrtPurse purse, const Entry *entry,
					  const SmrtCost *cost);
static void add(SmrtCost *sum, const SmrtCost *cost);

Size
smrt_guard_size(void)
{
	return hash_estimate_size(MAX_ENTRIES, sizeof(Entry));
}

void
smrt_guard_attach(void)
{
	entries = NULL;
	(void) table();
}

static HTAB *
table(void)
{
	const SmrtSharedTable spec = {
		.name = "sagemaker_rt guard",
		.key_size = sizeof(Key),
		.entry_size = sizeof(Entry),
		.max = MAX_ENTRIES,
	};

	if (entries == NULL)
		entries = smrt_shared_table(&spec);
	return entries;
}

char *
smrt_guard_pay(const SmrtCost *cost)
{
	Entry	   *paying[SMRT_PURSE_COUNT] = {0};
	char	   *problem = NULL;

	if (!is_limited())
		return NULL;
	smrt_lock(SMRT_LOCK_GUARD, LW_EXCLUSIVE);
	for (int purse = 0; purse < SMRT_PURSE_COUNT && problem == NULL; purse++)
	{
		paying[purse] = enter(purse);
		if (paying[purse] == NULL)
			problem = psprintf("more than %d sessions and roles are under a limit",
							   MAX_ENTRIES);
		else
			problem = exceeded(purse, paying[purse], cost);
	}
	for (int purse = 0; purse < SMRT_PURSE_COUNT && problem == NULL; purse++)
		add(&paying[purse]->cost, cost);
	smrt_unlock(SMRT_LOCK_GUARD);
	return problem;
}

void
smrt_guard_add(const SmrtCost *cost)
{
	if (!is_limited())
		return;
	smrt_lock(SMRT_LOCK_GUARD, LW_EXCLUSIVE);
	for (int purse = 0; purse < SMRT_PURSE_COUNT; purse++)
	{
		Entry	   *entry = enter(purse);

		if (entry != NULL)
			add(&entry->cost, cost);
	}
	smrt_unlock(SMRT_LOCK_GUARD);
}

static bool
is_limited(void)
{
	for (int what = 0; what < SMRT_COST_COUNT; what++)
		if (smrt_guard_limit_on(what) != NULL)
			return true;
	return false;
}

const char *
smrt_guard_limit_on(SmrtCostKind what)
{
	for (int purse = 0; purse < SMRT_PURSE_COUNT; purse++)
		if (smrt_settings.cost_limits[purse][what] > 0)
			return smrt_cost_limit_name(purse, what);
	return NULL;
}

static char *
exceeded(SmrtPurse purse, const Entry *entry, const SmrtCost *cost)
{
	for (int what = 0; what < SMRT_COST_COUNT; what++)
	{
		int64		limit = smrt_cost_limit(purse, what);
		int64		spent = entry->cost.spent[what];

		if (limit == 0)
			continue;
		if (what < SMRT_COST_FORESEEN && spent + cost->spent[what] > limit)
			return psprintf("%s is " INT64_FORMAT ", %s sent " INT64_FORMAT
							", and this request is " INT64_FORMAT " more",
							smrt_cost_limit_name(purse, what), limit,
							purse_names[purse], spent, cost->spent[what]);
		if (what >= SMRT_COST_FORESEEN && spent >= limit)
			return psprintf("%s is " INT64_FORMAT ", and %s used " INT64_FORMAT,
							smrt_cost_limit_name(purse, what), limit,
							purse_names[purse], spent);
	}
	return NULL;
}

static Entry *
enter(SmrtPurse purse)
{
	Key			key = {.purse = purse,.id = id_of(purse)};
	bool		found;
	Entry	   *entry = hash_search(table(), &key, HASH_FIND, &found);

	if (entry == NULL && hash_get_num_entries(entries) >= MAX_ENTRIES)
		drop_old();
	if (entry == NULL && hash_get_num_entries(entries) < MAX_ENTRIES)
		entry = smrt_shared_enter(entries, &key, &found);
	if (entry == NULL)
		return NULL;
	if (!found || entry->period != period_of(purse))
		memset(&entry->cost, 0, sizeof(entry->cost));
	entry->period = period_of(purse);
	return entry;
}

/* What counts no more, and statements of a day ago: those processes are gone. */
static void
drop_old(void)
{
	int64		oldest[SMRT_PURSE_COUNT] = {
		[SMRT_PURSE_STATEMENT] = GetCurrentTimestamp() - USECS_PER_DAY,
		[SMRT_PURSE_ROLE] = period_of(SMRT_PURSE_ROLE),
	};
	HASH_SEQ_STATUS scan;
	Entry	   *entry;

	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (entry->period < oldest[entry->key.purse])
			hash_search(entries, &entry->key, HASH_REMOVE, NULL);
}

/*
 * The role is who logged in: SET ROLE and functions of others give it no other
 * purse.
 */
static uint32
id_of(SmrtPurse purse)
{
	return purse == SMRT_PURSE_ROLE ? GetSessionUserId() : smrt_shared_leader();
}

/* Parallel workers have their leader's statement timestamp. */
static int64
period_of(SmrtPurse purse)
{
	return purse == SMRT_PURSE_ROLE ? GetCurrentTimestamp() / USECS_PER_HOUR :
		GetCurrentStatementStartTimestamp();
}

static void
add(SmrtCost *sum, const SmrtCost *cost)
{
	for (int what = 0; what < SMRT_COST_COUNT; what++)
		sum->spent[what] += cost->spent[what];
}

void
smrt_dry_run_note(const SmrtStatKey *key, const SmrtCost *cost)
{
	MemoryContext before = MemoryContextSwitchTo(smrt_dry_run->context);
	SmrtDryCalls *calls = NULL;
	ListCell   *cell;

	foreach(cell, smrt_dry_run->calls)
		if (memcmp(&((SmrtDryCalls *) lfirst(cell))->key, key, sizeof(*key)) == 0)
			calls = lfirst(cell);
	if (calls == NULL)
	{
		calls = palloc0(sizeof(SmrtDryCalls));
		calls->key = *key;
		smrt_dry_run->calls = lappend(smrt_dry_run->calls, calls);
	}
	add(&calls->cost, cost);
	MemoryContextSwitchTo(before);
}
