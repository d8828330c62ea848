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

#include "access/parallel.h"
#include "access/xact.h"
#include "commands/proclang.h"
#include "jit/jit.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "pg/compat.h"
#include "pg/settings.h"
#include "scan/batching.h"
#include "scan/callkind.h"
#include "scan/lateral.h"
#include "scan/lift.h"
#include "scan/subquery.h"
#include "scan/unread.h"
#include "scan/valueslist.h"

/* Nodes must have different numbers; the planner counts its own from 0. */
#define FIRST_NODE_ID 1000000

static planner_hook_type previous_planner;

/* The statement that loaded the library, by when it began. */
static TimestampTz installed_in;

static PlannedStmt *plan(Query *query, const char *text, int cursor_options,
						 ParamListInfo params);
static void reconsider_jit(PlannedStmt *statement, Cost call_cost);
static void visit(Plan **node, SmrtStep *step, int limit);
static void visit_list(List *plans, SmrtStep *step);
static int	limit_of(Plan *node);
static bool can_be_split(Plan *node);
static bool wants_all(Plan *node, bool all_wanted);
static bool can_go_back(const MergeJoin *join);
static Cost own_cost(const Plan *node);
static Plan *split(Plan *node, SmrtStep *step, int limit);
static Plan *split_quals(Plan *node, SmrtStep *step);
static Plan *split_list(Plan *node, SmrtStep *step, int limit);
static List *take_quals(Plan *node, SmrtStep *step);
static bool is_inner_join(const Plan *node);
static void take_from(List **quals, List **taken, SmrtStep *step);

void
smrt_batching_install(void)
{
	previous_planner = planner_hook;
	planner_hook = plan;
	installed_in = GetCurrentStatementStartTimestamp();
}

void
smrt_batching_advise(void)
{
	static bool advised;

	/* A worker loads the library in the statement that its leader planned. */
	if (advised || !smrt_settings.batch || IsParallelWorker() ||
		GetCurrentStatementStartTimestamp() != installed_in)
		return;
	advised = true;
	ereport(NOTICE,
			(errmsg("models are called row by row in this statement"),
			 errdetail("It was planned before the library sagemaker_rt was loaded into this session; later statements are batched."),
			 errhint("ALTER DATABASE ... SET session_preload_libraries = 'sagemaker_rt' loads it when a session begins.")));
}

static PlannedStmt *
plan(Query *query, const char *text, int cursor_options, ParamListInfo params)
{
	PlannedStmt *statement;
	Oid			language = InvalidOid;
	SmrtStep	step = {0};

	/* The planner puts what a scrolling cursor needs on top. */
	if (smrt_settings.batch && !(cursor_options & CURSOR_OPT_SCROLL))
		language = get_language_oid(SMRT_LANGUAGE, true);
	if (OidIsValid(language))
		step.scope = smrt_callsite_scope(query, language);
	statement = previous_planner ?
		previous_planner(query, text, cursor_options, params) :
		standard_planner(query, text, cursor_options, params);
	if (!OidIsValid(language))
		return statement;
	step.statement = statement;
	step.next_node_id = FIRST_NODE_ID;
	visit(&statement->planTree, &step, 0);
	/* A CTE's plan comes before those that read it. */
	for (int i = list_length(statement->subplans); i > 0; i--)
	{
		smrt_unread_drop_in_cte(i, &step);
		visit((Plan **) &lfirst(list_nth_cell(statement->subplans, i - 1)), &step, 0);
	}
	statement->dependsOnRole |= step.depends_on_role;
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
visit_list(List *plans, SmrtStep *step)
{
	ListCell   *cell;

	foreach(cell, plans)
		visit((Plan **) &lfirst(cell), step, 0);
}

/* Bottom up; limit is the number of rows that the parent wants, 0: all. */
static void
visit(Plan **node, SmrtStep *step, int limit)
{
	Plan	   *before = *node;
	Plan	   *unpacked;
	SmrtStep	above = *step;
	bool		is_lifted;
	Cost		cost;

	if (*node == NULL)
		return;
	step->in_workers |= IsA(*node, Gather) || IsA(*node, GatherMerge);
	step->all_wanted = wants_all(*node, step->all_wanted);
	smrt_subquery_inline(*node, step);
	smrt_unread_drop(*node, step);
	visit(&(*node)->lefttree, step, limit_of(*node));
	cost = own_cost(*node);
	is_lifted = smrt_lift_arguments(*node, step);
	/* Before its inner side gets a scan of its own, with a row at a time. */
	unpacked = smrt_lateral_unpack(*node, step, limit);
	if (unpacked == NULL)
		is_lifted |= smrt_lateral_lift(*node, step);
	/* A loop goes on with the next outer row when it has seen enough. */
	step->all_wanted &= !IsA(*node, NestLoop);
	if (unpacked == NULL &&
		(!IsA(*node, MergeJoin) || can_go_back((MergeJoin *) *node)))
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
		case T_ValuesScan:
			smrt_valueslist_spread((ValuesScan *) *node, step);
			break;
		case T_ModifyTable:
			if (smrt_modify_plans(*node) != NULL)
				visit_list(*smrt_modify_plans(*node), step);
			break;
		default:
			break;
	}
	step->in_workers = above.in_workers;
	step->all_wanted = above.all_wanted;
	if (unpacked != NULL)
		*node = split(unpacked, step, limit);
	else if (can_be_split(*node))
		*node = split(*node, step, limit);
	/* What is below a scan of ours is asked for a row by it, and by no Append. */
	if (*node != before)
		smrt_plan_forbid_async(before);
	if (is_lifted || *node != before)
		step->call_cost += cost;
}

/* Whether node reads its first child to the end, whoever may stop above it. */
static bool
wants_all(Plan *node, bool all_wanted)
{
	switch (nodeTag(node))
	{
		case T_Sort:
		case T_Hash:
		case T_ModifyTable:
			return true;
		case T_Agg:
			return all_wanted || ((Agg *) node)->aggstrategy == AGG_PLAIN ||
				((Agg *) node)->aggstrategy == AGG_HASHED;
		case T_WindowAgg:
			return all_wanted && (smrt_run_condition(node) == NULL ||
								  *smrt_run_condition(node) == NIL);
		case T_Limit:
		case T_MergeJoin:
			return false;
		case T_HashJoin:
			/* It looks whether there is an outer row before it hashes inner ones. */
			return false;
		default:
			return all_wanted;
	}
}

/*
 * A merge join goes back in its inner side, which a predict scan cannot, but what
 * keeps rows above it can.
 */
static bool
can_go_back(const MergeJoin *join)
{
	const Plan *inner = join->join.plan.righttree;

	return join->skip_mark_restore || IsA(inner, Sort) || IsA(inner, Material);
}

/* A call of a model costs more than all else that a node does with a row. */
static Cost
own_cost(const Plan *node)
{
	return node->total_cost -
		(node->lefttree ? node->lefttree->total_cost : 0) -
		(node->righttree ? node->righttree->total_cost : 0);
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
		case T_ProjectSet:
		case T_Gather:
		case T_GatherMerge:
			return true;
		case T_ForeignScan:
			/* Joins and writes of a wrapper's own are no list of the executor's. */
			return ((ForeignScan *) node)->operation == CMD_SELECT &&
				((ForeignScan *) node)->scan.scanrelid > 0;
		default:
			return false;
	}
}

static Plan *
split(Plan *node, SmrtStep *step, int limit)
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
split_quals(Plan *node, SmrtStep *step)
{
	SmrtRewrite rewrite = {.step = step};
	List	   *quals = take_quals(node, step);

	if (quals == NIL)
		return node;
	rewrite.calls = smrt_callsite_find(linitial(quals), &step->scope);
	if (rewrite.calls != NIL)
		return smrt_rewrite_put_on_top(node, &rewrite, quals, 0);
	node->qual = list_concat(node->qual, quals);
	return node;
}

static Plan *
split_list(Plan *node, SmrtStep *step, int limit)
{
	SmrtRewrite rewrite = {.step = step};

	rewrite.calls = smrt_callsite_find((Node *) node->targetlist, &step->scope);
	return rewrite.calls == NIL ? node :
		smrt_rewrite_put_on_top(node, &rewrite, NIL, limit);
}

/*
 * The first condition that calls a model and all after it, taken from the node.
 * Only from those that are mere filters of what the node would give.
 */
static List *
take_quals(Plan *node, SmrtStep *step)
{
	List	   *taken = NIL;

	if (is_inner_join(node))
	{
		Join	   *join = (Join *) node;

		take_from(&join->joinqual, &taken, step);
		/* It was inferred from all conditions that one match is the last. */
		if (taken != NIL)
			join->inner_unique = false;
	}
	if (!IsA(node, WindowAgg))
		take_from(&node->qual, &taken, step);
	return taken;
}

static bool
is_inner_join(const Plan *node)
{
	return (IsA(node, NestLoop) || IsA(node, MergeJoin) || IsA(node, HashJoin)) &&
		((const Join *) node)->jointype == JOIN_INNER;
}

static void
take_from(List **quals, List **taken, SmrtStep *step)
{
	List	   *stay = NIL;
	ListCell   *cell;

	foreach(cell, *quals)
		if (*taken != NIL || smrt_callkind_exists(lfirst(cell), step->scope.language))
			*taken = lappend(*taken, lfirst(cell));
		else
			stay = lappend(stay, lfirst(cell));
	*quals = stay;
}
