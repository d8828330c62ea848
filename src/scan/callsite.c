/*
 * Finding calls.
 *
 * A call that not every row reaches (in CASE, COALESCE, AND, OR, FILTER) has a
 * guard: the conditions under which the expression around it would get there.
 * Who batches the call asks it first, and neither evaluates the arguments of a
 * row nor sends it where the guard says no.
 *
 * What a model that returns sets gives for a row is an array in a column, which is
 * unnested where the set was.
 *
 * Not found, and so left to run row by row, are calls whose arguments or guard
 * call something volatile, functions that have a SET clause, sets of arrays or of
 * records without a type, and those that are streamed.  Of a call in
 * another's arguments or guard, only the inner one is found: once that is a
 * column, the other can be.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "model/model.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "pg/compat.h"
#include "scan/callkind.h"
#include "scan/callsite.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

typedef struct Finder
{
	Oid			language;
	List	   *copied;
	List	   *guard;			/* of where we are */
	bool		in_from;		/* the expression is a function in FROM */
	List	   *calls;			/* of SmrtCallSite */
} Finder;

static bool note_copies(Node *node, Finder *finder);
static bool find_calls(Node *node, Finder *finder);
static void find_in_case(CaseExpr *expr, Finder *finder);
static void find_in_turn(List *arguments, Finder *finder,
						 Expr *(*passed_over) (Expr *argument));
static bool find_arguments(Node *node, Finder *finder);
static bool is_plain_call(List *arguments, Oid language);
static Expr *is_null(Expr *argument);
static Expr *is_not_true(Expr *argument);
static Expr *is_not_false(Expr *argument);
static Expr *boolean_test(Expr *argument, BoolTestType type);
static bool add_call(FuncExpr *call, Finder *finder);
static bool read_undeclared(SmrtCallSite *site, SmrtCallKind kind);
static bool is_deterministic(const SmrtCallSite *site);
static bool can_be_column(FuncExpr *call, const Finder *finder);
static bool can_be_array(const FuncExpr *call, bool in_from);
static Expr *array_of(FuncExpr *call);
static bool contains_subplan(Node *node, void *context);

SmrtCallScope
smrt_callsite_scope(Query *query, Oid language)
{
	Finder		finder = {.language = language};

	(void) note_copies((Node *) query, &finder);
	return (SmrtCallScope) {language, finder.copied};
}

static bool
note_copies(Node *node, Finder *finder)
{
	FuncExpr   *call = (FuncExpr *) node;
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, note_copies, finder, 0);
	if (smrt_callkind_is_model(node, finder->language) && call->location >= 0)
	{
		foreach(cell, finder->calls)
			if (((FuncExpr *) lfirst(cell))->location == call->location &&
				equal(lfirst(cell), call))
				finder->copied = list_append_unique_int(finder->copied,
														call->location);
		finder->calls = lappend(finder->calls, call);
	}
	return expression_tree_walker(node, note_copies, finder);
}

List *
smrt_callsite_find(Node *node, const SmrtCallScope *scope)
{
	Finder		finder = {.language = scope->language,.copied = scope->copied};

	(void) find_calls(node, &finder);
	return finder.calls;
}

List *
smrt_callsite_find_in_arguments(Node *node, const SmrtCallScope *scope)
{
	Finder		finder = {.language = scope->language,.copied = scope->copied};

	(void) find_arguments(node, &finder);
	return finder.calls;
}

List *
smrt_callsite_find_in_function(Node *function, const SmrtCallScope *scope)
{
	Finder		finder = {.language = scope->language,.copied = scope->copied,
	.in_from = true};

	(void) (expression_returns_set(function) ? find_arguments : find_calls) (function, &finder);
	return finder.calls;
}

/*
 * A row that FILTER leaves out is not evaluated.  Nor is every row by functions
 * like lag() and first_value(), to which an argument that can fail stays.
 */
static bool
find_arguments(Node *node, Finder *finder)
{
	List	  **arguments;
	Expr	  **filter;

	if (node == NULL)
		return false;
	if (!smrt_callsite_takes_rows(node, &arguments, &filter))
		return expression_tree_walker(node, find_arguments, finder);
	if (smrt_callkind_is_model(node, finder->language) &&
		add_call((FuncExpr *) node, finder))
		return false;
	if (filter != NULL && *filter != NULL)
	{
		(void) find_calls((Node *) *filter, finder);
		finder->guard = list_make1(*filter);
	}
	if (!IsA(node, WindowFunc) || ((WindowFunc *) node)->winagg ||
		is_plain_call(*arguments, finder->language))
		(void) find_calls((Node *) *arguments, finder);
	finder->guard = NIL;
	return false;
}

bool
smrt_callsite_takes_rows(Node *node, List ***arguments, Expr ***filter)
{
	*filter = NULL;
	switch (nodeTag(node))
	{
		case T_Aggref:
			*arguments = &((Aggref *) node)->args;
			*filter = &((Aggref *) node)->aggfilter;
			return true;
		case T_WindowFunc:
			*arguments = &((WindowFunc *) node)->args;
			*filter = &((WindowFunc *) node)->aggfilter;
			return true;
		case T_FuncExpr:
			*arguments = &((FuncExpr *) node)->args;
			return ((FuncExpr *) node)->funcretset;
		case T_OpExpr:
			*arguments = &((OpExpr *) node)->args;
			return ((OpExpr *) node)->opretset;
		default:
			return false;
	}
}

/* Whether the first argument is a call of columns and constants, and the only one. */
static bool
is_plain_call(List *arguments, Oid language)
{
	List	   *others;
	ListCell   *cell;

	if (arguments == NIL || !smrt_callkind_is_model(linitial(arguments), language))
		return false;
	others = list_concat_copy(((FuncExpr *) linitial(arguments))->args,
							  list_copy_tail(arguments, 1));
	foreach(cell, others)
		if (!IsA(lfirst(cell), Var) && !IsA(lfirst(cell), Const))
			return false;
	return true;
}

/* Calls that can become columns, each with its guard. */
static bool
find_calls(Node *node, Finder *finder)
{
	if (node == NULL || smrt_callsite_leaf(node))
		return false;
	/* What its DEFAULT calls is for some rows only. */
	if (smrt_is_json_query(node))
		return false;
	/* Around a call that cannot be a column there may be others that can. */
	if (smrt_callkind_is_model(node, finder->language) &&
		add_call((FuncExpr *) node, finder))
		return false;
	switch (nodeTag(node))
	{
		case T_SubPlan:
		case T_AlternativeSubPlan:
			/* Evaluated once for each row of it, or never. */
			return false;
		case T_RowCompareExpr:
			/* Ends at the first pair that differs. */
			return false;
		case T_SubscriptingRef:
			/* Subscripts of NULL are not evaluated. */
			return find_calls((Node *) ((SubscriptingRef *) node)->refexpr,
							  finder);
		case T_ArrayCoerceExpr:
			/* Its conversion makes sense for an element only. */
			return find_calls((Node *) ((ArrayCoerceExpr *) node)->arg, finder);
		case T_CaseExpr:
			find_in_case((CaseExpr *) node, finder);
			return false;
		case T_CoalesceExpr:
			find_in_turn(((CoalesceExpr *) node)->args, finder, is_null);
			return false;
		case T_BoolExpr:
			if (((BoolExpr *) node)->boolop == NOT_EXPR)
				break;
			find_in_turn(((BoolExpr *) node)->args, finder,
						 ((BoolExpr *) node)->boolop == AND_EXPR ?
						 is_not_false : is_not_true);
			return false;
		default:
			break;
	}
	return expression_tree_walker(node, find_calls, finder);
}

static void
find_in_case(CaseExpr *expr, Finder *finder)
{
	List	   *guard = finder->guard;
	ListCell   *cell;

	/* CASE x WHEN ...: its conditions make sense inside it only. */
	if (expr->arg != NULL)
	{
		(void) find_calls((Node *) expr->arg, finder);
		return;
	}
	foreach(cell, expr->args)
	{
		CaseWhen   *when = lfirst(cell);
		List	   *here = finder->guard;

		(void) find_calls((Node *) when->expr, finder);
		finder->guard = lappend(list_copy(here), when->expr);
		(void) find_calls((Node *) when->result, finder);
		finder->guard = lappend(list_copy(here), is_not_true(when->expr));
	}
	(void) find_calls((Node *) expr->defresult, finder);
	finder->guard = guard;
}

/* Arguments of which each is reached only if all before it were passed over. */
static void
find_in_turn(List *arguments, Finder *finder,
			 Expr *(*passed_over) (Expr *argument))
{
	List	   *guard = finder->guard;
	ListCell   *cell;

	foreach(cell, arguments)
	{
		(void) find_calls(lfirst(cell), finder);
		finder->guard = lappend(list_copy(finder->guard),
								passed_over(lfirst(cell)));
	}
	finder->guard = guard;
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

/* False: the call stays a call. */
static bool
add_call(FuncExpr *call, Finder *finder)
{
	SmrtCallSite *site = palloc0(sizeof(SmrtCallSite));
	SmrtCallKind kind = smrt_callkind_of((Node *) call, finder->language);

	site->call = call;
	site->arguments = call->args;
	site->guard = finder->guard;
	site->copied = list_member_int(finder->copied, call->location);
	site->is_invoke = kind == SMRT_CALL_OF_INVOKE;
	site->value = call->funcretset ? array_of(call) : (Expr *) call;
	if (!can_be_column(call, finder) ||
		!read_undeclared(site, kind))
		return false;
	if (smrt_callsite_number(finder->calls, call) == 0)
		finder->calls = lappend(finder->calls, site);
	return true;
}

/* Where there is no declaration, endpoint and row limit must be constants. */
static bool
read_undeclared(SmrtCallSite *site, SmrtCallKind kind)
{
	int			n_fixed = kind == SMRT_CALL_OF_PREDICT ? 1 :
		kind == SMRT_CALL_OF_AURORA ? 2 : 0;

	for (int i = 0; i < n_fixed; i++)
	{
		Const	   *fixed = (Const *) list_nth(site->arguments, i);

		/* varchar from text is a relabelling. */
		while (IsA(fixed, RelabelType))
			fixed = (Const *) ((RelabelType *) fixed)->arg;
		if (!IsA(fixed, Const) || (i == 0 && fixed->constisnull))
			return false;
		if (i == 0)
			site->endpoint = TextDatumGetCString(fixed->constvalue);
		else if (!fixed->constisnull)
			site->max_rows = DatumGetInt32(fixed->constvalue);
	}
	site->arguments = list_copy_tail(site->arguments, n_fixed);
	return true;
}

int
smrt_callsite_number(List *calls, FuncExpr *call)
{
	ListCell   *cell;

	foreach(cell, calls)
	{
		SmrtCallSite *site = lfirst(cell);

		if (site->call == call ||
			(site->guard == NIL && equal(site->call, call) &&
			 ((site->copied && site->call->location == call->location) ||
			  is_deterministic(site))))
			return foreach_current_index(cell) + 1;
	}
	return 0;
}

static bool
is_deterministic(const SmrtCallSite *site)
{
	if (site->is_invoke)
		return false;
	return site->endpoint != NULL ||
		smrt_model_glance(site->call->funcid).deterministic;
}

bool
smrt_callsite_is_deterministic(Node *node, Oid language)
{
	SmrtCallSite site = {.call = (FuncExpr *) node};
	SmrtCallKind kind = smrt_callkind_of(node, language);

	if (kind == SMRT_CALL_OF_OTHER)
		return false;
	site.is_invoke = kind == SMRT_CALL_OF_INVOKE;
	site.endpoint = kind == SMRT_CALL_OF_MODEL ? NULL : "";
	return is_deterministic(&site);
}

static bool
can_be_column(FuncExpr *call, const Finder *finder)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->funcid));
	bool		has_settings;

	if (!HeapTupleIsValid(tuple))
		return false;
	has_settings = !heap_attisnull(tuple, Anum_pg_proc_proconfig, NULL);
	ReleaseSysCache(tuple);
	/* Models are volatile, so this finds nested calls too. */
	return !has_settings && 
		(!call->funcretset || can_be_array(call, finder->in_from)) &&
		!contain_volatile_functions((Node *) call->args) &&
		!contain_volatile_functions((Node *) finder->guard) &&
	/* Asked twice, a subquery may answer twice: who knows what it calls. */
		!contains_subplan((Node *) finder->guard, NULL);
}

/*
 * Out of an array, the columns of a record have no names for EXPLAIN, unless FROM
 * gives them some.  A stream's pieces are wanted as they come.
 */
static bool
can_be_array(const FuncExpr *call, bool in_from)
{
	return OidIsValid(get_array_type(call->funcresulttype)) &&
		(call->funcresulttype != RECORDOID || in_from) &&
		!smrt_model_glance(call->funcid).stream;
}

static Expr *
array_of(FuncExpr *call)
{
	ArrayExpr  *array = makeNode(ArrayExpr);

	array->array_typeid = get_array_type(call->funcresulttype);
	array->array_collid = call->funccollid;
	array->element_typeid = call->funcresulttype;
	array->elements = list_make1(call);
	array->location = -1;
	return (Expr *) array;
}

static bool
contains_subplan(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, SubPlan) || IsA(node, AlternativeSubPlan) ||
		expression_tree_walker(node, contains_subplan, context);
}

/*
 * What only the node itself can compute.  A subquery is none: it may stand where
 * not every row comes, and those of UPDATE ... SET (a, b) = (SELECT ...) leave
 * their values in parameters that are read right after.
 */
bool
smrt_callsite_leaf(Node *node)
{
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Aggref:
		case T_GroupingFunc:
		case T_WindowFunc:
			return true;
		case T_FuncExpr:
			return ((FuncExpr *) node)->funcretset;
		case T_OpExpr:
			return ((OpExpr *) node)->opretset;
		default:
			return false;
	}
}

