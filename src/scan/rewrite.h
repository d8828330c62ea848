/*
 * Expressions of a plan node taken apart: what the node computes stays in it,
 * calls become columns of a predict scan, and what is made of both moves there.
 */
#ifndef SMRT_SCAN_REWRITE_H
#define SMRT_SCAN_REWRITE_H

#include "nodes/plannodes.h"
#include "scan/callsite.h"

/* The plan of one statement being rewritten. */
typedef struct SmrtStep
{
	SmrtCallScope scope;
	PlannedStmt *statement;
	int			next_node_id;
	bool		in_workers;		/* below a Gather */
	bool		all_wanted;		/* what is above reads all rows, or fails */
	bool		depends_on_role;	/* which calls there are */
	Cost		call_cost;		/* of nodes that called models */
} SmrtStep;

typedef struct SmrtRewrite
{
	SmrtStep   *step;
	List	   *calls;			/* of SmrtCallSite */

	/* Of rewrite.c, unless a caller of smrt_rewrite_scan() sets them. */
	List	   *leaves;			/* of Expr: what the node below gives */
	bool		same_numbers;	/* leaves are all columns of the child */
	bool		keep_leaves;	/* leaves stay what they are */
	bool		keep_calls;		/* calls stay calls */
	int			varno;			/* how columns are referred to */
	int			n_columns;		/* before those of the calls */
	List	   *target_list;	/* the node's, before it gave leaves */
} SmrtRewrite;

/*
 * Puts a scan on top of node: it computes node's target list and quals, with
 * calls as columns, of the leaves that node gives from now on.  limit as in
 * smrt_predictscan_make().
 */
extern Plan *smrt_rewrite_put_on_top(Plan *node, SmrtRewrite *rewrite,
									 List *quals, int limit);

/*
 * A scan over child, of which rewrite->n_columns columns are known by their
 * numbers; those of the calls come after them.
 */
extern CustomScan *smrt_rewrite_scan(Plan *child, SmrtRewrite *rewrite,
									 List *target_list, List *columns,
									 int limit);

/*
 * A scan over child that gives what child gives, at the same numbers, and after
 * that the calls.
 */
extern Plan *smrt_rewrite_append(Plan *child, SmrtRewrite *rewrite);

/* The child's columns as a scan over it sees them: its first columns. */
extern List *smrt_rewrite_columns_of(Plan *child);

/* Leaves and calls become columns, unless they are kept. */
extern Node *smrt_rewrite_replace(Node *node, SmrtRewrite *rewrite);

/*
 * The same where smrt_callsite_find_in_arguments() has looked.  Elsewhere an equal
 * call is another one: it is about a group, or there is no row below.
 */
extern Node *smrt_rewrite_replace_in_arguments(Node *node,
											   SmrtRewrite *rewrite);

/* A column that has of's type. */
extern Var *smrt_rewrite_column(int varno, int number, Node *of);

#endif							/* SMRT_SCAN_REWRITE_H */
