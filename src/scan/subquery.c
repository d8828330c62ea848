/*
 * Subqueries without FROM.
 *
 * Their plan is a Result without a child, whose parameters stand for arguments of
 * the SubPlan.  It stays in the statement, where nobody asks it any more.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "scan/callkind.h"
#include "scan/subquery.h"

static Node *inline_in(Node *node, SmrtStep *step);
static Expr *expression_of(const SubPlan *subplan, SmrtStep *step);
static Node *with_arguments(Node *node, SubPlan *subplan);

void
smrt_subquery_inline(Plan *node, SmrtStep *step)
{
	if (step->statement->subplans == NIL)
		return;
	node->targetlist = (List *) inline_in((Node *) node->targetlist, step);
	node->qual = (List *) inline_in((Node *) node->qual, step);
}

static Node *
inline_in(Node *node, SmrtStep *step)
{
	Expr	   *expr;

	if (node == NULL)
		return NULL;
	if (IsA(node, SubPlan) &&
		(expr = expression_of((SubPlan *) node, step)) != NULL)
		return inline_in(with_arguments((Node *) expr, (SubPlan *) node), step);
	return expression_tree_mutator(node, inline_in, step);
}

/* NULL: it is more than one, or calls nothing. */
static Expr *
expression_of(const SubPlan *subplan, SmrtStep *step)
{
	Plan	   *plan = list_nth(step->statement->subplans, subplan->plan_id - 1);

	/* An argument may be wanted several times. */
	if (subplan->subLinkType != EXPR_SUBLINK || subplan->useHashTable ||
		contain_volatile_functions((Node *) subplan->args))
		return NULL;
	if (plan == NULL || !IsA(plan, Result) || plan->lefttree != NULL ||
		plan->qual != NIL || plan->initPlan != NIL ||
		((Result *) plan)->resconstantqual != NULL || list_length(plan->targetlist) != 1 ||
		!smrt_callkind_exists((Node *) plan->targetlist, step->scope.language))
		return NULL;
	return linitial_node(TargetEntry, plan->targetlist)->expr;
}

static Node *
with_arguments(Node *node, SubPlan *subplan)
{
	ListCell   *number;
	ListCell   *argument;

	if (node == NULL)
		return NULL;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		forboth(number, subplan->parParam, argument, subplan->args)
			if (lfirst_int(number) == ((Param *) node)->paramid)
				return copyObject(lfirst(argument));
	return expression_tree_mutator(node, with_arguments, subplan);
}
