/*
 * The node.  It pulls rows from its child ahead of what it has to give, keeps
 * each as a minimal tuple, gives its values to the column of each call, and hands
 * the rows out in order with the predictions as columns.
 *
 * It has a loop, a qual and a projection of its own: ExecScan() would trust our
 * recheck under EvalPlanQual, where only the child knows the tuple.
 *
 * How far it reads ahead starts small and doubles with what was given out, so
 * that a consumer that stops early has not paid for many rows; a LIMIT right
 * above caps what is sent.  Where all rows are wanted, requests are full from the
 * start.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "model/failures.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "scan/column.h"
#include "scan/predictscan.h"
#include "storage/dsm.h"
#include "utils/memutils.h"

/* Rows taken in before the first is given out. */
#define FIRST_WINDOW 16

/* In memory that outlives the workers: EXPLAIN comes after their end. */
typedef struct Shared
{
	int			n_workers;
	SmrtEngineCounts counts[FLEXIBLE_ARRAY_MEMBER]; /* a worker's columns, the
													 * next one's, ... */
} Shared;

typedef struct PredictScan
{
	CustomScanState css;
	int			n_child_columns;
	int			n_columns;
	SmrtColumn **columns;		/* a call each */
	TupleTableSlot *row;		/* the child's row that is given out */
	MemoryContext scan_context; /* engines and queue: reset by a rescan */
	Oid			role;			/* for which rows are sent */
	dlist_head	queue;
	int			n_queued;
	int64		n_taken;		/* rows taken in since the scan began */
	int			full_window;	/* most rows to hold */
	bool		is_reached;		/* by a row, any of the calls */
	bool		is_measured;	/* the window is known of all columns */
	int			limit;			/* rows that are wanted; 0: all */
	bool		all_wanted;		/* nobody will stop before the end */
	bool		exhausted;		/* the child has no more */
	dsm_segment *segment;		/* of a parallel query, or NULL */
	Shared	   *shared;			/* what workers have sent; NULL: no workers */
} PredictScan;

typedef struct QueueEntry
{
	dlist_node	node;
	MinimalTuple tuple;
} QueueEntry;

static Node *create_state(CustomScan *scan);
static void begin(CustomScanState *node, EState *estate, int eflags);
static void measure(PredictScan *scan);
static TupleTableSlot *exec(CustomScanState *node);
static void read_ahead(PredictScan *scan);
static int64 rows_to_hold(const PredictScan *scan);
static bool has_room(const PredictScan *scan);
static void take_in(PredictScan *scan, TupleTableSlot *slot);
static void give_out(PredictScan *scan);
static void end(CustomScanState *node);
static void rescan(CustomScanState *node);
static void reset(PredictScan *scan);
static Size estimate_shared(CustomScanState *node, ParallelContext *parallel);
static void create_shared(CustomScanState *node, ParallelContext *parallel,
						  void *place);
static void keep_shared(CustomScanState *node, ParallelContext *parallel,
						void *place);
static void attach_shared(CustomScanState *node, shm_toc *toc, void *place);
static void shut_down(CustomScanState *node);
static void detach_shared(PredictScan *scan);
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
	.EstimateDSMCustomScan = estimate_shared,
	.InitializeDSMCustomScan = create_shared,
	.ReInitializeDSMCustomScan = keep_shared,
	.InitializeWorkerCustomScan = attach_shared,
	.ShutdownCustomScan = shut_down,
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
					  int limit, bool all_wanted)
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
	scan->custom_private = list_make4(makeInteger(n_child_columns), models,
									  makeInteger(limit), makeInteger(all_wanted));
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
	scan->n_columns = list_length(models);
	scan->columns = palloc(scan->n_columns * sizeof(SmrtColumn *));
	scan->row = ExecInitExtraTupleSlot(estate, ExecGetResultType(child),
									   &TTSOpsMinimalTuple);
	scan->scan_context = AllocSetContextCreate(estate->es_query_cxt,
											   "sagemaker_rt scan",
											   ALLOCSET_DEFAULT_SIZES);
	foreach(cell, models)
		scan->columns[foreach_current_index(cell)] =
			smrt_column_create(lfirst(cell),
							 list_nth(plan->custom_exprs, foreach_current_index(cell)),
							   &node->ss.ps);
	scan->limit = intVal(list_nth(plan->custom_private, SMRT_SCAN_LIMIT));
	scan->all_wanted = intVal(list_nth(plan->custom_private, SMRT_SCAN_ALL_WANTED));
	/* Until a model says more. */
	scan->full_window = INT_MAX;
	dlist_init(&scan->queue);
	reset(scan);
}

List *
smrt_predictscan_model(const SmrtCallSite *site)
{
	return list_make4(makeConst(OIDOID, -1, InvalidOid, sizeof(Oid),
								ObjectIdGetDatum(site->call->funcid), false, true),
					  makeString(pstrdup(site->endpoint ? site->endpoint : "")),
					  makeInteger(site->max_rows),
					  makeInteger(site->is_invoke));
}

/* A column says how much it holds when a row has reached its call. */
static void
measure(PredictScan *scan)
{
	int			widest_window = 0;

	scan->is_measured = true;
	for (int i = 0; i < scan->n_columns; i++)
	{
		int			window = smrt_column_window(scan->columns[i]);

		scan->is_measured &= window > 0;
		widest_window = Max(widest_window, window);
	}
	scan->is_reached = widest_window > 0;
	if (scan->is_reached)
		scan->full_window = widest_window;
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
	bool		is_first_rows = !scan->all_wanted &&
		scan->n_taken < scan->full_window;
	bool		filled = false;

	/* With nothing left to give out, at least one: NULL is the end. */
	while (!scan->exhausted &&
		   (scan->n_queued == 0 ||
			(scan->n_queued < wanted &&
			 scan->n_queued < scan->full_window && has_room(scan))))
	{
		TupleTableSlot *slot = ExecProcNode(outerPlanState(scan));

		if (TupIsNull(slot))
			scan->exhausted = true;
		else
		{
			take_in(scan, slot);
			if (!scan->is_measured)
				measure(scan);
		}
		filled = true;
	}
	if (!filled)
		return;
	if (scan->exhausted || is_first_rows)
		for (int i = 0; i < scan->n_columns; i++)
			smrt_column_finish(scan->columns[i]);
}

/*
 * At first as many again as were taken in, each time that half of those were
 * given out: who takes n rows has at most 4 n sent, or FIRST_WINDOW.
 */
static int64
rows_to_hold(const PredictScan *scan)
{
	int64		wanted = scan->full_window;

	if (scan->all_wanted)
		return wanted;
	if (scan->n_taken < FIRST_WINDOW)
		wanted = scan->n_queued + FIRST_WINDOW - scan->n_taken;
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

/*
 * From when a row has reached a call until a call has all in flight that it may
 * have.  Beyond that for a call that takes many rows a request: it would have none
 * in flight if it had to stop with one that takes few.
 */
static bool
has_room(const PredictScan *scan)
{
	SmrtEngineLoad least = SMRT_LOAD_STUFFED;
	SmrtEngineLoad most = SMRT_LOAD_HUNGRY;

	for (int i = 0; i < scan->n_columns; i++)
	{
		SmrtEngineLoad load = smrt_column_load(scan->columns[i], scan->n_queued);

		least = Min(least, load);
		most = Max(most, load);
	}
	return scan->is_reached && (most < SMRT_LOAD_FULL ||
								(most == SMRT_LOAD_FULL && least == SMRT_LOAD_HUNGRY));
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
		for (int i = 0; i < scan->n_columns; i++)
			smrt_column_change_role(scan->columns[i]);
	scan->role = GetUserId();
	for (int i = 0; i < scan->n_columns; i++)
		smrt_column_take(scan->columns[i], econtext);
	MemoryContextSwitchTo(before);
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
	for (int i = 0; i < scan->n_columns; i++)
	{
		int			column = scan->n_child_columns + i;

		slot->tts_values[column] = smrt_column_give(scan->columns[i],
													&slot->tts_isnull[column]);
	}
	ExecStoreVirtualTuple(slot);
	MemoryContextSwitchTo(before);
}

static void
end(CustomScanState *node)
{
	PredictScan *scan = (PredictScan *) node;

	ExecClearTuple(scan->row);	/* its tuple lies in the scan's context */
	MemoryContextDelete(scan->scan_context);
	detach_shared(scan);
	ExecEndNode(outerPlanState(node));
	smrt_failures_tell();
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
	for (int i = 0; i < scan->n_columns; i++)
		smrt_column_reset(scan->columns[i]);
	dlist_init(&scan->queue);
	scan->n_queued = 0;
	scan->exhausted = false;
	scan->n_taken = 0;
}

/*
 * Parallel query.  Each worker notes in its shutdown what it has sent.
 */

static Size
estimate_shared(CustomScanState *node, ParallelContext *parallel)
{
	return sizeof(dsm_handle);
}

static void
create_shared(CustomScanState *node, ParallelContext *parallel, void *place)
{
	PredictScan *scan = (PredictScan *) node;
	Size		size = offsetof(Shared, counts) +
		parallel->nworkers * scan->n_columns * sizeof(SmrtEngineCounts);

	*(dsm_handle *) place = DSM_HANDLE_INVALID;
	if (node->ss.ps.instrument == NULL)
		return;
	scan->segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (scan->segment == NULL)
		return;
	scan->shared = dsm_segment_address(scan->segment);
	memset(scan->shared, 0, size);
	scan->shared->n_workers = parallel->nworkers;
	*(dsm_handle *) place = dsm_segment_handle(scan->segment);
}

/* Counts are of all scans. */
static void
keep_shared(CustomScanState *node, ParallelContext *parallel, void *place)
{
}

static void
attach_shared(CustomScanState *node, shm_toc *toc, void *place)
{
	PredictScan *scan = (PredictScan *) node;
	dsm_handle	handle = *(dsm_handle *) place;

	if (handle == DSM_HANDLE_INVALID)
		return;
	scan->segment = dsm_attach(handle);
	if (scan->segment != NULL)
		scan->shared = dsm_segment_address(scan->segment);
}

static void
shut_down(CustomScanState *node)
{
	PredictScan *scan = (PredictScan *) node;

	if (!IsParallelWorker() || scan->shared == NULL)
		return;
	for (int i = 0; i < scan->n_columns; i++)
		smrt_engine_counts_add(&scan->shared->counts[ParallelWorkerNumber * scan->n_columns + i],
							   smrt_column_counts(scan->columns[i]));
	detach_shared(scan);
}

static void
detach_shared(PredictScan *scan)
{
	if (scan->segment != NULL)
		dsm_detach(scan->segment);
	scan->segment = NULL;
	scan->shared = NULL;
}

static void
explain(CustomScanState *node, List *ancestors, ExplainState *es)
{
	PredictScan *scan = (PredictScan *) node;

	ExplainOpenGroup("Models", "Models", false, es);
	for (int i = 0; i < scan->n_columns; i++)
	{
		SmrtEngineCounts counts = *smrt_column_counts(scan->columns[i]);

		for (int w = 0; scan->shared != NULL && w < scan->shared->n_workers; w++)
			smrt_engine_counts_add(&counts,
								   &scan->shared->counts[w * scan->n_columns + i]);
		smrt_column_explain(scan->columns[i], &counts, es);
	}
	ExplainCloseGroup("Models", "Models", false, es);
}
