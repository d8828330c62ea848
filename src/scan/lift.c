/*
 * Calls in the arguments of aggregates and the like, and sets.
 *
 * The scan below the node gives the child's columns at the same numbers, as
 * sorting, grouping and the chain of grouping sets refer to them, and the calls
 * after them.
 */
#include "postgres.h"

#include "scan/lift.h"

static bool takes_arguments(const Plan *node);
static bool lift(Plan *node, SmrtStep *step);

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

	rewrite.calls = smrt_callsite_find_in_arguments((Node *) list_make2(node->targetlist,
																		node->qual),
													&step->scope);
	if (rewrite.calls == NIL)
		return false;
	node->lefttree = smrt_rewrite_append(node->lefttree, &rewrite);
	node->targetlist = (List *)
		smrt_rewrite_replace_in_arguments((Node *) node->targetlist, &rewrite);
	node->qual = (List *)
		smrt_rewrite_replace_in_arguments((Node *) node->qual, &rewrite);
	return true;
}
