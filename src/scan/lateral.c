/*
 * Nested loops whose inner side is a function scan that calls.
 *
 * The arguments of the call are outer columns that the loop hands down as
 * parameters.  Where the function scan gives one row for each of the outer side,
 * the loop is a projection: inner columns are what the call returned, or fields
 * of it.  Else it stays, and what the function calls becomes a column of the outer
 * side, which is handed down like the others.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "scan/lateral.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

typedef struct Loop
{
	NestLoop   *join;
	FunctionScan *inner;
	FuncExpr   *call;			/* its arguments in outer columns */
	PlannedStmt *statement;
	bool		is_composite;
	bool		understood;
} Loop;

static bool lift(Loop *loop, SmrtStep *step);
static void declare_columns(RangeTblFunction *function);
static Node *inner_arguments(Node *node, Loop *loop);
static Param *hand_down(Var *column, Loop *loop);
static bool is_bare_call(const NestLoop *join, Loop *loop);
static bool reads_parameters(Node *node, Loop *loop);
static Node *outer_arguments(Node *node, Loop *loop);
static Node *unpack(Node *node, Loop *loop);
static Node *unpack_inner(Node *node, Loop *loop);
static Node *field(const Var *var, Loop *loop);
static Node *whole_row(Loop *loop);

Plan *
smrt_lateral_unpack(Plan *node, SmrtStep *step, int limit)
{
	SmrtRewrite rewrite = {.step = step,.same_numbers = true,.varno = INDEX_VAR};
	NestLoop   *join = (NestLoop *) node;
	Loop		loop = {.join = join,.statement = step->statement,.understood = true};
	Node	   *call;
	List	   *target_list;
	List	   *quals;
	Plan	   *scan;

	if (!IsA(node, NestLoop) || !is_bare_call(join, &loop))
		return NULL;
	call = outer_arguments((Node *) loop.call, &loop);
	/* One that is the same for all rows of the loop is made once. */
	if (equal(call, loop.call))
		return NULL;
	loop.call = (FuncExpr *) call;
	rewrite.calls = smrt_callsite_find((Node *) loop.call, &step->scope);
	target_list = (List *) unpack((Node *) node->targetlist, &loop);
	quals = (List *) unpack_inner((Node *) loop.inner->scan.plan.qual, &loop);
	quals = list_concat(quals, (List *) unpack((Node *) list_concat_copy(join->join.joinqual,
																		 node->qual),
											   &loop));
	if (!loop.understood || list_length(rewrite.calls) != 1 ||
		((SmrtCallSite *) linitial(rewrite.calls))->call != loop.call)
		return NULL;

	rewrite.n_columns = list_length(node->lefttree->targetlist);
	target_list = (List *) smrt_rewrite_replace((Node *) target_list, &rewrite);
	quals = (List *) smrt_rewrite_replace((Node *) quals, &rewrite);
	rewrite.varno = OUTER_VAR;
	scan = &smrt_rewrite_scan(node->lefttree, &rewrite, target_list,
							  smrt_rewrite_columns_of(node->lefttree),
							  quals == NIL ? limit : 0)->scan.plan;
	scan->qual = quals;
	scan->initPlan = node->initPlan;
	scan->extParam = node->extParam;
	scan->allParam = node->allParam;
	return scan;
}

bool
smrt_lateral_lift(Plan *node, SmrtStep *step)
{
	Loop		loop = {.join = (NestLoop *) node,.statement = step->statement};
	bool		is_lifted = false;

	if (!IsA(node, NestLoop) || !IsA(node->righttree, FunctionScan))
		return false;
	loop.inner = (FunctionScan *) node->righttree;
	if (list_length(loop.inner->functions) != 1 ||
		reads_parameters((Node *) loop.inner->functions, &loop))
		return false;
	/* Calls that others depend on come first, in a scan further below. */
	while (lift(&loop, step))
		is_lifted = true;
	return is_lifted;
}

static bool
lift(Loop *loop, SmrtStep *step)
{
	SmrtRewrite rewrite = {.step = step,.varno = OUTER_VAR,.keep_leaves = true};
	RangeTblFunction *function = linitial(loop->inner->functions);
	Node	   *expr = outer_arguments(function->funcexpr, loop);

	/* One that is the same for all rows of the loop is made once. */
	if (equal(expr, function->funcexpr))
		return false;
	rewrite.calls = smrt_callsite_find_in_function(expr, &step->scope);
	if (rewrite.calls == NIL)
		return false;
	loop->join->join.plan.lefttree =
		smrt_rewrite_append(loop->join->join.plan.lefttree, &rewrite);
	expr = expression_returns_set(expr) ?
		smrt_rewrite_replace_in_arguments(expr, &rewrite) :
		smrt_rewrite_replace(expr, &rewrite);
	declare_columns(function);
	function->funcexpr = inner_arguments(expr, loop);
	return true;
}

/* Of a record, whose columns the function's declaration said. */
static void
declare_columns(RangeTblFunction *function)
{
	TupleDesc	tupdesc;

	if (exprType(function->funcexpr) != RECORDOID ||
		function->funccolnames != NIL)
		return;
	tupdesc = get_expr_result_tupdesc(function->funcexpr, false);
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(tupdesc, i);

		function->funccolnames = lappend(function->funccolnames,
										 makeString(pstrdup(NameStr(column->attname))));
		function->funccoltypes = lappend_oid(function->funccoltypes,
											 column->atttypid);
		function->funccoltypmods = lappend_int(function->funccoltypmods,
											   column->atttypmod);
		function->funccolcollations = lappend_oid(function->funccolcollations,
												  column->attcollation);
	}
}

/* The other way round; a column that was not handed down is from now on. */
static Node *
inner_arguments(Node *node, Loop *loop)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
		return (Node *) hand_down((Var *) node, loop);
	return expression_tree_mutator(node, inner_arguments, loop);
}

static Param *
hand_down(Var *column, Loop *loop)
{
	RangeTblFunction *function = linitial(loop->inner->functions);
	Plan	   *plan = &loop->inner->scan.plan;
	NestLoopParam *handed = NULL;
	Param	   *param = makeNode(Param);
	ListCell   *cell;

	foreach(cell, loop->join->nestParams)
		if (equal(((NestLoopParam *) lfirst(cell))->paramval, column))
			handed = lfirst(cell);
	if (handed == NULL)
	{
		List	  **types = &loop->statement->paramExecTypes;

		handed = makeNode(NestLoopParam);
		handed->paramno = list_length(*types);
		handed->paramval = column;
		*types = lappend_oid(*types, column->vartype);
		loop->join->nestParams = lappend(loop->join->nestParams, handed);
		plan->extParam = bms_add_member(plan->extParam, handed->paramno);
		plan->allParam = bms_add_member(plan->allParam, handed->paramno);
	}
	function->funcparams = bms_add_member(function->funcparams, handed->paramno);
	param->paramkind = PARAM_EXEC;
	param->paramid = handed->paramno;
	param->paramtype = column->vartype;
	param->paramtypmod = column->vartypmod;
	param->paramcollid = column->varcollid;
	param->location = -1;
	return param;
}

/*
 * With conditions of its own only in an inner join: a left join keeps the rows
 * that they refuse.
 */
static bool
is_bare_call(const NestLoop *join, Loop *loop)
{
	FunctionScan *inner = (FunctionScan *) join->join.plan.righttree;
	bool		is_inner = join->join.jointype == JOIN_INNER;
	RangeTblFunction *function;

	if (!is_inner && join->join.jointype != JOIN_LEFT)
		return false;
	if (!IsA(inner, FunctionScan) || inner->funcordinality ||
		list_length(inner->functions) != 1 || inner->scan.plan.initPlan != NIL)
		return false;
	if (!is_inner && (inner->scan.plan.qual != NIL || join->join.joinqual != NIL))
		return false;
	function = linitial(inner->functions);
	if (!IsA(function->funcexpr, FuncExpr) || function->funccolnames != NIL)
		return false;
	loop->inner = inner;
	loop->call = (FuncExpr *) function->funcexpr;
	loop->is_composite = type_is_rowtype(loop->call->funcresulttype);
	return !loop->call->funcretset &&
		get_typtype(loop->call->funcresulttype) != TYPTYPE_DOMAIN &&
	/* Above, each reference to one of its columns is a copy. */
		!contain_volatile_functions((Node *) inner->scan.plan.targetlist) &&
		!reads_parameters((Node *) list_make3(loop->call, inner->scan.plan.targetlist,
											  inner->scan.plan.qual), loop);
}

/*
 * Whether a subquery takes what the loop sets out of the parameters themselves,
 * not as an argument.
 */
static bool
reads_parameters(Node *node, Loop *loop)
{
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, SubPlan))
	{
		Plan	   *plan = list_nth(loop->statement->subplans, ((SubPlan *) node)->plan_id - 1);

		foreach(cell, loop->join->nestParams)
			if (bms_is_member(((NestLoopParam *) lfirst(cell))->paramno,
							  plan->extParam))
				return true;
	}
	return expression_tree_walker(node, reads_parameters, loop);
}

/* Parameters that the loop sets become the outer columns that it sets them to. */
static Node *
outer_arguments(Node *node, Loop *loop)
{
	ListCell   *cell;

	if (node == NULL)
		return NULL;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		foreach(cell, loop->join->nestParams)
		{
			NestLoopParam *param = lfirst(cell);

			if (param->paramno == ((Param *) node)->paramid)
				return (Node *) copyObject(param->paramval);
		}
	return expression_tree_mutator(node, outer_arguments, loop);
}

/* The loop's own expressions: inner columns are what the inner side computes. */
static Node *
unpack(Node *node, Loop *loop)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varno == INNER_VAR)
	{
		TargetEntry *entry = list_nth(loop->inner->scan.plan.targetlist,
									  ((Var *) node)->varattno - 1);

		return unpack_inner((Node *) entry->expr, loop);
	}
	return expression_tree_mutator(node, unpack, loop);
}

/* The inner side's expressions, in outer columns and the call. */
static Node *
unpack_inner(Node *node, Loop *loop)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
		return field((Var *) node, loop);
	if (IsA(node, Param))
		return outer_arguments(node, loop);
	return expression_tree_mutator(node, unpack_inner, loop);
}

/* All of them have the very same call in them, which so is one. */
static Node *
field(const Var *var, Loop *loop)
{
	FieldSelect *select;

	if (!loop->is_composite)
	{
		loop->understood = loop->understood && var->varattno == 1;
		return (Node *) loop->call;
	}
	if (var->varattno == 0)
		return whole_row(loop);
	select = makeNode(FieldSelect);
	select->arg = (Expr *) loop->call;
	select->fieldnum = var->varattno;
	select->resulttype = var->vartype;
	select->resulttypmod = var->vartypmod;
	select->resultcollid = var->varcollid;
	return (Node *) select;
}

/* A scan makes a row of NULLs where a call gives NULL. */
static Node *
whole_row(Loop *loop)
{
	Oid			type = loop->call->funcresulttype;
	CoalesceExpr *coalesce = makeNode(CoalesceExpr);
	RowExpr    *row = makeNode(RowExpr);
	TupleDesc	tupdesc;

	/* Its fields have the names that the statement gave them. */
	if (type == RECORDOID)
	{
		loop->understood = false;
		return (Node *) loop->call;
	}
	tupdesc = lookup_rowtype_tupdesc(type, -1);
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(tupdesc, i);

		row->args = lappend(row->args, column->attisdropped ?
							makeNullConst(INT4OID, -1, InvalidOid) :
							makeNullConst(column->atttypid, column->atttypmod,
										  column->attcollation));
	}
	ReleaseTupleDesc(tupdesc);
	row->row_typeid = type;
	row->row_format = COERCE_IMPLICIT_CAST;
	row->location = -1;
	coalesce->coalescetype = type;
	coalesce->args = list_make2(loop->call, row);
	coalesce->location = -1;
	return (Node *) coalesce;
}
