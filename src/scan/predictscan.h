/*
 * The plan node that predicts many rows at a time, and its place in a plan.
 */
#ifndef SMRT_SCAN_PREDICTSCAN_H
#define SMRT_SCAN_PREDICTSCAN_H

#include "nodes/plannodes.h"

/* What custom_private holds. */
typedef enum SmrtScanPrivate
{
	SMRT_SCAN_N_CHILD_COLUMNS,	/* Integer: columns that the child gives */
	SMRT_SCAN_MODELS,			/* List of what smrt_predictscan_model() makes */
	SMRT_SCAN_LIMIT,			/* Integer: rows that are wanted at most; 0: all */
	SMRT_SCAN_PRIVATE_COUNT
} SmrtScanPrivate;

/* Makes the node known under its name, for plans that go to parallel workers. */
extern void smrt_predictscan_register(void);

/*
 * Which model a call is of: a model function, or else an endpoint, with a limit
 * of rows in a request (0: the default).  The function is whose EXECUTE counts.
 */
extern List *smrt_predictscan_model(Oid function, const char *endpoint,
									int max_rows);

/*
 * A node on top of child.  columns is its custom_scan_tlist: what the child
 * gives, then the calls; expressions has a list for each call, over the child's
 * columns: its guard (NULL: none), then its arguments.
 */
extern CustomScan *smrt_predictscan_make(Plan *child, List *target_list,
										 List *columns, int n_child_columns,
										 List *models, List *expressions,
										 int limit);

#endif							/* SMRT_SCAN_PREDICTSCAN_H */
