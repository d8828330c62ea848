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
#include "scan/callkind.h"
#include "scan/unread.h"

/* A column's number, as pull_varattnos() has it. */
#define MEMBER(number) ((number) - FirstLowInvalidHeapAttributeNumber)

/* Scans of a CTE. */
typedef struct Readers
{
	int			number;			/* of its subplan */
	int			count;
	Bitmapset  *read;
} Readers;

static void drop_in_join(Join *join, SmrtStep *step);
static void find_readers(Plan *node, Readers *readers);
static void find_in_list(List *plans, Readers *readers);
static void drop(Plan *plan, Bitmapset *read, SmrtStep *step);
static void drop_in_subquery(SubqueryScan *node, List *entries, SmrtStep *step);
static Bitmapset *columns_read(int varno, List *target_list, List *quals);
static Bitmapset *with_columns(Bitmapset *read, int n,
							   const AttrNumber *columns);
static bool computes_columns(Plan *plan);
static bool can_be_dropped(Node *expr, SmrtStep *step);
static Node *without_models(Node *node, SmrtStep *step);

void
smrt_unread_drop(Plan *node, SmrtStep *step)
{
	if (IsA(node, SubqueryScan))
		drop_in_subquery((SubqueryScan *) node, node->targetlist, step);
	else if (IsA(node, Agg) && ((Agg *) node)->chain == NIL)
		drop(node->lefttree,
			 with_columns(columns_read(OUTER_VAR, node->targetlist, node->qual),
						  ((Agg *) node)->numCols, ((Agg *) node)->grpColIdx), step);
	else if (IsA(node, NestLoop) || IsA(node, MergeJoin) || IsA(node, HashJoin))
		drop_in_join((Join *) node, step);
}

/* Scans below a join give whatever they have, if that needs no projection. */
static void
drop_in_join(Join *join, SmrtStep *step)
{
	List	   *clauses = list_concat_copy(join->joinqual, join->plan.qual);
	ListCell   *cell;

	if (IsA(join, MergeJoin))
		clauses = list_concat(clauses, ((MergeJoin *) join)->mergeclauses);
	if (IsA(join, HashJoin))
		clauses = list_concat(clauses, ((HashJoin *) join)->hashclauses);
	if (IsA(join, NestLoop))
		foreach(cell, ((NestLoop *) join)->nestParams)
			clauses = lappend(clauses, ((NestLoopParam *) lfirst(cell))->paramval);
	drop(join->plan.lefttree,
		 columns_read(OUTER_VAR, join->plan.targetlist, clauses), step);
	drop(join->plan.righttree,
		 columns_read(INNER_VAR, join->plan.targetlist, clauses), step);
}

void
smrt_unread_drop_in_cte(int number, SmrtStep *step)
{
	List	   *subplans = step->statement->subplans;
	Readers		readers = {.number = number};

	find_readers(step->statement->planTree, &readers);
	find_in_list(subplans, &readers);
	if (readers.count > 0)
		drop(list_nth(subplans, number - 1), readers.read, step);
}

/* In all nodes that there are, or else a column would be NULL that is read. */
static void
find_readers(Plan *node, Readers *readers)
{
	if (node == NULL)
		return;
	if (IsA(node, CteScan) && ((CteScan *) node)->ctePlanId == readers->number)
	{
		readers->count++;
		readers->read = bms_join(readers->read,
								 columns_read(((Scan *) node)->scanrelid,
											  node->targetlist, node->qual));
	}
	find_readers(node->lefttree, readers);
	find_readers(node->righttree, readers);
	switch (nodeTag(node))
	{
		case T_Append:
			find_in_list(((Append *) node)->appendplans, readers);
			break;
		case T_MergeAppend:
			find_in_list(((MergeAppend *) node)->mergeplans, readers);
			break;
		case T_SubqueryScan:
			find_readers(((SubqueryScan *) node)->subplan, readers);
			break;
		case T_CustomScan:
			find_in_list(((CustomScan *) node)->custom_plans, readers);
			break;
		case T_ModifyTable:
			if (smrt_modify_plans(node) != NULL)
				find_in_list(*smrt_modify_plans(node), readers);
			break;
		default:
			break;
	}
}

static void
find_in_list(List *plans, Readers *readers)
{
	ListCell   *cell;

	foreach(cell, plans)
		find_readers(lfirst(cell), readers);
}

static void
drop_in_subquery(SubqueryScan *node, List *entries, SmrtStep *step)
{
	drop(node->subplan,
		 columns_read(node->scan.scanrelid, entries, node->scan.plan.qual), step);
}

static Bitmapset *
columns_read(int varno, List *target_list, List *quals)
{
	Bitmapset  *read = NULL;

	pull_varattnos((Node *) target_list, varno, &read);
	pull_varattnos((Node *) quals, varno, &read);
	return read;
}

/* From a plan that gives columns of which some are read. */
static void
drop(Plan *plan, Bitmapset *read, SmrtStep *step)
{
	List	   *entries = NIL;
	ListCell   *cell;

	/* A whole row has all of them. */
	if (bms_is_member(MEMBER(0), read))
		return;
	switch (nodeTag(plan))
	{
		case T_Sort:
		case T_IncrementalSort:
			drop(plan->lefttree,
				 with_columns(read, ((Sort *) plan)->numCols,
							  ((Sort *) plan)->sortColIdx), step);
			return;
		case T_Limit:
			/* WITH TIES compares them. */
			drop(plan->lefttree,
				 with_columns(read, ((Limit *) plan)->uniqNumCols,
							  ((Limit *) plan)->uniqColIdx), step);
			return;
		case T_Material:
			drop(plan->lefttree, read, step);
			return;
		case T_Append:
			foreach(cell, ((Append *) plan)->appendplans)
				drop(lfirst(cell), read, step);
			return;
		default:
			if (!computes_columns(plan))
				return;
	}
	foreach(cell, plan->targetlist)
	{
		TargetEntry *entry = lfirst(cell);
		Node	   *expr = (Node *) entry->expr;

		if (bms_is_member(MEMBER(entry->resno), read))
			entries = lappend(entries, entry);
		else if (can_be_dropped(expr, step) || (IsA(plan, CteScan) && IsA(expr, Var)))
			entry->expr = (Expr *) makeNullConst(exprType(expr), exprTypmod(expr),
												 exprCollation(expr));
	}
	if (IsA(plan, SubqueryScan))
		drop_in_subquery((SubqueryScan *) plan, entries, step);
}

static Bitmapset *
with_columns(Bitmapset *read, int n, const AttrNumber *columns)
{
	read = bms_copy(read);
	for (int i = 0; i < n; i++)
		read = bms_add_member(read, MEMBER(columns[i]));
	return read;
}

/* Nodes whose columns nothing but the parent looks at. */
static bool
computes_columns(Plan *plan)
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
			return true;
		case T_WindowAgg:
			return smrt_run_condition(plan) == NULL ||
				*smrt_run_condition(plan) == NIL;
		default:
			return false;
	}
}

/* Whether all that is volatile in it are models that could be asked again. */
static bool
can_be_dropped(Node *expr, SmrtStep *step)
{
	return smrt_callkind_exists(expr, step->scope.language) &&
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
	{
		step->depends_on_role = true;
		return (Node *) makeNullConst(exprType(node), -1, exprCollation(node));
	}
	return expression_tree_mutator(node, without_models, step);
}
