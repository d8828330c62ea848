/*
 * Rewriting finished plans.
 *
 * Where a node's target list calls a model function, that node is made to give
 * the values that the list is made of (its leaves) instead, and a predict scan
 * on top computes the list, with each call as a column.  The parents see the
 * same columns at the same places.
 *
 * Quals are never reordered: the first one that calls a model and all after it
 * move up together, into a scan of their own, below the one for the list.
 *
 * A call that not every row reaches (in CASE, COALESCE, AND, OR) has a guard: the
 * conditions under which the expression around it would get there.  The scan
 * asks it first, and neither evaluates the arguments of a row nor sends it where
 * the guard says no.
 *
 * What is not understood is left alone: then each row is a request, which is
 * slow and right.  Left alone are calls whose arguments or guard call something
 * volatile or another model, functions that are SECURITY DEFINER or have a SET
 * clause, the arguments of aggregates and window functions, and nodes of other
 * kinds than those below.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "commands/proclang.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "pg/compat.h"
#include "pg/settings.h"
#include "scan/batching.h"
#include "scan/predictscan.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define LANGUAGE "sagemaker"

typedef struct Step
{
	Oid			language;
	int			next_node_id;
} Step;

/* A call that becomes a column. */
typedef struct CallSite
{
	FuncExpr   *call;
	List	   *guard;			/* of Expr, all true for rows that get there */
} CallSite;

/* Expressions of one node being taken apart. */
typedef struct Rewrite
{
	Step	   *step;
	List	   *guard;			/* of where we are */
	List	   *calls;			/* of CallSite */
	List	   *leaves;			/* of Expr: what the node below gives */
	int			varno;			/* how leaves are referred to */
	bool		keep_calls;		/* calls stay calls */
} Rewrite;

static planner_hook_type previous_planner;

static PlannedStmt *plan(Query *query, const char *text, int cursor_options,
						 ParamListInfo params);
static int	last_node_id(PlannedStmt *statement);
static int	last_id_of(Plan *node);
static void visit(Plan **node, Step *step, int limit);
static void visit_list(List *plans, Step *step);
static int	limit_of(Plan *node);
static bool can_be_split(Plan *node);
static Plan *split(Plan *node, Step *step, int limit);
static bool may_filter(Plan *node);
static List *take_quals(Plan *node, Step *step);
static Plan *put_on_top(Plan *node, Rewrite *rewrite, List *quals, int limit);
static List *give_leaves(Plan *node, Rewrite *rewrite);
static bool find_calls(Node *node, Rewrite *rewrite);
static void find_in_case(CaseExpr *expr, Rewrite *rewrite);
static void find_in_turn(List *arguments, Rewrite *rewrite,
						 Expr *(*passed_over) (Expr *argument));
static Expr *is_null(Expr *argument);
static Expr *is_not_true(Expr *argument);
static Expr *is_not_false(Expr *argument);
static Expr *boolean_test(Expr *argument, BoolTestType type);
static void add_call(FuncExpr *call, Rewrite *rewrite);
static int	call_number(List *calls, Node *node);
static bool is_model_call(Node *node, Step *step);
static bool can_be_column(FuncExpr *call, List *guard, Step *step);
static bool calls_model(Node *node, Step *step);
static bool is_leaf(Node *node);
static bool find_leaves(Node *node, Rewrite *rewrite);
static Node *replace(Node *node, Rewrite *rewrite);
static Var *column(int varno, int number, Node *of);
static int	position(List *list, Node *node);

void
smrt_batching_install(void)
{
	previous_planner = planner_hook;
	planner_hook = plan;
}

static PlannedStmt *
plan(Query *query, const char *text, int cursor_options, ParamListInfo params)
{
	PlannedStmt *statement = previous_planner ?
		previous_planner(query, text, cursor_options, params) :
		standard_planner(query, text, cursor_options, params);
	Step		step;

	/* The planner has put what a scrolling cursor needs on top already. */
	if (!smrt_settings.batch || (cursor_options & CURSOR_OPT_SCROLL))
		return statement;
	step.language = get_language_oid(LANGUAGE, true);
	if (!OidIsValid(step.language))
		return statement;
	step.next_node_id = last_node_id(statement) + 1;
	visit(&statement->planTree, &step, 0);
	visit_list(statement->subplans, &step);
	return statement;
}

static int
last_node_id(PlannedStmt *statement)
{
	int			last = last_id_of(statement->planTree);
	ListCell   *cell;

	foreach(cell, statement->subplans)
		last = Max(last, last_id_of(lfirst(cell)));
	return last;
}

static int
last_id_of(Plan *node)
{
	List	   *children = NIL;
	ListCell   *cell;
	int			last;

	if (node == NULL)
		return 0;
	last = Max(node->plan_node_id, Max(last_id_of(node->lefttree),
									   last_id_of(node->righttree)));
	if (IsA(node, Append))
		children = ((Append *) node)->appendplans;
	else if (IsA(node, MergeAppend))
		children = ((MergeAppend *) node)->mergeplans;
	else if (IsA(node, BitmapAnd))
		children = ((BitmapAnd *) node)->bitmapplans;
	else if (IsA(node, BitmapOr))
		children = ((BitmapOr *) node)->bitmapplans;
	else if (IsA(node, SubqueryScan))
		children = list_make1(((SubqueryScan *) node)->subplan);
	else if (IsA(node, CustomScan))
		children = ((CustomScan *) node)->custom_plans;
	else if (IsA(node, ModifyTable) && smrt_modify_plans(node) != NULL)
		children = *smrt_modify_plans(node);
	foreach(cell, children)
		last = Max(last, last_id_of(lfirst(cell)));
	return last;
}

static void
visit_list(List *plans, Step *step)
{
	ListCell   *cell;

	foreach(cell, plans)
		visit((Plan **) &lfirst(cell), step, 0);
}

/* Bottom up; limit is the number of rows that the parent wants, 0: all. */
static void
visit(Plan **node, Step *step, int limit)
{
	if (*node == NULL)
		return;
	visit(&(*node)->lefttree, step, limit_of(*node));
	/* A merge join goes back in its inner side, which we cannot. */
	if (!IsA(*node, MergeJoin))
		visit(&(*node)->righttree, step, 0);
	switch (nodeTag(*node))
	{
		case T_Append:
			visit_list(((Append *) *node)->appendplans, step);
			break;
		case T_MergeAppend:
			visit_list(((MergeAppend *) *node)->mergeplans, step);
			break;
		case T_SubqueryScan:
			visit(&((SubqueryScan *) *node)->subplan, step, 0);
			break;
		case T_ModifyTable:
			if (smrt_modify_plans(*node) != NULL)
				visit_list(*smrt_modify_plans(*node), step);
			break;
		default:
			break;
	}
	if (can_be_split(*node))
		*node = split(*node, step, limit);
}

static int
limit_of(Plan *node)
{
	Limit	   *limit = (Limit *) node;
	Const	   *count;
	int64		rows;

	if (!IsA(node, Limit) || limit->limitCount == NULL ||
		!IsA(limit->limitCount, Const) ||
		(limit->limitOffset != NULL && !IsA(limit->limitOffset, Const)))
		return 0;
	count = (Const *) limit->limitCount;
	if (count->constisnull)
		return 0;
	rows = DatumGetInt64(count->constvalue);
	if (limit->limitOffset != NULL && !((Const *) limit->limitOffset)->constisnull)
		rows += DatumGetInt64(((Const *) limit->limitOffset)->constvalue);
	return rows > 0 && rows < 1000000 ? (int) rows : 0;
}

/* Nodes that compute a target list, and may compute another one. */
static bool
can_be_split(Plan *node)
{
	switch (nodeTag(node))
	{
		case T_Result:
			/* Without a child it may be what PL/pgSQL takes for an expression. */
			return node->lefttree != NULL;
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_SubqueryScan:
		case T_FunctionScan:
		case T_TableFuncScan:
		case T_ValuesScan:
		case T_CteScan:
		case T_NamedTuplestoreScan:
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
		case T_Agg:
		case T_Group:
		case T_WindowAgg:
		case T_Gather:
		case T_GatherMerge:
			return true;
		default:
			return false;
	}
}

static Plan *
split(Plan *node, Step *step, int limit)
{
	Rewrite		of_quals = {.step = step};
	Rewrite		of_list = {.step = step};
	List	   *quals = may_filter(node) ? take_quals(node, step) : NIL;

	if (quals != NIL)
	{
		(void) find_calls(linitial(quals), &of_quals);
		if (of_quals.calls == NIL)
			node->qual = list_concat(node->qual, quals);
		else
			node = put_on_top(node, &of_quals, quals, 0);
	}
	(void) find_calls((Node *) node->targetlist, &of_list);
	if (of_list.calls != NIL)
		node = put_on_top(node, &of_list, NIL, limit);
	return node;
}

/* Whose qual is a mere filter of what it would give. */
static bool
may_filter(Plan *node)
{
	return node->qual != NIL && !IsA(node, WindowAgg);
}

/* The first qual that calls a model and all after it, taken from the node. */
static List *
take_quals(Plan *node, Step *step)
{
	List	   *stay = NIL;
	List	   *taken = NIL;
	ListCell   *cell;

	foreach(cell, node->qual)
		if (taken != NIL || calls_model(lfirst(cell), step))
			taken = lappend(taken, lfirst(cell));
		else
			stay = lappend(stay, lfirst(cell));
	node->qual = stay;
	return taken;
}

/*
 * The node gives leaves from now on; what it gave before, and the quals, are
 * computed by the scan on top.
 */
static Plan *
put_on_top(Plan *node, Rewrite *rewrite, List *quals, int limit)
{
	List	   *columns;
	List	   *functions = NIL;
	List	   *expressions = NIL;
	List	   *target_list;
	CustomScan *scan;
	ListCell   *cell;

	(void) find_leaves((Node *) node->targetlist, rewrite);
	(void) find_leaves((Node *) quals, rewrite);
	rewrite->varno = INDEX_VAR;
	target_list = (List *) replace((Node *) node->targetlist, rewrite);
	quals = (List *) replace((Node *) quals, rewrite);

	rewrite->varno = OUTER_VAR;
	rewrite->keep_calls = true;
	columns = give_leaves(node, rewrite);
	foreach(cell, rewrite->calls)
	{
		CallSite   *site = lfirst(cell);
		FuncExpr   *call = (FuncExpr *) replace((Node *) site->call, rewrite);
		Node	   *guard = site->guard == NIL ? NULL :
			replace((Node *) make_ands_explicit(site->guard), rewrite);

		columns = lappend(columns,
						  makeTargetEntry((Expr *) call,
										  list_length(columns) + 1, NULL, false));
		functions = lappend_oid(functions, call->funcid);
		expressions = lappend(expressions, lcons(guard, list_copy(call->args)));
	}
	scan = smrt_predictscan_make(node, target_list, columns,
								 list_length(rewrite->leaves), functions,
								 expressions, limit);
	scan->scan.plan.qual = quals;
	scan->scan.plan.plan_node_id = rewrite->step->next_node_id++;
	return &scan->scan.plan;
}

/* The same columns as the scan on top sees them. */
static List *
give_leaves(Plan *node, Rewrite *rewrite)
{
	List	   *columns = NIL;
	ListCell   *cell;

	node->targetlist = NIL;
	foreach(cell, rewrite->leaves)
	{
		Expr	   *leaf = lfirst(cell);
		int			number = foreach_current_index(cell) + 1;

		node->targetlist = lappend(node->targetlist,
								   makeTargetEntry(leaf, number, NULL, false));
		columns = lappend(columns,
						  makeTargetEntry((Expr *) column(OUTER_VAR, number,
														  (Node *) leaf),
										  number, NULL, false));
	}
	return columns;
}

/* Calls that can become columns, each with its guard. */
static bool
find_calls(Node *node, Rewrite *rewrite)
{
	if (node == NULL || is_leaf(node))
		return false;
	if (is_model_call(node, rewrite->step))
	{
		add_call((FuncExpr *) node, rewrite);
		return false;
	}
	switch (nodeTag(node))
	{
		case T_CaseExpr:
			find_in_case((CaseExpr *) node, rewrite);
			return false;
		case T_CoalesceExpr:
			find_in_turn(((CoalesceExpr *) node)->args, rewrite, is_null);
			return false;
		case T_BoolExpr:
			if (((BoolExpr *) node)->boolop == NOT_EXPR)
				break;
			find_in_turn(((BoolExpr *) node)->args, rewrite,
						 ((BoolExpr *) node)->boolop == AND_EXPR ?
						 is_not_false : is_not_true);
			return false;
		default:
			break;
	}
	return expression_tree_walker(node, find_calls, rewrite);
}

static void
find_in_case(CaseExpr *expr, Rewrite *rewrite)
{
	List	   *guard = rewrite->guard;
	ListCell   *cell;

	/* CASE x WHEN ...: its conditions make sense inside it only. */
	if (expr->arg != NULL)
	{
		(void) find_calls((Node *) expr->arg, rewrite);
		return;
	}
	foreach(cell, expr->args)
	{
		CaseWhen   *when = lfirst(cell);
		List	   *here = rewrite->guard;

		(void) find_calls((Node *) when->expr, rewrite);
		rewrite->guard = lappend(list_copy(here), when->expr);
		(void) find_calls((Node *) when->result, rewrite);
		rewrite->guard = lappend(list_copy(here), is_not_true(when->expr));
	}
	(void) find_calls((Node *) expr->defresult, rewrite);
	rewrite->guard = guard;
}

/* Arguments of which each is reached only if all before it were passed over. */
static void
find_in_turn(List *arguments, Rewrite *rewrite,
			 Expr *(*passed_over) (Expr *argument))
{
	List	   *guard = rewrite->guard;
	ListCell   *cell;

	foreach(cell, arguments)
	{
		(void) find_calls(lfirst(cell), rewrite);
		rewrite->guard = lappend(list_copy(rewrite->guard),
								 passed_over(lfirst(cell)));
	}
	rewrite->guard = guard;
}

static Expr *
is_null(Expr *argument)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = argument;
	test->nulltesttype = IS_NULL;
	test->location = -1;
	return (Expr *) test;
}

static Expr *
is_not_true(Expr *argument)
{
	return boolean_test(argument, IS_NOT_TRUE);
}

static Expr *
is_not_false(Expr *argument)
{
	return boolean_test(argument, IS_NOT_FALSE);
}

static Expr *
boolean_test(Expr *argument, BoolTestType type)
{
	BooleanTest *test = makeNode(BooleanTest);

	test->arg = argument;
	test->booltesttype = type;
	test->location = -1;
	return (Expr *) test;
}

static void
add_call(FuncExpr *call, Rewrite *rewrite)
{
	CallSite   *site;

	if (!can_be_column(call, rewrite->guard, rewrite->step))
		return;
	site = palloc(sizeof(CallSite));
	site->call = call;
	site->guard = rewrite->guard;
	if (call_number(rewrite->calls, (Node *) call) == 0)
		rewrite->calls = lappend(rewrite->calls, site);
}

/*
 * From 1; 0: it is none of them.  Two calls are one only if they stand at one
 * place of the statement, as the copies that (f(x)).* makes do: a model may
 * answer differently each time.
 */
static int
call_number(List *calls, Node *node)
{
	ListCell   *cell;

	foreach(cell, calls)
	{
		CallSite   *site = lfirst(cell);

		if ((Node *) site->call == node ||
			(site->guard == NIL && site->call->location >= 0 &&
			 site->call->location == ((FuncExpr *) node)->location &&
			 equal(site->call, node)))
			return foreach_current_index(cell) + 1;
	}
	return 0;
}

static bool
is_model_call(Node *node, Step *step)
{
	HeapTuple	tuple;
	bool		is_model;

	if (!IsA(node, FuncExpr))
		return false;
	tuple = SearchSysCache1(PROCOID,
							ObjectIdGetDatum(((FuncExpr *) node)->funcid));
	if (!HeapTupleIsValid(tuple))
		return false;
	is_model = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == step->language;
	ReleaseSysCache(tuple);
	return is_model;
}

static bool
can_be_column(FuncExpr *call, List *guard, Step *step)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->funcid));
	bool		changes_identity;

	if (!HeapTupleIsValid(tuple))
		return false;
	changes_identity = ((Form_pg_proc) GETSTRUCT(tuple))->prosecdef ||
		!heap_attisnull(tuple, Anum_pg_proc_proconfig, NULL);
	ReleaseSysCache(tuple);
	/* Models are volatile, so this finds nested calls too. */
	return !changes_identity && !call->funcretset &&
		!contain_volatile_functions((Node *) call->args) &&
		!contain_volatile_functions((Node *) guard);
}

static bool
calls_model(Node *node, Step *step)
{
	if (node == NULL)
		return false;
	if (is_model_call(node, step))
		return true;
	return expression_tree_walker(node, calls_model, step);
}

/* What only the node itself can compute. */
static bool
is_leaf(Node *node)
{
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Aggref:
		case T_GroupingFunc:
		case T_WindowFunc:
		case T_SubPlan:
		case T_AlternativeSubPlan:
			return true;
		default:
			return false;
	}
}

static bool
find_leaves(Node *node, Rewrite *rewrite)
{
	if (node == NULL)
		return false;
	if (is_leaf(node))
	{
		rewrite->leaves = list_append_unique(rewrite->leaves, node);
		return false;
	}
	return expression_tree_walker(node, find_leaves, rewrite);
}

/* Leaves, and calls unless they are kept, become columns. */
static Node *
replace(Node *node, Rewrite *rewrite)
{
	int			number;

	if (node == NULL)
		return NULL;
	if (is_leaf(node))
		return (Node *) column(rewrite->varno,
							   position(rewrite->leaves, node), node);
	if (!rewrite->keep_calls && is_model_call(node, rewrite->step))
	{
		number = call_number(rewrite->calls, node);
		if (number > 0)
			return (Node *) column(rewrite->varno,
								   list_length(rewrite->leaves) + number, node);
	}
	return expression_tree_mutator(node, replace, rewrite);
}

static Var *
column(int varno, int number, Node *of)
{
	return makeVar(varno, number, exprType(of), exprTypmod(of),
				   exprCollation(of), 0);
}

/* From 1; 0: not in it. */
static int
position(List *list, Node *node)
{
	ListCell   *cell;

	foreach(cell, list)
		if (equal(lfirst(cell), node))
			return foreach_current_index(cell) + 1;
	return 0;
}
