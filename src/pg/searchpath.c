/*
 * Pinning search_path.
 */
#include "postgres.h"

#include "pg/compat.h"
#include "pg/searchpath.h"

static void pin(GucAction action);

int
smrt_searchpath_pin(void)
{
	int			pinned = NewGUCNestLevel();

	pin(GUC_ACTION_SAVE);
	return pinned;
}

void
smrt_searchpath_restore(int pinned)
{
	AtEOXact_GUC(true, pinned);
}

void
smrt_searchpath_pin_transaction(void)
{
	pin(GUC_ACTION_LOCAL);
}

/* pg_temp is named, else it would come first. */
static void
pin(GucAction action)
{
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, action, true, 0, false);
}
