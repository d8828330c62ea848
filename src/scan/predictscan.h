/*
 * The plan node that predicts many rows at a time, and its place in a plan.
 */
#ifndef SMRT_SCAN_PREDICTSCAN_H
#define SMRT_SCAN_PREDICTSCAN_H

#include "nodes/plannodes.h"
#include "scan/callsite.h"

/* What custom_private holds. */
typedef enum SmrtScanPrivate
{
	SMRT_SCAN_N_CHILD_COLUMNS,	/* Integer: columns that the child gives */
	SMRT_SCAN_MODELS,			/* List of what smrt_predictscan_model() makes */
	SMRT_SCAN_LIMIT,			/* Integer: rows that are wanted at most; 0: all */
	SMRT_SCAN_ALL_WANTED,		/* Integer: nobody will stop before the end */
	SMRT_SCAN_PRIVATE_COUNT
} SmrtScanPrivate;

/* Makes the node known under its name, for plans that go to parallel workers. */
extern void smrt_predictscan_register(void);

/*
 * What a call is of: a list of the function, whose EXECUTE counts, and what
 * smrt_callsite_find() found out about it.
 */
typedef enum SmrtScanModel
{
	SMRT_MODEL_FUNCTION,		/* Const of type oid */
	SMRT_MODEL_ENDPOINT,		/* String; "": the function is declared */
	SMRT_MODEL_MAX_ROWS,		/* Integer; 0: the default */
	SMRT_MODEL_IS_INVOKE		/* Integer */
} SmrtScanModel;

extern List *smrt_predictscan_model(const SmrtCallSite *site);

/*
 * A node on top of child.  columns is its custom_scan_tlist: what the child
 * gives, then the calls; expressions has a list for each call, over the child's
 * columns: its guard (NULL: none), then its arguments.
 */
extern CustomScan *smrt_predictscan_make(Plan *child, List *target_list,
										 List *columns, int n_child_columns,
										 List *models, List *expressions,
										 int limit, bool all_wanted);

#endif							/* SMRT_SCAN_PREDICTSCAN_H */
