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
 * What is not understood is left alone: then each row is a request, which is
 * slow and right.  That goes for calls that scan/callsite.c does not find, and
 * for nodes of other kinds than those below.
 */
#include "postgres.h"

#include "commands/proclang.h"
#include "jit/jit.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "pg/compat.h"
#include "pg/settings.h"
#include "scan/batching.h"
#include "scan/callsite.h"
#include "scan/predictscan.h"

#define LANGUAGE "sagemaker"

/* Nodes must have different numbers; the planner counts its own from 0. */
#define FIRST_NODE_ID 1000000

typedef struct Step
{
	SmrtCallScope scope;
	int			next_node_id;
	Cost		call_cost;		/* of nodes that called models */
} Step;

/* Expressions of one node being taken apart. */
typedef struct Rewrite
{
	Step	   *step;
	List	   *calls;			/* of SmrtCallSite */
	List	   *leaves;			/* of Expr: what the node below gives */
	int			varno;			/* how leaves are referred to */
	bool		keep_leaves;	/* leaves stay what they are */
	bool		keep_calls;		/* calls stay calls */
	int			n_columns;		/* before those of the calls */
	List	   *target_list;	/* the node's, before it gave leaves */
} Rewrite;

static planner_hook_type previous_planner;

static PlannedStmt *plan(Query *query, const char *text, int cursor_options,
						 ParamListInfo params);
static void reconsider_jit(PlannedStmt *statement, Cost call_cost);
static void visit(Plan **node, Step *step, int limit);
static void visit_list(List *plans, Step *step);
static int	limit_of(Plan *node);
static bool can_be_split(Plan *node);
static Cost own_cost(const Plan *node);
static bool takes_arguments(Plan *node);
static bool lift_arguments(Plan *node, Step *step);
static Node *replace_in_arguments(Node *node, Rewrite *rewrite);
static Plan *split(Plan *node, Step *step, int limit);
static Plan *split_quals(Plan *node, Step *step);
static Plan *split_list(Plan *node, Step *step, int limit);
static bool may_filter(Plan *node);
static List *take_quals(Plan *node, Step *step);
static Plan *put_on_top(Plan *node, Rewrite *rewrite, List *quals, int limit);
static CustomScan *make_scan(Plan *child, Rewrite *rewrite, List *target_list,
							 List *columns, int limit);
static void move_run_condition(Plan *node, Rewrite *rewrite);
static Node *renumber(Node *node, Rewrite *rewrite);
static List *give_leaves(Plan *node, Rewrite *rewrite);
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
	PlannedStmt *statement;
	Oid			language = InvalidOid;
	Step		step = {0};

	/* The planner puts what a scrolling cursor needs on top. */
	if (smrt_settings.batch && !(cursor_options & CURSOR_OPT_SCROLL))
		language = get_language_oid(LANGUAGE, true);
	if (OidIsValid(language))
		step.scope = smrt_callsite_scope(query, language);
	statement = previous_planner ?
		previous_planner(query, text, cursor_options, params) :
		standard_planner(query, text, cursor_options, params);
	if (!OidIsValid(language))
		return statement;
	step.next_node_id = FIRST_NODE_ID;
	visit(&statement->planTree, &step, 0);
	visit_list(statement->subplans, &step);
	if (step.call_cost > 0)
		reconsider_jit(statement, step.call_cost);
	return statement;
}

/*
 * As the planner decides it, but without what predictions cost, of which
 * compiling saves nothing.
 */
static void
reconsider_jit(PlannedStmt *statement, Cost call_cost)
{
	Cost		cost = statement->planTree->total_cost - call_cost;

	if (cost <= jit_above_cost)
		statement->jitFlags = PGJIT_NONE;
	if (cost <= jit_optimize_above_cost)
		statement->jitFlags &= ~PGJIT_OPT3;
	if (cost <= jit_inline_above_cost)
		statement->jitFlags &= ~PGJIT_INLINE;
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
	Plan	   *before = *node;
	bool		is_lifted;
	Cost		cost;

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
	cost = own_cost(*node);
	is_lifted = takes_arguments(*node) && lift_arguments(*node, step);
	if (can_be_split(*node))
		*node = split(*node, step, limit);
	if (is_lifted || *node != before)
		step->call_cost += cost;
}

/* A call of a model costs more than all else that a node does with a row. */
static Cost
own_cost(const Plan *node)
{
	return node->total_cost -
		(node->lefttree ? node->lefttree->total_cost : 0) -
		(node->righttree ? node->righttree->total_cost : 0);
}

/* Nodes whose aggregates or window functions are fed by the node below. */
static bool
takes_arguments(Plan *node)
{
	if (node->lefttree == NULL)
		return false;
	/* Grouping sets sort the same input anew, each for itself. */
	return IsA(node, WindowAgg) ||
		(IsA(node, Agg) && ((Agg *) node)->chain == NIL);
}

/*
 * Calls in the arguments of aggregates are computed by a scan below the node,
 * which gives the child's columns at the same numbers and the calls after them.
 * False: there are none.
 */
static bool
lift_arguments(Plan *node, Step *step)
{
	Rewrite		rewrite = {.step = step,.varno = OUTER_VAR,.keep_leaves = true};
	List	   *target_list = NIL;
	List	   *columns = NIL;
	ListCell   *cell;

	rewrite.calls = smrt_callsite_find_in_arguments((Node *) list_make2(node->targetlist,
																		node->qual),
													&step->scope);
	if (rewrite.calls == NIL)
		return false;
	foreach(cell, node->lefttree->targetlist)
	{
		TargetEntry *entry = flatCopyTargetEntry(lfirst(cell));

		columns = lappend(columns,
						  makeTargetEntry((Expr *) column(OUTER_VAR, entry->resno,
														  (Node *) entry->expr),
										  entry->resno, NULL, false));
		entry->expr = (Expr *) column(INDEX_VAR, entry->resno,
									  (Node *) entry->expr);
		target_list = lappend(target_list, entry);
	}
	rewrite.n_columns = list_length(columns);
	foreach(cell, rewrite.calls)
	{
		Node	   *call = (Node *) ((SmrtCallSite *) lfirst(cell))->call;
		int			number = list_length(target_list) + 1;

		target_list = lappend(target_list,
							  makeTargetEntry((Expr *) column(INDEX_VAR, number, call),
											  number, NULL, false));
	}
	node->targetlist = (List *) replace_in_arguments((Node *) node->targetlist,
													 &rewrite);
	node->qual = (List *) replace_in_arguments((Node *) node->qual, &rewrite);
	node->lefttree = &make_scan(node->lefttree, &rewrite, target_list, columns,
								0)->scan.plan;
	return true;
}

/*
 * Calls in arguments become columns of the scan below.  Elsewhere an equal call
 * is another one: it is about the group, or there is no row below.
 */
static Node *
replace_in_arguments(Node *node, Rewrite *rewrite)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Aggref))
	{
		Aggref	   *aggregate = makeNode(Aggref);

		*aggregate = *(Aggref *) node;
		aggregate->args = (List *) replace((Node *) aggregate->args, rewrite);
		return (Node *) aggregate;
	}
	if (IsA(node, WindowFunc))
	{
		WindowFunc *function = makeNode(WindowFunc);

		*function = *(WindowFunc *) node;
		function->args = (List *) replace((Node *) function->args, rewrite);
		return (Node *) function;
	}
	return expression_tree_mutator(node, replace_in_arguments, rewrite);
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
	Plan	   *before;

	/* Calls that others depend on come first, in a scan below. */
	do
	{
		before = node;
		node = split_quals(before, step);
	} while (node != before);
	do
	{
		before = node;
		node = split_list(before, step, limit);
	} while (node != before);
	return node;
}

/* The node itself when there is nothing to split, like the next one. */
static Plan *
split_quals(Plan *node, Step *step)
{
	Rewrite		rewrite = {.step = step};
	List	   *quals = may_filter(node) ? take_quals(node, step) : NIL;

	if (quals == NIL)
		return node;
	rewrite.calls = smrt_callsite_find(linitial(quals), &step->scope);
	if (rewrite.calls != NIL)
		return put_on_top(node, &rewrite, quals, 0);
	node->qual = list_concat(node->qual, quals);
	return node;
}

static Plan *
split_list(Plan *node, Step *step, int limit)
{
	Rewrite		rewrite = {.step = step};

	rewrite.calls = smrt_callsite_find((Node *) node->targetlist, &step->scope);
	return rewrite.calls == NIL ? node :
		put_on_top(node, &rewrite, NIL, limit);
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
		if (taken != NIL || smrt_callsite_exists(lfirst(cell), step->scope.language))
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
	List	   *target_list;
	CustomScan *scan;

	(void) find_leaves((Node *) node->targetlist, rewrite);
	(void) find_leaves((Node *) quals, rewrite);
	rewrite->n_columns = list_length(rewrite->leaves);
	rewrite->varno = INDEX_VAR;
	target_list = (List *) replace((Node *) node->targetlist, rewrite);
	quals = (List *) replace((Node *) quals, rewrite);

	move_run_condition(node, rewrite);
	rewrite->varno = OUTER_VAR;
	scan = make_scan(node, rewrite, target_list, give_leaves(node, rewrite), limit);
	scan->scan.plan.qual = quals;
	return &scan->scan.plan;
}

/* The calls are columns after those that are the child's. */
static CustomScan *
make_scan(Plan *child, Rewrite *rewrite, List *target_list, List *columns,
		  int limit)
{
	List	   *models = NIL;
	List	   *expressions = NIL;
	CustomScan *scan;
	ListCell   *cell;

	rewrite->keep_calls = true;
	foreach(cell, rewrite->calls)
	{
		SmrtCallSite *site = lfirst(cell);
		Node	   *call = replace((Node *) site->call, rewrite);
		List	   *arguments = (List *) replace((Node *) site->arguments, rewrite);
		Node	   *guard = site->guard == NIL ? NULL :
			replace((Node *) make_ands_explicit(site->guard), rewrite);

		columns = lappend(columns,
						  makeTargetEntry((Expr *) call,
										  list_length(columns) + 1, NULL, false));
		models = lappend(models, smrt_predictscan_model(site->call->funcid,
														site->endpoint,
														site->max_rows));
		expressions = lappend(expressions, lcons(guard, arguments));
	}
	scan = smrt_predictscan_make(child, target_list, columns, rewrite->n_columns,
								 models, expressions, limit);
	scan->scan.plan.plan_node_id = rewrite->step->next_node_id++;
	return scan;
}

/*
 * A window's run condition is about columns that the node gives: the same ones
 * by their new numbers.
 */
static void
move_run_condition(Plan *node, Rewrite *rewrite)
{
	List	  **condition = smrt_run_condition(node);

	rewrite->target_list = node->targetlist;
	if (condition != NULL)
		*condition = (List *) renumber((Node *) *condition, rewrite);
}

static Node *
renumber(Node *node, Rewrite *rewrite)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = copyObject((Var *) node);
		TargetEntry *entry = list_nth(rewrite->target_list, var->varattno - 1);

		var->varattno = position(rewrite->leaves, (Node *) entry->expr);
		if (var->varattno == 0)
			elog(ERROR, "run condition on a column that is no window function");
		return (Node *) var;
	}
	return expression_tree_mutator(node, renumber, rewrite);
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

static bool
find_leaves(Node *node, Rewrite *rewrite)
{
	if (node == NULL)
		return false;
	if (smrt_callsite_leaf(node))
	{
		rewrite->leaves = list_append_unique(rewrite->leaves, node);
		return false;
	}
	return expression_tree_walker(node, find_leaves, rewrite);
}

/* Leaves and calls become columns, unless they are kept. */
static Node *
replace(Node *node, Rewrite *rewrite)
{
	int			number;

	if (node == NULL)
		return NULL;
	if (smrt_callsite_leaf(node))
		return rewrite->keep_leaves ? (Node *) copyObject(node) :
			(Node *) column(rewrite->varno, position(rewrite->leaves, node), node);
	if (!rewrite->keep_calls && IsA(node, FuncExpr))
	{
		number = smrt_callsite_number(rewrite->calls, (FuncExpr *) node);
		if (number > 0)
			return (Node *) column(rewrite->varno,
								   rewrite->n_columns + number, node);
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
