/*
 * The node.  It pulls rows from its child ahead of what it has to give, keeps
 * each as a minimal tuple, writes the arguments of each call into that call's
 * engine, and hands the rows out in order with the predictions as columns.
 *
 * It has a loop, a qual and a projection of its own: ExecScan() would trust our
 * recheck under EvalPlanQual, where only the child knows the tuple.
 *
 * How far it reads ahead starts small and doubles with what was given out, so
 * that a consumer that stops early has not paid for many rows; a LIMIT right
 * above caps what is sent.
 */
#include "postgres.h"

#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "model/predict.h"
#include "model/row.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "pg/compat.h"
#include "scan/predictscan.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* Rows taken in before the first is given out. */
#define FIRST_WINDOW 16

/* One call of a model function, for every row. */
typedef struct Call
{
	const SmrtModel *model;
	ExprState  *guard;			/* NULL: every row is predicted */
	List	   *arguments;		/* of ExprState, over the child's slot */
	Datum	   *values;
	bool	   *nulls;
	SmrtEngine *engine;			/* NULL: not begun in this scan */
	SmrtEngineCounts counts;	/* of all scans */
	FmgrInfo	function;		/* for track_functions */
} Call;

typedef struct PredictScan
{
	CustomScanState css;
	int			n_child_columns;
	int			n_calls;
	Call	   *calls;
	TupleTableSlot *row;		/* the child's row that is given out */
	MemoryContext scan_context; /* engines and queue: reset by a rescan */
	MemoryContext row_context;	/* arguments of one row, while written */
	Oid			role;			/* for which rows are sent */
	dlist_head	queue;
	int			n_queued;
	int64		n_taken;		/* rows taken in since the scan began */
	int			full_window;	/* most rows to hold */
	int			limit;			/* rows that are wanted; 0: all */
	bool		exhausted;		/* the child has no more */
} PredictScan;

typedef struct QueueEntry
{
	dlist_node	node;
	MinimalTuple tuple;
} QueueEntry;

static Node *create_state(CustomScan *scan);
static void begin(CustomScanState *node, EState *estate, int eflags);
static void read_models(PredictScan *scan);
static const SmrtModel *read_model(List *model, List *arguments);
static void check_execute(Oid function);
static TupleTableSlot *exec(CustomScanState *node);
static void read_ahead(PredictScan *scan);
static int64 rows_to_hold(const PredictScan *scan);
static bool any_is_full(const PredictScan *scan);
static void take_in(PredictScan *scan, TupleTableSlot *slot);
static bool write_row(Call *call, ExprContext *econtext, SmrtBuf *body);
static void give_out(PredictScan *scan);
static Datum predict(Call *call, bool *is_null);
static void end(CustomScanState *node);
static void rescan(CustomScanState *node);
static void reset(PredictScan *scan);
static void explain_counts(const SmrtEngineCounts *counts, ExplainState *es);
static void explain(CustomScanState *node, List *ancestors, ExplainState *es);

static const CustomScanMethods scan_methods = {
	.CustomName = "SageMaker Predict",
	.CreateCustomScanState = create_state,
};

static const CustomExecMethods exec_methods = {
	.CustomName = "SageMaker Predict",
	.BeginCustomScan = begin,
	.ExecCustomScan = exec,
	.EndCustomScan = end,
	.ReScanCustomScan = rescan,
	.ExplainCustomScan = explain,
};

void
smrt_predictscan_register(void)
{
	RegisterCustomScanMethods(&scan_methods);
}

CustomScan *
smrt_predictscan_make(Plan *child, List *target_list, List *columns,
					  int n_child_columns, List *models, List *expressions,
					  int limit)
{
	CustomScan *scan = makeNode(CustomScan);
	Plan	   *plan = &scan->scan.plan;

	plan->startup_cost = child->startup_cost;
	plan->total_cost = child->total_cost;
	plan->plan_rows = child->plan_rows;
	plan->plan_width = child->plan_width;
	plan->parallel_safe = child->parallel_safe;
	plan->extParam = bms_copy(child->extParam);
	plan->allParam = bms_copy(child->allParam);
	plan->targetlist = target_list;
	plan->lefttree = child;
	scan->custom_scan_tlist = columns;
	scan->custom_exprs = expressions;
	scan->custom_private = list_make3(makeInteger(n_child_columns), models,
									  makeInteger(limit));
	scan->methods = &scan_methods;
	return scan;
}

static Node *
create_state(CustomScan *scan)
{
	PredictScan *state = palloc0(sizeof(PredictScan));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &exec_methods;
	return (Node *) state;
}

static void
begin(CustomScanState *node, EState *estate, int eflags)
{
	PredictScan *scan = (PredictScan *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	List	   *models = list_nth(plan->custom_private, SMRT_SCAN_MODELS);
	PlanState  *child = ExecInitNode(outerPlan(plan), estate, eflags);
	ListCell   *cell;

	outerPlanState(node) = child;
	scan->n_child_columns = intVal(list_nth(plan->custom_private,
											SMRT_SCAN_N_CHILD_COLUMNS));
	scan->n_calls = list_length(models);
	scan->calls = palloc0(scan->n_calls * sizeof(Call));
	scan->row = ExecInitExtraTupleSlot(estate, ExecGetResultType(child),
									   &TTSOpsMinimalTuple);
	scan->scan_context = AllocSetContextCreate(estate->es_query_cxt,
											   "sagemaker_rt scan",
											   ALLOCSET_DEFAULT_SIZES);
	scan->row_context = AllocSetContextCreate(estate->es_query_cxt,
											  "sagemaker_rt row",
											  ALLOCSET_DEFAULT_SIZES);
	foreach(cell, models)
	{
		Call	   *call = &scan->calls[foreach_current_index(cell)];
		Oid			function = DatumGetObjectId(linitial_node(Const, lfirst(cell))->constvalue);
		List	   *expressions;

		/* The call is a column now, so the executor does not check it. */
		check_execute(function);
		fmgr_info(function, &call->function);
		expressions = list_nth(plan->custom_exprs, foreach_current_index(cell));
		if (linitial(expressions) != NULL)
			call->guard = ExecInitExpr(linitial(expressions), &node->ss.ps);
		call->arguments = ExecInitExprList(list_copy_tail(expressions, 1),
										   &node->ss.ps);
		call->values = palloc(list_length(expressions) * sizeof(Datum));
		call->nulls = palloc(list_length(expressions) * sizeof(bool));
	}
	scan->limit = intVal(list_nth(plan->custom_private, SMRT_SCAN_LIMIT));
	/* Until the models say more. */
	scan->full_window = INT_MAX;
	dlist_init(&scan->queue);
	reset(scan);
}

List *
smrt_predictscan_model(Oid function, const char *endpoint, int max_rows)
{
	return list_make3(makeConst(OIDOID, -1, InvalidOid, sizeof(Oid),
								ObjectIdGetDatum(function), false, true),
					  makeString(pstrdup(endpoint ? endpoint : "")),
					  makeInteger(max_rows));
}

/*
 * When the first row comes: a definition that is not valid stops no statement
 * that predicts nothing, as it does not where calls are made row by row.
 */
static void
read_models(PredictScan *scan)
{
	CustomScan *plan = (CustomScan *) scan->css.ss.ps.plan;
	List	   *models = list_nth(plan->custom_private, SMRT_SCAN_MODELS);
	MemoryContext before = MemoryContextSwitchTo(scan->css.ss.ps.state->es_query_cxt);
	int			full_window = 0;

	for (int i = 0; i < scan->n_calls; i++)
	{
		List	   *expressions = list_nth(plan->custom_exprs, i);
		const SmrtModel *model = read_model(list_nth(models, i),
											list_copy_tail(expressions, 1));

		full_window = Max(full_window, model->concurrency * model->max_rows);
		scan->calls[i].model = model;
	}
	scan->full_window = Min(scan->full_window, full_window);
	MemoryContextSwitchTo(before);
}

static const SmrtModel *
read_model(List *model, List *arguments)
{
	Oid			function = DatumGetObjectId(((Const *) linitial(model))->constvalue);
	const char *endpoint = strVal(lsecond(model));
	Oid		   *types = palloc(list_length(arguments) * sizeof(Oid));
	ListCell   *cell;

	if (endpoint[0] == '\0')
		return smrt_model_read(function);
	foreach(cell, arguments)
		types[foreach_current_index(cell)] = exprType(lfirst(cell));
	return smrt_model_undeclared(endpoint, intVal(lthird(model)),
								 list_length(arguments), types);
}

static void
check_execute(Oid function)
{
	AclResult	result = smrt_function_aclcheck(function, GetUserId());

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
	InvokeFunctionExecuteHook(function);
}

static TupleTableSlot *
exec(CustomScanState *node)
{
	PredictScan *scan = (PredictScan *) node;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;

	for (;;)
	{
		ResetExprContext(econtext);
		read_ahead(scan);
		if (scan->n_queued == 0)
			return NULL;
		give_out(scan);
		econtext->ecxt_scantuple = node->ss.ss_ScanTupleSlot;
		if (node->ss.ps.qual == NULL || ExecQual(node->ss.ps.qual, econtext))
			return node->ss.ps.ps_ProjInfo ?
				ExecProject(node->ss.ps.ps_ProjInfo) :
				node->ss.ss_ScanTupleSlot;
		InstrCountFiltered1(node, 1);
	}
}

/*
 * Takes in rows.  While few were taken in so far, requests go out although they
 * are not full: somebody may be waiting for just these rows.
 */
static void
read_ahead(PredictScan *scan)
{
	int64		wanted = rows_to_hold(scan);
	bool		is_first_rows = scan->n_taken < scan->full_window;
	bool		filled = false;

	/* With nothing left to give out, at least one: NULL is the end. */
	while (!scan->exhausted &&
		   (scan->n_queued == 0 ||
			(scan->n_queued < wanted &&
			 scan->n_queued < scan->full_window && !any_is_full(scan))))
	{
		TupleTableSlot *slot = ExecProcNode(outerPlanState(scan));

		if (TupIsNull(slot))
			scan->exhausted = true;
		else
		{
			if (scan->calls[0].model == NULL)
				read_models(scan);
			take_in(scan, slot);
		}
		filled = true;
	}
	if (!filled)
		return;
	if (scan->exhausted || is_first_rows)
		for (int i = 0; i < scan->n_calls; i++)
			if (scan->calls[i].engine != NULL)
				smrt_engine_finish(scan->calls[i].engine);
}

/*
 * At first as many again as were taken in, each time that half of those were
 * given out: who takes n rows has at most 4 n sent, or FIRST_WINDOW.
 */
static int64
rows_to_hold(const PredictScan *scan)
{
	int64		wanted = scan->full_window;

	if (scan->n_taken == 0)
		wanted = FIRST_WINDOW;
	else if (scan->n_taken < scan->full_window)
		wanted = scan->n_queued +
			(scan->n_queued <= scan->n_taken / 2 ? scan->n_taken : 0);
	if (scan->limit == 0)
		return wanted;
	/* Beyond its limit LIMIT asks for ties only. */
	if (scan->n_taken >= scan->limit)
		return scan->n_queued > 0 ? 0 : FIRST_WINDOW;
	return Min(wanted, scan->n_queued + scan->limit - scan->n_taken);
}

static bool
any_is_full(const PredictScan *scan)
{
	for (int i = 0; i < scan->n_calls; i++)
		if (scan->calls[i].engine != NULL &&
			smrt_engine_is_full(scan->calls[i].engine))
			return true;
	return false;
}

static void
take_in(PredictScan *scan, TupleTableSlot *slot)
{
	ExprContext *econtext = scan->css.ss.ps.ps_ExprContext;
	MemoryContext before = MemoryContextSwitchTo(scan->scan_context);
	QueueEntry *entry = palloc(sizeof(QueueEntry));

	entry->tuple = ExecCopySlotMinimalTuple(slot);
	dlist_push_tail(&scan->queue, &entry->node);
	scan->n_queued++;
	scan->n_taken++;
	econtext->ecxt_outertuple = slot;
	/* A cursor may be read on by another role. */
	if (scan->role != GetUserId())
		for (int i = 0; i < scan->n_calls; i++)
			if (scan->calls[i].engine != NULL)
				smrt_engine_change_role(scan->calls[i].engine);
	scan->role = GetUserId();
	for (int i = 0; i < scan->n_calls; i++)
	{
		Call	   *call = &scan->calls[i];
		SmrtBuf    *body;
		bool		sent;

		if (call->engine == NULL)
			call->engine = smrt_engine_create(call->model, &call->counts);
		body = smrt_engine_begin_row(call->engine);
		MemoryContextSwitchTo(scan->row_context);
		sent = write_row(call, econtext, body);
		MemoryContextSwitchTo(scan->scan_context);
		smrt_engine_end_row(call->engine, !sent);
		MemoryContextReset(scan->row_context);
	}
	MemoryContextSwitchTo(before);
}

/* False when the row is not to be predicted. */
static bool
write_row(Call *call, ExprContext *econtext, SmrtBuf *body)
{
	ListCell   *cell;
	Datum		reached;
	bool		is_null;

	if (call->guard != NULL)
	{
		reached = ExecEvalExpr(call->guard, econtext, &is_null);
		if (is_null || !DatumGetBool(reached))
			return false;
	}
	foreach(cell, call->arguments)
	{
		int			i = foreach_current_index(cell);

		call->values[i] = ExecEvalExpr((ExprState *) lfirst(cell), econtext,
									   &call->nulls[i]);
	}
	return smrt_row_write(call->model, call->values, call->nulls, body);
}

/* The oldest row becomes the scan tuple: the child's columns, then the calls'. */
static void
give_out(PredictScan *scan)
{
	TupleTableSlot *slot = scan->css.ss.ss_ScanTupleSlot;
	ExprContext *econtext = scan->css.ss.ps.ps_ExprContext;
	QueueEntry *entry = dlist_container(QueueEntry, node,
										dlist_pop_head_node(&scan->queue));
	MemoryContext before = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);

	scan->n_queued--;
	ExecStoreMinimalTuple(entry->tuple, scan->row, true);
	pfree(entry);
	slot_getallattrs(scan->row);
	ExecClearTuple(slot);
	for (int i = 0; i < scan->n_child_columns; i++)
	{
		slot->tts_values[i] = scan->row->tts_values[i];
		slot->tts_isnull[i] = scan->row->tts_isnull[i];
	}
	for (int i = 0; i < scan->n_calls; i++)
	{
		int			column = scan->n_child_columns + i;

		slot->tts_values[column] = predict(&scan->calls[i],
										   &slot->tts_isnull[column]);
	}
	ExecStoreVirtualTuple(slot);
	MemoryContextSwitchTo(before);
}

/* The call's value in the row that is given out, counted as the call that it was. */
static Datum
predict(Call *call, bool *is_null)
{
	LOCAL_FCINFO(fcinfo, 0);
	PgStat_FunctionCallUsage usage;
	SmrtOutcome outcome;
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, &call->function, 0, InvalidOid, NULL, NULL);
	if (!smrt_engine_next(call->engine, true, &outcome))
	{
		smrt_engine_finish(call->engine);
		if (!smrt_engine_next(call->engine, true, &outcome))
			elog(ERROR, "a row got no outcome");
	}
	if (outcome.skipped)
		return smrt_predict_datum(call->model, &outcome, is_null);
	pgstat_init_function_usage(fcinfo, &usage);
	result = smrt_predict_datum(call->model, &outcome, is_null);
	pgstat_end_function_usage(&usage, true);
	return result;
}

static void
end(CustomScanState *node)
{
	PredictScan *scan = (PredictScan *) node;

	ExecClearTuple(scan->row);	/* its tuple lies in the scan's context */
	MemoryContextDelete(scan->scan_context);
	MemoryContextDelete(scan->row_context);
	ExecEndNode(outerPlanState(node));
}

static void
rescan(CustomScanState *node)
{
	reset((PredictScan *) node);
	if (outerPlanState(node)->chgParam == NULL)
		ExecReScan(outerPlanState(node));
}

static void
reset(PredictScan *scan)
{
	ExecClearTuple(scan->row);	/* its tuple lies in the scan's context */
	MemoryContextReset(scan->scan_context);
	for (int i = 0; i < scan->n_calls; i++)
		scan->calls[i].engine = NULL;
	dlist_init(&scan->queue);
	scan->n_queued = 0;
	scan->exhausted = false;
	scan->n_taken = 0;
}

static void
explain(CustomScanState *node, List *ancestors, ExplainState *es)
{
	PredictScan *scan = (PredictScan *) node;

	if (scan->calls[0].model == NULL)
		read_models(scan);
	ExplainOpenGroup("Models", "Models", false, es);
	for (int i = 0; i < scan->n_calls; i++)
	{
		const SmrtModel *model = scan->calls[i].model;

		ExplainOpenGroup("Model", NULL, true, es);
		ExplainPropertyText("Model", model->name, es);
		ExplainPropertyText("Endpoint", model->endpoint, es);
		ExplainPropertyInteger("Rows per Request", NULL, model->max_rows, es);
		ExplainPropertyInteger("Requests in Flight", NULL, model->concurrency,
							   es);
		if (es->analyze)
			explain_counts(&scan->calls[i].counts, es);
		ExplainCloseGroup("Model", NULL, true, es);
	}
	ExplainCloseGroup("Models", "Models", false, es);
}

/* Of this process: what parallel workers did is in none of it. */
static void
explain_counts(const SmrtEngineCounts *counts, ExplainState *es)
{
	const struct
	{
		const char *label;
		const char *unit;
		int64		value;
	}			properties[] = {
		{"Rows Sent", NULL, counts->rows},
		{"Rows Not Sent", NULL, counts->skipped},
		{"Rows Merged", NULL, counts->merged},
		{"Rows Sent Again", NULL, counts->rows_again},
		{"Requests", NULL, counts->requests},
		{"Retries", NULL, counts->retries},
		{"Bytes Sent", "bytes", counts->bytes_out},
		{"Bytes Received", "bytes", counts->bytes_in},
	};

	for (int i = 0; i < lengthof(properties); i++)
		ExplainPropertyInteger(properties[i].label, properties[i].unit,
							   properties[i].value, es);
}
