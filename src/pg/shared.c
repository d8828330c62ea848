/*
 * Shared memory: what is asked for before the server starts, and found when it
 * has.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "pg/compat.h"
#include "pg/governor.h"
#include "pg/guard.h"
#include "pg/settings.h"
#include "pg/shared.h"
#include "pg/statistics.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shmem.h"

#define TRANCHE "sagemaker_rt"

#define MAX_STRUCTS 4

static SmrtShmemHook next_request;
static shmem_startup_hook_type next_startup;
static LWLockPadded *locks;		/* NULL: nothing is shared */
static const SmrtSharedStruct *structs[MAX_STRUCTS];
static int	n_structs;

static void request(void);
static void startup(void);
static void attach(const SmrtSharedStruct *structure);
static uint32 hash_key(const void *key, Size size);

void
smrt_shared_install(void)
{
	if (!smrt_preloaded)
		return;
	smrt_shmem_request(request, &next_request);
	next_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
}

static void
request(void)
{
	if (next_request != NULL)
		next_request();
	RequestAddinShmemSpace(smrt_statistics_size());
	RequestAddinShmemSpace(smrt_governor_size());
	RequestAddinShmemSpace(smrt_guard_size());
	for (int i = 0; i < n_structs; i++)
		RequestAddinShmemSpace(structs[i]->size);
	RequestNamedLWLockTranche(TRANCHE, SMRT_LOCK_COUNT);
}

/* In the postmaster, again after a crash; in each process where it is no fork. */
static void
startup(void)
{
	if (next_startup != NULL)
		next_startup();
	locks = GetNamedLWLockTranche(TRANCHE);
	smrt_statistics_attach();
	smrt_governor_attach();
	smrt_guard_attach();
	for (int i = 0; i < n_structs; i++)
		attach(structs[i]);
}

void
smrt_shared_add(const SmrtSharedStruct *structure)
{
	Assert(n_structs < MAX_STRUCTS);
	structs[n_structs++] = structure;
}

static void
attach(const SmrtSharedStruct *structure)
{
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	*structure->place = ShmemInitStruct(structure->name, structure->size, &found);
	if (!found)
	{
		memset(*structure->place, 0, structure->size);
		if (structure->make != NULL)
			structure->make();
	}
	LWLockRelease(AddinShmemInitLock);
}

HTAB *
smrt_shared_table(const SmrtSharedTable *spec)
{
	HASHCTL		control = {
		.keysize = spec->key_size,
		.entrysize = spec->entry_size,
		.hash = hash_key,
	};
	HTAB	   *table;

	Assert(spec->key_size % sizeof(uint64) == 0);
	if (locks == NULL)
		return hash_create(spec->name, 16, &control, HASH_ELEM | HASH_FUNCTION);
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	table = ShmemInitHash(spec->name, spec->max, spec->max, &control,
						  HASH_ELEM | HASH_FUNCTION);
	LWLockRelease(AddinShmemInitLock);
	return table;
}

/*
 * Keys are names with room for the longest: what is empty of them is passed over,
 * for a call looks into these tables seven times.
 */
static uint32
hash_key(const void *key, Size size)
{
	uint64		hash = 0;
	uint64		word;

	for (Size at = 0; at < size; at += sizeof(word))
	{
		memcpy(&word, (const char *) key + at, sizeof(word));
		if (word != 0)
			hash = hash_combine64(hash, word + at);
	}
	return murmurhash32((uint32) (hash ^ (hash >> 32)));
}

void *
smrt_shared_enter(HTAB *table, const void *key, bool *found)
{
	return hash_search(table, key, locks ? HASH_ENTER_NULL : HASH_ENTER, found);
}

void
smrt_lock(SmrtLock lock, LWLockMode mode)
{
	if (locks != NULL)
		LWLockAcquire(&locks[lock].lock, mode);
}

void
smrt_unlock(SmrtLock lock)
{
	if (locks != NULL)
		LWLockRelease(&locks[lock].lock);
}

int
smrt_shared_leader(void)
{
	return MyProc->lockGroupLeader != NULL ? MyProc->lockGroupLeader->pid :
		MyProcPid;
}
