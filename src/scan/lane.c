/*
 * Lanes.
 *
 * The two kinds differ in what a row becomes: a few bytes of an engine's request,
 * or a request of its own, made of arguments that have to be kept until it is
 * answered.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "model/definition.h"
#include "model/invocation.h"
#include "model/predict.h"
#include "model/row.h"
#include "nodes/nodeFuncs.h"
#include "pg/compat.h"
#include "scan/lane.h"
#include "scan/predictscan.h"
#include "utils/acl.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

struct SmrtLane
{
	MemoryContext context;		/* of the plan's execution */
	List	   *description;	/* smrt_predictscan_model()'s */
	FmgrInfo	function;		/* for track_functions */
	Oid			owner;			/* who signs, if it is SECURITY DEFINER */
	ExprState  *guard;			/* NULL: every row is called for */
	int			n_arguments;
	ExprState **arguments;		/* over the child's slot */
	Oid		   *types;
	Datum	   *values;
	bool	   *nulls;
	MemoryContext row_context;	/* arguments of one row, while written */
	SmrtEngineCounts counts;

	/* Of a model; else NULL. */
	const SmrtModel *model;
	SmrtEngine *engine;			/* NULL: not begun in this scan */

	/* Of sagemaker_invoke; else NULL. */
	SmrtInvokeSite *site;
	SmrtInvocations *invocations;	/* NULL: not begun in this scan */
	List	   *kept;			/* of MemoryContext: arguments of rows sent */
};

/* Whose identity was in force before the lane's. */
typedef struct Identity
{
	Oid			user;
	int			context;
} Identity;

static bool check_execute(Oid function, Oid *owner);
static void evaluate(SmrtLane *lane, ExprContext *econtext);
static bool is_reached(SmrtLane *lane, ExprContext *econtext);
static void take_for_model(SmrtLane *lane, ExprContext *econtext);
static void take_for_invoke(SmrtLane *lane, ExprContext *econtext);
static Datum give_of_model(SmrtLane *lane, bool *is_null);
static Datum give_of_invoke(SmrtLane *lane, bool *is_null);
static Identity become(Oid owner);
static void become_again(const Identity *before);
static void explain_counts(const SmrtEngineCounts *counts, ExplainState *es);

SmrtLane *
smrt_lane_create(List *model, List *expressions, PlanState *parent)
{
	SmrtLane   *lane = palloc0(sizeof(SmrtLane));
	Oid			function = DatumGetObjectId(list_nth_node(Const, model,
														  SMRT_MODEL_FUNCTION)->constvalue);
	List	   *arguments = list_copy_tail(expressions, 1);
	ListCell   *cell;

	lane->context = CurrentMemoryContext;
	lane->description = model;
	/* The call is a column now, so the executor does not check it. */
	if (!check_execute(function, &lane->owner))
		lane->owner = InvalidOid;
	fmgr_info(function, &lane->function);
	if (linitial(expressions) != NULL)
		lane->guard = ExecInitExpr(linitial(expressions), parent);
	lane->n_arguments = list_length(arguments);
	lane->arguments = palloc(lane->n_arguments * sizeof(ExprState *));
	lane->types = palloc(lane->n_arguments * sizeof(Oid));
	lane->values = palloc(lane->n_arguments * sizeof(Datum));
	lane->nulls = palloc(lane->n_arguments * sizeof(bool));
	foreach(cell, arguments)
	{
		int			i = foreach_current_index(cell);

		lane->arguments[i] = ExecInitExpr(lfirst(cell), parent);
		lane->types[i] = exprType(lfirst(cell));
	}
	lane->row_context = AllocSetContextCreate(CurrentMemoryContext,
											  "sagemaker_rt row",
											  ALLOCSET_DEFAULT_SIZES);
	return lane;
}

/* Whether it runs as its owner. */
static bool
check_execute(Oid function, Oid *owner)
{
	AclResult	result = smrt_function_aclcheck(function, GetUserId());
	HeapTuple	tuple;
	bool		is_definer;

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
	InvokeFunctionExecuteHook(function);
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	is_definer = ((Form_pg_proc) GETSTRUCT(tuple))->prosecdef;
	*owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return is_definer;
}

void
smrt_lane_prepare(SmrtLane *lane)
{
	Oid			function = lane->function.fn_oid;
	const char *endpoint = strVal(list_nth(lane->description, SMRT_MODEL_ENDPOINT));
	MemoryContext before;

	if (lane->model != NULL || lane->site != NULL)
		return;
	before = MemoryContextSwitchTo(lane->context);
	if (intVal(list_nth(lane->description, SMRT_MODEL_IS_INVOKE)))
		lane->site = smrt_invocation_site(function);
	else if (endpoint[0] == '\0')
		lane->model = smrt_model_read(function);
	else
		lane->model = smrt_model_undeclared(endpoint,
											intVal(list_nth(lane->description,
															SMRT_MODEL_MAX_ROWS)),
											lane->n_arguments, lane->types);
	MemoryContextSwitchTo(before);
}

int
smrt_lane_window(const SmrtLane *lane)
{
	return lane->site != NULL ? smrt_settings.concurrency :
		lane->model->concurrency * lane->model->max_rows;
}

void
smrt_lane_take(SmrtLane *lane, ExprContext *econtext)
{
	if (lane->site != NULL)
		take_for_invoke(lane, econtext);
	else
		take_for_model(lane, econtext);
	MemoryContextReset(lane->row_context);
}

static void
take_for_model(SmrtLane *lane, ExprContext *econtext)
{
	MemoryContext before;
	SmrtBuf    *body;
	bool		sent;
	Identity	caller;

	caller = become(lane->owner);
	if (lane->engine == NULL)
		lane->engine = smrt_engine_create(lane->model, &lane->counts);
	body = smrt_engine_begin_row(lane->engine);
	become_again(&caller);

	before = MemoryContextSwitchTo(lane->row_context);
	sent = is_reached(lane, econtext);
	if (sent)
		evaluate(lane, econtext);
	caller = become(lane->owner);
	if (sent)
		sent = smrt_row_write(lane->model, lane->values, lane->nulls, body);
	MemoryContextSwitchTo(before);
	smrt_engine_end_row(lane->engine, !sent);
	become_again(&caller);
}

static void
take_for_invoke(SmrtLane *lane, ExprContext *econtext)
{
	MemoryContext before = MemoryContextSwitchTo(lane->row_context);
	bool		sent = is_reached(lane, econtext);
	MemoryContext kept;
	Identity	caller;

	if (sent)
		evaluate(lane, econtext);
	MemoryContextSwitchTo(before);
	kept = AllocSetContextCreate(CurrentMemoryContext, "sagemaker_rt arguments",
								 ALLOCSET_SMALL_SIZES);
	lane->kept = lappend(lane->kept, kept);
	caller = become(lane->owner);
	if (lane->invocations == NULL)
		lane->invocations = smrt_invocations_create(lane->site, &lane->counts);
	if (sent)
	{
		MemoryContextSwitchTo(kept);
		/* All types of its arguments are of variable length. */
		for (int i = 0; i < lane->n_arguments; i++)
			if (!lane->nulls[i])
				lane->values[i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(lane->values[i]));
		smrt_invocations_send(lane->invocations, lane->values, lane->nulls);
		MemoryContextSwitchTo(before);
	}
	else
		smrt_invocations_skip(lane->invocations);
	become_again(&caller);
}

static bool
is_reached(SmrtLane *lane, ExprContext *econtext)
{
	bool		is_null;
	Datum		reached;

	if (lane->guard == NULL)
		return true;
	reached = ExecEvalExpr(lane->guard, econtext, &is_null);
	return !is_null && DatumGetBool(reached);
}

static void
evaluate(SmrtLane *lane, ExprContext *econtext)
{
	for (int i = 0; i < lane->n_arguments; i++)
		lane->values[i] = ExecEvalExpr(lane->arguments[i], econtext,
									   &lane->nulls[i]);
}

bool
smrt_lane_is_full(const SmrtLane *lane)
{
	return (lane->engine != NULL && smrt_engine_is_full(lane->engine)) ||
		(lane->invocations != NULL && smrt_invocations_is_full(lane->invocations));
}

void
smrt_lane_finish(SmrtLane *lane)
{
	if (lane->engine != NULL)
		smrt_engine_finish(lane->engine);
}

/* A request of its own is signed for the role that sends it anyway. */
void
smrt_lane_change_role(SmrtLane *lane)
{
	if (lane->engine != NULL && !OidIsValid(lane->owner))
		smrt_engine_change_role(lane->engine);
}

Datum
smrt_lane_give(SmrtLane *lane, bool *is_null)
{
	Identity	caller = become(lane->owner);
	Datum		result = lane->site != NULL ? give_of_invoke(lane, is_null) :
		give_of_model(lane, is_null);

	become_again(&caller);
	return result;
}

static Datum
give_of_model(SmrtLane *lane, bool *is_null)
{
	LOCAL_FCINFO(fcinfo, 0);
	PgStat_FunctionCallUsage usage;
	SmrtOutcome outcome;
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, &lane->function, 0, InvalidOid, NULL, NULL);
	if (!smrt_engine_next(lane->engine, true, &outcome))
	{
		smrt_engine_finish(lane->engine);
		if (!smrt_engine_next(lane->engine, true, &outcome))
			elog(ERROR, "a row got no outcome");
	}
	if (outcome.skipped)
		return smrt_predict_datum(lane->model, &outcome, is_null);
	pgstat_init_function_usage(fcinfo, &usage);
	result = smrt_predict_datum(lane->model, &outcome, is_null);
	pgstat_end_function_usage(&usage, true);
	return result;
}

static Datum
give_of_invoke(SmrtLane *lane, bool *is_null)
{
	LOCAL_FCINFO(fcinfo, 0);
	PgStat_FunctionCallUsage usage;
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, &lane->function, 0, InvalidOid, NULL, NULL);
	pgstat_init_function_usage(fcinfo, &usage);
	result = smrt_invocations_next(lane->invocations, is_null);
	pgstat_end_function_usage(&usage, true);
	MemoryContextDelete(linitial(lane->kept));
	lane->kept = list_delete_first(lane->kept);
	return result;
}

void
smrt_lane_reset(SmrtLane *lane)
{
	lane->engine = NULL;
	lane->invocations = NULL;
	lane->kept = NIL;
}

/*
 * What a SECURITY DEFINER function does, it does as its owner.  An error puts the
 * caller back by itself.
 */
static Identity
become(Oid owner)
{
	Identity	before;

	GetUserIdAndSecContext(&before.user, &before.context);
	if (OidIsValid(owner))
		SetUserIdAndSecContext(owner, before.context | SECURITY_LOCAL_USERID_CHANGE);
	return before;
}

static void
become_again(const Identity *before)
{
	SetUserIdAndSecContext(before->user, before->context);
}

const SmrtEngineCounts *
smrt_lane_counts(const SmrtLane *lane)
{
	return &lane->counts;
}

void
smrt_lane_explain(SmrtLane *lane, const SmrtEngineCounts *counts,
				  ExplainState *es)
{
	const SmrtModel *model;

	smrt_lane_prepare(lane);
	model = lane->model;
	ExplainOpenGroup("Model", NULL, true, es);
	if (model == NULL)
		ExplainPropertyText("Function", get_func_name(lane->function.fn_oid), es);
	else
	{
		ExplainPropertyText("Model", model->name, es);
		ExplainPropertyText("Endpoint", model->endpoint, es);
		ExplainPropertyText("Format", smrt_definition_format(model->format), es);
		ExplainPropertyInteger("Max Rows per Request", NULL, model->max_rows, es);
		ExplainPropertyInteger("Max Bytes per Request", "bytes", model->max_bytes,
							   es);
	}
	ExplainPropertyInteger("Max Requests in Flight", NULL,
						   model ? model->concurrency : smrt_settings.concurrency,
						   es);
	if (es->analyze)
		explain_counts(counts, es);
	ExplainCloseGroup("Model", NULL, true, es);
}

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
	if (counts->requests == 0)
		return;
	ExplainPropertyFloat("Rows per Request", NULL,
						 (double) (counts->rows + counts->rows_again) / counts->requests,
						 1, es);
	ExplainPropertyFloat("Min Request Time", "ms", counts->min_time_us / 1000.0, 3, es);
	ExplainPropertyFloat("Average Request Time", "ms",
						 counts->time_us / 1000.0 / counts->requests, 3, es);
	ExplainPropertyFloat("Max Request Time", "ms", counts->max_time_us / 1000.0, 3, es);
}
