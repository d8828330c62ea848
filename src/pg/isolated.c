/*
 * Isolating a step.  The subtransaction's end restores role and settings if the
 * step fails; we do so if it does not.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pg/isolated.h"
#include "utils/guc.h"
#include "utils/resowner.h"

static void run_as(void (*step) (void *arg), void *arg, Oid role);

ErrorData *
smrt_isolated_run(void (*step) (void *arg), void *arg, Oid role)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int			level = GetCurrentTransactionNestLevel();
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (OidIsValid(role))
			run_as(step, arg, role);
		else
			step(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		/* What was thrown through may have left some of its own. */
		while (GetCurrentTransactionNestLevel() > level)
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

static void
run_as(void (*step) (void *arg), void *arg, Oid role)
{
	ConstraintsSetStmt all = {.type = T_ConstraintsSetStmt};
	Oid			user;
	int			flags;
	int			settings;

	AfterTriggerSetState(&all);
	GetUserIdAndSecContext(&user, &flags);
	SetUserIdAndSecContext(role, flags | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	settings = NewGUCNestLevel();
	step(arg);
	AtEOXact_GUC(false, settings);
	SetUserIdAndSecContext(user, flags);
}
