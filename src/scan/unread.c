/*
 * Unread columns.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "pg/compat.h"
#include "scan/unread.h"

/* A subquery's columns; as pull_varattnos() numbers them. */
#define MEMBER(number) ((number) - FirstLowInvalidHeapAttributeNumber)

static void drop(Plan *plan, Bitmapset *read, SmrtStep *step);
static Bitmapset *with_sort_columns(Bitmapset *read, int n,
									const AttrNumber *columns);
static bool computes_columns(const Plan *plan);
static bool can_be_dropped(Node *expr, SmrtStep *step);
static Node *without_models(Node *node, SmrtStep *step);

void
smrt_unread_drop(SubqueryScan *node, SmrtStep *step)
{
	Bitmapset  *read = NULL;

	pull_varattnos((Node *) node->scan.plan.targetlist, node->scan.scanrelid, &read);
	pull_varattnos((Node *) node->scan.plan.qual, node->scan.scanrelid, &read);
	/* A whole row has all of them. */
	if (!bms_is_member(MEMBER(0), read))
		drop(node->subplan, read, step);
}

/* From a plan that gives the subquery's columns, of which some are read. */
static void
drop(Plan *plan, Bitmapset *read, SmrtStep *step)
{
	ListCell   *cell;

	switch (nodeTag(plan))
	{
		case T_Sort:
		case T_IncrementalSort:
			drop(plan->lefttree,
				 with_sort_columns(read, ((Sort *) plan)->numCols,
								   ((Sort *) plan)->sortColIdx), step);
			break;
		case T_Limit:
			/* WITH TIES compares them. */
			drop(plan->lefttree,
				 with_sort_columns(read, ((Limit *) plan)->uniqNumCols,
								   ((Limit *) plan)->uniqColIdx), step);
			break;
		case T_Material:
			drop(plan->lefttree, read, step);
			break;
		case T_Append:
			foreach(cell, ((Append *) plan)->appendplans)
				drop(lfirst(cell), read, step);
			break;
		default:
			if (!computes_columns(plan))
				break;
			foreach(cell, plan->targetlist)
			{
				TargetEntry *entry = lfirst(cell);

				if (!bms_is_member(MEMBER(entry->resno), read) &&
					can_be_dropped((Node *) entry->expr, step))
					entry->expr = (Expr *) makeNullConst(exprType((Node *) entry->expr),
														 exprTypmod((Node *) entry->expr),
														 exprCollation((Node *) entry->expr));
			}
	}
}

static Bitmapset *
with_sort_columns(Bitmapset *read, int n, const AttrNumber *columns)
{
	read = bms_copy(read);
	for (int i = 0; i < n; i++)
		read = bms_add_member(read, MEMBER(columns[i]));
	return read;
}

/* Nodes whose columns nothing but the parent looks at. */
static bool
computes_columns(const Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_Result:
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_SubqueryScan:
		case T_FunctionScan:
		case T_CteScan:
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
		case T_Agg:
		case T_WindowAgg:
			return true;
		default:
			return false;
	}
}

/* Whether all that is volatile in it are models that could be asked again. */
static bool
can_be_dropped(Node *expr, SmrtStep *step)
{
	return smrt_callsite_exists(expr, step->scope.language) &&
		!expression_returns_set(expr) &&
		!contain_volatile_functions(without_models(expr, step));
}

/* Calls that the role may not make are left, to be refused. */
static Node *
without_models(Node *node, SmrtStep *step)
{
	if (node == NULL)
		return NULL;
	if (smrt_callsite_is_deterministic(node, step->scope.language) &&
		smrt_function_aclcheck(((FuncExpr *) node)->funcid,
							   GetUserId()) == ACLCHECK_OK)
		return (Node *) makeNullConst(exprType(node), -1, exprCollation(node));
	return expression_tree_mutator(node, without_models, step);
}
