/*
 * Calls in the arguments of aggregates and the like.
 *
 * The scan below the node gives the child's columns at the same numbers, as
 * sorting, grouping and the chain of grouping sets refer to them, and the calls
 * after them.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "scan/lift.h"

static bool takes_arguments(const Plan *node);
static bool lift(Plan *node, SmrtStep *step);
static Node *replace_in_arguments(Node *node, SmrtRewrite *rewrite);

bool
smrt_lift_arguments(Plan *node, SmrtStep *step)
{
	bool		is_lifted = false;

	if (!takes_arguments(node))
		return false;
	/* Calls that others depend on come first, in a scan further below. */
	while (lift(node, step))
		is_lifted = true;
	return is_lifted;
}

static bool
takes_arguments(const Plan *node)
{
	return node->lefttree != NULL &&
		(IsA(node, Agg) || IsA(node, WindowAgg) || IsA(node, ProjectSet));
}

static bool
lift(Plan *node, SmrtStep *step)
{
	SmrtRewrite rewrite = {.step = step,.varno = OUTER_VAR,.keep_leaves = true};
	List	   *target_list = NIL;
	ListCell   *cell;

	rewrite.calls = smrt_callsite_find_in_arguments((Node *) list_make2(node->targetlist,
																		node->qual),
													&step->scope);
	if (rewrite.calls == NIL)
		return false;
	foreach(cell, node->lefttree->targetlist)
	{
		TargetEntry *entry = flatCopyTargetEntry(lfirst(cell));

		entry->expr = (Expr *) smrt_rewrite_column(INDEX_VAR, entry->resno,
												   (Node *) entry->expr);
		target_list = lappend(target_list, entry);
	}
	rewrite.n_columns = list_length(target_list);
	foreach(cell, rewrite.calls)
	{
		Node	   *call = (Node *) ((SmrtCallSite *) lfirst(cell))->call;
		int			number = list_length(target_list) + 1;

		target_list = lappend(target_list,
							  makeTargetEntry((Expr *) smrt_rewrite_column(INDEX_VAR, number, call),
											  number, NULL, false));
	}
	node->targetlist = (List *) replace_in_arguments((Node *) node->targetlist,
													 &rewrite);
	node->qual = (List *) replace_in_arguments((Node *) node->qual, &rewrite);
	node->lefttree = &smrt_rewrite_scan(node->lefttree, &rewrite, target_list,
										smrt_rewrite_columns_of(node->lefttree),
										0)->scan.plan;
	return true;
}

/*
 * Calls in arguments become columns of the scan below.  Elsewhere an equal call
 * is another one: it is about the group, or there is no row below.
 */
static Node *
replace_in_arguments(Node *node, SmrtRewrite *rewrite)
{
	List	  **arguments;
	Expr	  **filter;
	Node	   *new_arguments;
	Node	   *new_filter;

	if (node == NULL)
		return NULL;
	if (!smrt_callsite_takes_rows(node, &arguments, &filter))
		return expression_tree_mutator(node, replace_in_arguments, rewrite);
	new_arguments = smrt_rewrite_replace((Node *) *arguments, rewrite);
	new_filter = filter ? smrt_rewrite_replace((Node *) *filter, rewrite) : NULL;
	node = copyObject(node);
	(void) smrt_callsite_takes_rows(node, &arguments, &filter);
	*arguments = (List *) new_arguments;
	if (filter != NULL)
		*filter = (Expr *) new_filter;
	return node;
}
