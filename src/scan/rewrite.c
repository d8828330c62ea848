/*
 * Taking expressions apart.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "pg/compat.h"
#include "scan/predictscan.h"
#include "scan/rewrite.h"

static void move_run_condition(Plan *node, SmrtRewrite *rewrite);
static Node *renumber(Node *node, SmrtRewrite *rewrite);
static List *give_leaves(Plan *node, SmrtRewrite *rewrite);
static bool find_leaves(Node *node, SmrtRewrite *rewrite);
static Node *unnest(int number, const SmrtRewrite *rewrite);
static int	number_of(Node *leaf, const SmrtRewrite *rewrite);
static int	position(List *list, Node *node);

Plan *
smrt_rewrite_put_on_top(Plan *node, SmrtRewrite *rewrite, List *quals,
						int limit)
{
	List	   *target_list;
	CustomScan *scan;

	(void) find_leaves((Node *) node->targetlist, rewrite);
	(void) find_leaves((Node *) quals, rewrite);
	rewrite->n_columns = list_length(rewrite->leaves);
	rewrite->varno = INDEX_VAR;
	target_list = (List *) smrt_rewrite_replace((Node *) node->targetlist, rewrite);
	quals = (List *) smrt_rewrite_replace((Node *) quals, rewrite);

	move_run_condition(node, rewrite);
	rewrite->varno = OUTER_VAR;
	scan = smrt_rewrite_scan(node, rewrite, target_list,
							 give_leaves(node, rewrite), limit);
	scan->scan.plan.qual = quals;
	return &scan->scan.plan;
}

CustomScan *
smrt_rewrite_scan(Plan *child, SmrtRewrite *rewrite, List *target_list,
				  List *columns, int limit)
{
	List	   *models = NIL;
	List	   *expressions = NIL;
	CustomScan *scan;
	ListCell   *cell;

	rewrite->keep_calls = true;
	foreach(cell, rewrite->calls)
	{
		SmrtCallSite *site = lfirst(cell);
		Node	   *value = smrt_rewrite_replace((Node *) site->value, rewrite);
		List	   *arguments = (List *) smrt_rewrite_replace((Node *) site->arguments,
															  rewrite);
		Node	   *guard = site->guard == NIL ? NULL :
			smrt_rewrite_replace((Node *) make_ands_explicit(site->guard), rewrite);

		columns = lappend(columns,
						  makeTargetEntry((Expr *) value,
										  list_length(columns) + 1, NULL, false));
		models = lappend(models, smrt_predictscan_model(site));
		expressions = lappend(expressions, lcons(guard, arguments));
	}
	rewrite->keep_calls = false;
	scan = smrt_predictscan_make(child, target_list, columns, rewrite->n_columns,
								 models, expressions, limit,
								 rewrite->step->all_wanted);
	scan->scan.plan.plan_node_id = rewrite->step->next_node_id++;
	/* Else workers could not tell what they have sent. */
	scan->scan.plan.parallel_aware = rewrite->step->in_workers;
	return scan;
}

Plan *
smrt_rewrite_append(Plan *child, SmrtRewrite *rewrite)
{
	List	   *target_list = NIL;
	ListCell   *cell;

	foreach(cell, child->targetlist)
	{
		TargetEntry *entry = flatCopyTargetEntry(lfirst(cell));

		entry->expr = (Expr *) smrt_rewrite_column(INDEX_VAR, entry->resno,
												   (Node *) entry->expr);
		target_list = lappend(target_list, entry);
	}
	rewrite->n_columns = list_length(target_list);
	foreach(cell, rewrite->calls)
	{
		Node	   *value = (Node *) ((SmrtCallSite *) lfirst(cell))->value;
		int			number = list_length(target_list) + 1;

		target_list = lappend(target_list,
							  makeTargetEntry((Expr *) smrt_rewrite_column(INDEX_VAR, number, value),
											  number, NULL, false));
	}
	return &smrt_rewrite_scan(child, rewrite, target_list,
							  smrt_rewrite_columns_of(child), 0)->scan.plan;
}

List *
smrt_rewrite_columns_of(Plan *child)
{
	List	   *columns = NIL;
	ListCell   *cell;

	foreach(cell, child->targetlist)
	{
		TargetEntry *entry = lfirst(cell);

		columns = lappend(columns,
						  makeTargetEntry((Expr *) smrt_rewrite_column(OUTER_VAR, entry->resno,
																	   (Node *) entry->expr),
										  entry->resno, NULL, false));
	}
	return columns;
}

/*
 * A window's run condition is about columns that the node gives: the same ones
 * by their new numbers.
 */
static void
move_run_condition(Plan *node, SmrtRewrite *rewrite)
{
	List	  **condition = smrt_run_condition(node);

	rewrite->target_list = node->targetlist;
	if (condition != NULL)
		*condition = (List *) renumber((Node *) *condition, rewrite);
}

static Node *
renumber(Node *node, SmrtRewrite *rewrite)
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
give_leaves(Plan *node, SmrtRewrite *rewrite)
{
	ListCell   *cell;

	node->targetlist = NIL;
	foreach(cell, rewrite->leaves)
		node->targetlist = lappend(node->targetlist,
								   makeTargetEntry(lfirst(cell),
												   foreach_current_index(cell) + 1,
												   NULL, false));
	return smrt_rewrite_columns_of(node);
}

static bool
find_leaves(Node *node, SmrtRewrite *rewrite)
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

Node *
smrt_rewrite_replace(Node *node, SmrtRewrite *rewrite)
{
	int			number;

	if (node == NULL)
		return NULL;
	if (smrt_callsite_leaf(node))
		return rewrite->keep_leaves ? (Node *) copyObject(node) :
			(Node *) smrt_rewrite_column(rewrite->varno, number_of(node, rewrite),
										 node);
	if (!rewrite->keep_calls && IsA(node, FuncExpr))
	{
		number = smrt_callsite_number(rewrite->calls, (FuncExpr *) node);
		if (number > 0)
			return (Node *) smrt_rewrite_column(rewrite->varno,
												rewrite->n_columns + number, node);
	}
	return expression_tree_mutator(node, smrt_rewrite_replace, rewrite);
}

Node *
smrt_rewrite_replace_in_arguments(Node *node, SmrtRewrite *rewrite)
{
	List	  **arguments;
	Expr	  **filter;
	Node	   *new_arguments;
	Node	   *new_filter;
	int			number;

	if (node == NULL)
		return NULL;
	if (!smrt_callsite_takes_rows(node, &arguments, &filter))
		return expression_tree_mutator(node, smrt_rewrite_replace_in_arguments,
									   rewrite);
	number = IsA(node, FuncExpr) ?
		smrt_callsite_number(rewrite->calls, (FuncExpr *) node) : 0;
	if (number > 0)
		return unnest(number, rewrite);
	new_arguments = smrt_rewrite_replace((Node *) *arguments, rewrite);
	new_filter = filter ? smrt_rewrite_replace((Node *) *filter, rewrite) : NULL;
	node = copyObject(node);
	(void) smrt_callsite_takes_rows(node, &arguments, &filter);
	*arguments = (List *) new_arguments;
	if (filter != NULL)
		*filter = (Expr *) new_filter;
	return node;
}

/* The set that a call gives, out of its column. */
static Node *
unnest(int number, const SmrtRewrite *rewrite)
{
	SmrtCallSite *site = list_nth(rewrite->calls, number - 1);
	Var		   *column = smrt_rewrite_column(rewrite->varno,
											 rewrite->n_columns + number,
											 (Node *) site->value);
	FuncExpr   *set = makeFuncExpr(smrt_function_unnest(),
								   site->call->funcresulttype,
								   list_make1(column), site->call->funccollid,
								   site->call->funccollid,
								   COERCE_EXPLICIT_CALL);

	set->funcretset = true;
	return (Node *) set;
}

Var *
smrt_rewrite_column(int varno, int number, Node *of)
{
	return makeVar(varno, number, exprType(of), exprTypmod(of),
				   exprCollation(of), 0);
}

static int
number_of(Node *leaf, const SmrtRewrite *rewrite)
{
	return rewrite->same_numbers ? ((Var *) leaf)->varattno :
		position(rewrite->leaves, leaf);
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
