/*
 * Pinning search_path.
 */
#include "postgres.h"

#include "pg/compat.h"
#include "pg/searchpath.h"

/* pg_temp is named, else it would come first. */
int
smrt_searchpath_pin(void)
{
	int			pinned = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return pinned;
}

void
smrt_searchpath_restore(int pinned)
{
	AtEOXact_GUC(true, pinned);
}
