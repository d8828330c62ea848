/*
 * The cost guard: how much a statement may send, and a role within an hour.  A
 * statement is what the client sent: all that its functions and parallel workers do
 * is its own.  What only an answer tells is added then: what is in flight is
 * admitted, and nothing more once the limit is reached.  Off by default.
 *
 * And the dry run: what would be sent is noted instead.
 */
#ifndef SMRT_PG_GUARD_H
#define SMRT_PG_GUARD_H

#include "pg/settings.h"
#include "pg/statistics.h"

/* What one request is. */
typedef struct SmrtCost
{
	int64		spent[SMRT_COST_COUNT];
} SmrtCost;

/* For pg/shared.c. */
extern Size smrt_guard_size(void);
extern void smrt_guard_attach(void);

/*
 * Pays for a request that is about to be sent.  If a limit does not allow it, pays
 * nothing and tells which, palloc'ed; else NULL.
 */
extern char *smrt_guard_pay(const SmrtCost *cost);

/* Adds what an answer told. */
extern void smrt_guard_add(const SmrtCost *cost);

/* The name of a limit on that which is in force, or NULL. */
extern const char *smrt_guard_limit_on(SmrtCostKind what);

/* What a dry run notes of calls with the same key. */
typedef struct SmrtDryCalls
{
	SmrtStatKey key;
	SmrtCost	cost;
} SmrtDryCalls;

/* Where a dry run notes them; NULL: there is none now.  In memory of its own. */
typedef struct SmrtDryRun
{
	MemoryContext context;
	List	   *calls;			/* of SmrtDryCalls */
} SmrtDryRun;

extern SmrtDryRun *smrt_dry_run;

extern void smrt_dry_run_note(const SmrtStatKey *key, const SmrtCost *cost);

#endif							/* SMRT_PG_GUARD_H */
