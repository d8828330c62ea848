/*
 * Of VALUES (1, f(10)), (2, f(20)), (3, 0) is made
 *
 *     SELECT c1, CASE WHEN c3 THEN f(c4) ELSE c2 END
 *     FROM (VALUES (1, NULL, true, 10), (2, NULL, true, 20), (3, 0, false, NULL))
 *
 * Rows count as having the same call in a column when their expressions there
 * differ in nothing but the call's arguments.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "scan/valueslist.h"

/* A column in which rows have calls. */
typedef struct Spread
{
	ValuesScan *node;
	int			number;			/* of the column, from 1 */
	int			n_columns;		/* before those that are added */
	Node	   *shape;			/* the expression, over added columns */
	FuncExpr   *call;			/* in the row at hand */
	int			n_fixed;		/* leading arguments that stay in it */
	Node	   *replacement;	/* of the column in expressions above */
} Spread;

static void spread_column(Spread *spread, SmrtStep *step);
static List *arguments_of(Node *expr, Spread *spread, SmrtStep *step);
static Node *shape_of(Node *node, Spread *spread);
static Var *added(const Spread *spread, int n, Node *of);
static List *nulls_like(List *arguments);
static void name_columns(RangeTblEntry *entry, int n);
static bool has_whole_row(const Plan *plan, int varno);
static Node *replace_column(Node *node, Spread *spread);

void
smrt_valueslist_spread(ValuesScan *node, SmrtStep *step)
{
	int			n = list_length(linitial(node->values_lists));

	if (has_whole_row(&node->scan.plan, node->scan.scanrelid))
		return;
	for (int i = 1; i <= n; i++)
	{
		Spread		spread = {
			.node = node,
			.number = i,
			.n_columns = list_length(linitial(node->values_lists)),
		};

		spread_column(&spread, step);
	}
}

static void
spread_column(Spread *spread, SmrtStep *step)
{
	ValuesScan *node = spread->node;
	Plan	   *plan = &node->scan.plan;
	List	   *arguments = NIL;	/* a list for each row; NIL: no such call */
	List	   *some = NIL;
	int			n_calls = 0;
	Node	   *reached;
	CaseWhen   *when = makeNode(CaseWhen);
	CaseExpr   *choice = makeNode(CaseExpr);
	ListCell   *row;
	ListCell   *cell;

	foreach(row, node->values_lists)
	{
		List	   *its = arguments_of(list_nth(lfirst(row), spread->number - 1),
									   spread, step);

		arguments = lappend(arguments, its);
		n_calls += its != NIL;
		some = its != NIL ? its : some;
	}
	if (n_calls < 2)
		return;

	forboth(row, node->values_lists, cell, arguments)
	{
		ListCell   *place = list_nth_cell(lfirst(row), spread->number - 1);
		List	   *its = lfirst(cell);
		List	   *values = list_copy(lfirst(row));

		if (its != NIL)
			lfirst(list_nth_cell(values, spread->number - 1)) =
				linitial(nulls_like(list_make1(lfirst(place))));
		values = lappend(values, makeBoolConst(its != NIL, false));
		lfirst(row) = list_concat(values, its != NIL ? its : nulls_like(some));
	}
	name_columns(rt_fetch(node->scan.scanrelid, step->statement->rtable),
				 1 + list_length(some));

	reached = makeBoolConst(true, false);
	when->expr = (Expr *) added(spread, 0, reached);
	when->result = (Expr *) spread->shape;
	when->location = -1;
	choice->casetype = exprType(spread->shape);
	choice->casecollid = exprCollation(spread->shape);
	choice->args = list_make1(when);
	choice->defresult = (Expr *) makeVar(node->scan.scanrelid, spread->number,
										 exprType(spread->shape),
										 exprTypmod(spread->shape),
										 exprCollation(spread->shape), 0);
	choice->location = -1;
	spread->replacement = (Node *) choice;
	plan->targetlist = (List *) replace_column((Node *) plan->targetlist, spread);
	plan->qual = (List *) replace_column((Node *) plan->qual, spread);
}

/* Of the call that expr has like the rows before it; NIL: it has none. */
static List *
arguments_of(Node *expr, Spread *spread, SmrtStep *step)
{
	List	   *sites = smrt_callsite_find(expr, &step->scope);
	SmrtCallSite *site;
	Node	   *shape;

	if (list_length(sites) != 1)
		return NIL;
	site = linitial(sites);
	if (site->guard != NIL || site->arguments == NIL)
		return NIL;
	spread->call = site->call;
	spread->n_fixed = list_length(site->call->args) - list_length(site->arguments);
	shape = shape_of(expr, spread);
	if (spread->shape == NULL)
		spread->shape = shape;
	return equal(shape, spread->shape) ? list_copy(site->arguments) : NIL;
}

/* The expression with the call's arguments as columns. */
static Node *
shape_of(Node *node, Spread *spread)
{
	FuncExpr   *call;
	ListCell   *cell;

	if (node == NULL)
		return NULL;
	if (node != (Node *) spread->call)
		return expression_tree_mutator(node, shape_of, spread);
	call = makeNode(FuncExpr);
	*call = *spread->call;
	call->args = list_copy(call->args);
	foreach(cell, call->args)
	{
		int			n = foreach_current_index(cell) - spread->n_fixed;

		if (n >= 0)
			lfirst(cell) = added(spread, n + 1, lfirst(cell));
	}
	return (Node *) call;
}

static Var *
added(const Spread *spread, int n, Node *of)
{
	return makeVar(spread->node->scan.scanrelid, spread->n_columns + n + 1,
				   exprType(of), exprTypmod(of), exprCollation(of), 0);
}

static List *
nulls_like(List *arguments)
{
	List	   *nulls = NIL;
	ListCell   *cell;

	foreach(cell, arguments)
		nulls = lappend(nulls, makeNullConst(exprType(lfirst(cell)),
											 exprTypmod(lfirst(cell)),
											 exprCollation(lfirst(cell))));
	return nulls;
}

/* For EXPLAIN; the query's own entry stays as it is. */
static void
name_columns(RangeTblEntry *entry, int n)
{
	entry->eref = copyObject(entry->eref);
	for (int i = 0; i < n; i++)
	{
		int			number = list_length(entry->eref->colnames) + 1;

		entry->eref->colnames = lappend(entry->eref->colnames,
										makeString(psprintf("column%d", number)));
	}
}

static bool
has_whole_row(const Plan *plan, int varno)
{
	List	   *vars = pull_var_clause((Node *) list_make2(plan->targetlist, plan->qual),
									   PVC_RECURSE_AGGREGATES |
									   PVC_RECURSE_WINDOWFUNCS |
									   PVC_RECURSE_PLACEHOLDERS);
	ListCell   *cell;

	foreach(cell, vars)
		if (((Var *) lfirst(cell))->varno == varno &&
			((Var *) lfirst(cell))->varattno == 0)
			return true;
	return false;
}

static Node *
replace_column(Node *node, Spread *spread)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var) &&
		((Var *) node)->varno == spread->node->scan.scanrelid &&
		((Var *) node)->varattno == spread->number)
		return (Node *) copyObject(spread->replacement);
	return expression_tree_mutator(node, replace_column, spread);
}
