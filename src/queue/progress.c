/*
 * Slots of those that work.
 *
 * The lock is for which slot is whose; a slot's spinlock is for what is in it, so
 * that a look at it finds counts that belong together.  Only its owner writes.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pg/compat.h"
#include "pg/shared.h"
#include "queue/progress.h"
#include "storage/ipc.h"
#include "storage/spin.h"
#include "utils/acl.h"
#include "utils/timestamp.h"

/* Twice the workers that there can be at most. */
#define MAX_SLOTS 128

typedef struct Slot
{
	slock_t		mutex;
	SmrtProgress progress;
} Slot;

typedef struct Shared
{
	Slot		slots[MAX_SLOTS];
} Shared;

static Shared *shared;			/* NULL: not loaded by the postmaster */
static Slot *mine;				/* NULL: not at work, or not shown */

static void make(void);
static void end_at_exit(int code, Datum arg);
static void set(Slot *slot, const SmrtProgress *progress);
static int	copy_all(SmrtProgress *copies);

void
smrt_progress_install(void)
{
	static const SmrtSharedStruct structure = {
		.name = "sagemaker_rt progress",
		.size = sizeof(Shared),
		.place = (void **) &shared,
		.make = make,
	};

	smrt_shared_add(&structure);
}

static void
make(void)
{
	for (int i = 0; i < MAX_SLOTS; i++)
		SpinLockInit(&shared->slots[i].mutex);
}

/*
 * Of those that work.
 */

void
smrt_progress_begin(SmrtWork work)
{
	static bool registered = false;
	SmrtProgress progress = {
		.work = work,
		.pid = MyProcPid,
		.database = MyDatabaseId,
		.role = GetUserId(),
		.started_at = GetCurrentTimestamp(),
	};

	if (shared == NULL)
		return;
	/* No error comes by when the session is ended. */
	if (!registered)
		before_shmem_exit(end_at_exit, (Datum) 0);
	registered = true;
	smrt_lock(SMRT_LOCK_PROGRESS, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_SLOTS && mine == NULL; i++)
		if (shared->slots[i].progress.work == SMRT_WORK_NONE)
			mine = &shared->slots[i];
	if (mine != NULL)
		set(mine, &progress);
	smrt_unlock(SMRT_LOCK_PROGRESS);
}

void
smrt_progress_end(void)
{
	static const SmrtProgress none = {.work = SMRT_WORK_NONE};

	if (mine == NULL)
		return;
	smrt_lock(SMRT_LOCK_PROGRESS, LW_EXCLUSIVE);
	set(mine, &none);
	mine = NULL;
	smrt_unlock(SMRT_LOCK_PROGRESS);
}

static void
end_at_exit(int code, Datum arg)
{
	smrt_progress_end();
}

void
smrt_progress_enter(SmrtProgressPhase phase)
{
	SmrtProgress progress;

	if (mine == NULL)
		return;
	progress = mine->progress;
	progress.phase = phase;
	set(mine, &progress);
}

void
smrt_progress_at(Oid relation, Oid model)
{
	SmrtProgress progress;

	if (mine == NULL)
		return;
	progress = mine->progress;
	progress.relation = relation;
	progress.model = model;
	set(mine, &progress);
}

void
smrt_progress_add(const SmrtProgressCounts *more)
{
	SmrtProgress progress;

	if (mine == NULL)
		return;
	progress = mine->progress;
	progress.counts.seen += more->seen;
	progress.counts.scored += more->scored;
	progress.counts.failed += more->failed;
	progress.counts.skipped += more->skipped;
	progress.counts.requests += more->requests;
	set(mine, &progress);
}

static void
set(Slot *slot, const SmrtProgress *progress)
{
	SpinLockAcquire(&slot->mutex);
	slot->progress = *progress;
	SpinLockRelease(&slot->mutex);
}

/*
 * Of those that look.
 */

void
smrt_progress_tell(void (*tell) (void *arg, const SmrtProgress *progress),
				   void *arg)
{
	SmrtProgress *copies = palloc(MAX_SLOTS * sizeof(SmrtProgress));
	int			n;

	if (shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sagemaker_rt must be loaded via shared_preload_libraries to know of progress")));
	n = copy_all(copies);
	for (int i = 0; i < n; i++)
		if (smrt_may_read_all_stats(GetUserId()) ||
			has_privs_of_role(GetUserId(), copies[i].role))
			tell(arg, &copies[i]);
}

static int
copy_all(SmrtProgress *copies)
{
	int			n = 0;

	smrt_lock(SMRT_LOCK_PROGRESS, LW_SHARED);
	for (int i = 0; i < MAX_SLOTS; i++)
	{
		Slot	   *slot = &shared->slots[i];

		SpinLockAcquire(&slot->mutex);
		copies[n] = slot->progress;
		SpinLockRelease(&slot->mutex);
		n += copies[n].work != SMRT_WORK_NONE;
	}
	smrt_unlock(SMRT_LOCK_PROGRESS);
	return n;
}
