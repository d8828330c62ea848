/*
 * Who shares the work.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "queue/share.h"
#include "storage/lock.h"

#define MAX_JOBS 32

/* Users' advisory locks have 1 or 2 there. */
#define KIND_OF_LOCK 7

static LOCKTAG tag_of(const SmrtShare *share, int slot);
static bool is_taken(const SmrtShare *share, int slot);

void
smrt_share_join(SmrtShare *share, Oid relation, AttrNumber column)
{
	memset(share, 0, sizeof(*share));
	share->relation = relation;
	share->column = column;
	for (; share->slot < MAX_JOBS; share->slot++)
	{
		LOCKTAG		tag = tag_of(share, share->slot);

		if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_OK)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("%d jobs are at work on the same column", MAX_JOBS)));
}

void
smrt_share_look(SmrtShare *share)
{
	share->n_jobs = 1;
	share->rank = 0;
	for (int i = 0; i < MAX_JOBS; i++)
		if (i != share->slot && is_taken(share, i))
		{
			share->n_jobs++;
			share->rank += i < share->slot;
		}
}

void
smrt_share_leave(const SmrtShare *share)
{
	LOCKTAG		tag = tag_of(share, share->slot);

	LockRelease(&tag, ExclusiveLock, true);
}

static LOCKTAG
tag_of(const SmrtShare *share, int slot)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, share->relation,
						 ((uint32) share->column << 16) | slot, KIND_OF_LOCK);
	return tag;
}

/* Those who look do not exclude each other. */
static bool
is_taken(const SmrtShare *share, int slot)
{
	LOCKTAG		tag = tag_of(share, slot);

	if (LockAcquire(&tag, ShareLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, ShareLock, true);
	return false;
}
