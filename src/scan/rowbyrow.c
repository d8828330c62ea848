/*
 * What the planner step has left alone.
 *
 * A notice, since only nodes of ours may add to what EXPLAIN prints, and these
 * calls are in other ones: those that ModifyTable evaluates, first of all.
 */
#include "postgres.h"

#include "commands/proclang.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "pg/compat.h"
#include "pg/settings.h"
#include "scan/callkind.h"
#include "scan/rowbyrow.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static ExecutorStart_hook_type previous_start;

/* In one plan. */
typedef struct Search
{
	Oid			language;
	List	   *functions;		/* of Oid */
} Search;

static void start(QueryDesc *query, int flags);
static void say(const List *functions);
static bool look(PlanState *state, Search *search);
static List *expressions_of(Plan *plan);

void
smrt_rowbyrow_install(void)
{
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = start;
}

static void
start(QueryDesc *query, int flags)
{
	Search		search = {0};

	if (previous_start)
		previous_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
	if (!(flags & EXEC_FLAG_EXPLAIN_ONLY) || !smrt_settings.batch)
		return;
	search.language = get_language_oid(SMRT_LANGUAGE, true);
	if (!OidIsValid(search.language))
		return;
	(void) look(query->planstate, &search);
	if (search.functions != NIL)
		say(search.functions);
}

static void
say(const List *functions)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, functions)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
						 quote_qualified_identifier(get_namespace_name(get_func_namespace(lfirst_oid(cell))),
													get_func_name(lfirst_oid(cell))));
	ereport(NOTICE,
			(errmsg("this plan calls row by row: %s", names.data),
			 errhint("Where calls are batched, and what to write instead, is in the README of sagemaker_rt.")));
}

static bool
look(PlanState *state, Search *search)
{
	if (state == NULL)
		return false;
	smrt_callkind_collect((Node *) expressions_of(state->plan), search->language,
						  &search->functions);
	return planstate_tree_walker(state, look, search);
}

/* What a node evaluates for many rows: without a child, only for others' rows. */
static List *
expressions_of(Plan *plan)
{
	List	   *expressions = list_make2(plan->targetlist, plan->qual);
	ModifyTable *modify = (ModifyTable *) plan;

	switch (nodeTag(plan))
	{
		case T_Result:
			return plan->lefttree == NULL && bms_is_empty(plan->extParam) ? NIL :
				expressions;
		case T_NestLoop:
			return lappend(expressions, ((Join *) plan)->joinqual);
		case T_MergeJoin:
			return list_concat(expressions, list_make2(((Join *) plan)->joinqual,
													   ((MergeJoin *) plan)->mergeclauses));
		case T_HashJoin:
			return list_concat(expressions, list_make2(((Join *) plan)->joinqual,
													   ((HashJoin *) plan)->hashclauses));
		case T_FunctionScan:
			return bms_is_empty(plan->extParam) ? expressions :
				lappend(expressions, ((FunctionScan *) plan)->functions);
		case T_ValuesScan:
			return lappend(expressions, ((ValuesScan *) plan)->values_lists);
		case T_ModifyTable:
			expressions = list_concat(expressions,
									  list_make4(modify->returningLists, modify->onConflictSet,
												 modify->onConflictWhere,
												 modify->withCheckOptionLists));
			return lappend(expressions, smrt_merge_actions(modify));
		default:
			return expressions;
	}
}
