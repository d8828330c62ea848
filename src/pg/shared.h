/*
 * Memory that all processes of the server share, where the postmaster has loaded
 * the library.  Where it has not, each process has the same tables for itself:
 * who uses them need not ask.
 */
#ifndef SMRT_PG_SHARED_H
#define SMRT_PG_SHARED_H

#include "storage/lwlock.h"
#include "utils/hsearch.h"

/* Each guards the table or structure of its name. */
typedef enum SmrtLock
{
	SMRT_LOCK_STATISTICS,
	SMRT_LOCK_GOVERNOR,
	SMRT_LOCK_GUARD,
	SMRT_LOCK_WAKE,
	SMRT_LOCK_PROGRESS,
	SMRT_LOCK_ACCOUNTS,
	SMRT_LOCK_COUNT
} SmrtLock;

/* From _PG_init(), after the settings are defined. */
extern void smrt_shared_install(void);

/* A structure of an upper floor. */
typedef struct SmrtSharedStruct
{
	const char *name;
	Size		size;
	void	  **place;			/* where it is, once the server has started */
	void		(*make) (void); /* what is not to be zero in a new one, or NULL */
} SmrtSharedStruct;

/*
 * From _PG_init(), where the postmaster loads the library; what is given must stay.
 * Elsewhere *place stays as it is.
 */
extern void smrt_shared_add(const SmrtSharedStruct *structure);

/*
 * A table of at most max entries, whose key of key_size bytes is the beginning of
 * an entry of entry_size bytes.
 */
typedef struct SmrtSharedTable
{
	const char *name;
	Size		key_size;
	Size		entry_size;
	long		max;
} SmrtSharedTable;

/*
 * The table; one of this process, made here in TopMemoryContext, where nothing is
 * shared.
 */
extern HTAB *smrt_shared_table(const SmrtSharedTable *spec);

/* The entry of that key, or a new one; NULL: no memory.  Under the lock. */
extern void *smrt_shared_enter(HTAB *table, const void *key, bool *found);

/* Nothing where nothing is shared.  Never nested. */
extern void smrt_lock(SmrtLock lock, LWLockMode mode);
extern void smrt_unlock(SmrtLock lock);

/* The process that leads the statement which this one works on: itself, or not. */
extern int	smrt_shared_leader(void);

#endif							/* SMRT_PG_SHARED_H */
