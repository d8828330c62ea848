/*
 * Calls as columns.
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
#include "model/failures.h"
#include "model/invocation.h"
#include "model/predict.h"
#include "model/row.h"
#include "nodes/nodeFuncs.h"
#include "pg/compat.h"
#include "scan/column.h"
#include "scan/predictscan.h"
#include "utils/acl.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

struct SmrtColumn
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
	int			n_passed;		/* rows not given out that came before any that
								 * reached the call */
	SmrtEngineCounts counts;

	/* Of a model; else NULL. */
	const SmrtModel *model;
	SmrtEngine *engine;			/* NULL: not begun in this scan */

	/* Of sagemaker_invoke and sagemaker_invoke_async; else NULL. */
	SmrtInvokeSite *site;
	SmrtInvocations *invocations;	/* NULL: not begun in this scan */
	List	   *kept;			/* of MemoryContext: arguments of rows sent */
};

/* Whose identity was in force before the column's. */
typedef struct Identity
{
	Oid			user;
	int			context;
} Identity;

static bool check_execute(Oid function, Oid *owner);
static void evaluate(SmrtColumn *column, ExprContext *econtext);
static bool is_reached(SmrtColumn *column, ExprContext *econtext);
static void prepare(SmrtColumn *column);
static bool is_prepared(const SmrtColumn *column);
static void take_for_model(SmrtColumn *column, ExprContext *econtext,
						   bool reached);
static void take_for_invoke(SmrtColumn *column, ExprContext *econtext,
							bool reached);
static Datum give_of_model(SmrtColumn *column, bool *is_null);
static Datum give_of_invoke(SmrtColumn *column, bool *is_null);
static Identity become(Oid owner);
static void become_again(const Identity *before);
static const char *definition_problem(SmrtColumn *column);
static bool is_of_definition(int sqlerrcode);
static void explain_failures(const SmrtModel *model, ExplainState *es);
static void explain_counts(const SmrtEngineCounts *counts, ExplainState *es);

SmrtColumn *
smrt_column_create(List *model, List *expressions, PlanState *parent)
{
	SmrtColumn *column = palloc0(sizeof(SmrtColumn));
	Oid			function = DatumGetObjectId(list_nth_node(Const, model,
														  SMRT_MODEL_FUNCTION)->constvalue);
	List	   *arguments = list_copy_tail(expressions, 1);
	ListCell   *cell;

	column->context = CurrentMemoryContext;
	column->description = model;
	/* The call is a column now, so the executor does not check it. */
	if (!check_execute(function, &column->owner))
		column->owner = InvalidOid;
	fmgr_info(function, &column->function);
	if (linitial(expressions) != NULL)
		column->guard = ExecInitExpr(linitial(expressions), parent);
	column->n_arguments = list_length(arguments);
	column->arguments = palloc(column->n_arguments * sizeof(ExprState *));
	column->types = palloc(column->n_arguments * sizeof(Oid));
	column->values = palloc(column->n_arguments * sizeof(Datum));
	column->nulls = palloc(column->n_arguments * sizeof(bool));
	foreach(cell, arguments)
	{
		int			i = foreach_current_index(cell);

		column->arguments[i] = ExecInitExpr(lfirst(cell), parent);
		column->types[i] = exprType(lfirst(cell));
	}
	column->row_context = AllocSetContextCreate(CurrentMemoryContext,
												"sagemaker_rt row",
												ALLOCSET_DEFAULT_SIZES);
	return column;
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

/*
 * Reads the model's definition, if that was not done.  Not at the start: a
 * definition that is not valid stops no statement that calls nothing, as it does
 * not where calls are made row by row.
 */
static void
prepare(SmrtColumn *column)
{
	Oid			function = column->function.fn_oid;
	const char *endpoint = strVal(list_nth(column->description, SMRT_MODEL_ENDPOINT));
	MemoryContext before;

	if (is_prepared(column))
		return;
	before = MemoryContextSwitchTo(column->context);
	if (intVal(list_nth(column->description, SMRT_MODEL_IS_INVOKE)))
		column->site = smrt_invocation_site(function);
	else if (endpoint[0] == '\0')
		column->model = smrt_model_read(function);
	else
		column->model = smrt_model_undeclared(endpoint,
											  intVal(list_nth(column->description,
															SMRT_MODEL_MAX_ROWS)),
											  column->n_arguments, column->types);
	MemoryContextSwitchTo(before);
}

static bool
is_prepared(const SmrtColumn *column)
{
	return column->model != NULL || column->site != NULL;
}

int
smrt_column_window(const SmrtColumn *column)
{
	return column->model != NULL ?
		column->model->concurrency * column->model->max_rows :
		column->site != NULL ? smrt_settings.concurrency : 0;
}

void
smrt_column_take(SmrtColumn *column, ExprContext *econtext)
{
	MemoryContext before = MemoryContextSwitchTo(column->row_context);
	bool		reached = is_reached(column, econtext);

	MemoryContextSwitchTo(before);
	if (reached)
		prepare(column);
	if (column->model != NULL)
		take_for_model(column, econtext, reached);
	else if (column->site != NULL)
		take_for_invoke(column, econtext, reached);
	else
	{
		column->n_passed++;
		column->counts.skipped++;
	}
	MemoryContextReset(column->row_context);
}

static void
take_for_model(SmrtColumn *column, ExprContext *econtext, bool reached)
{
	MemoryContext before;
	SmrtBuf    *body;
	bool		sent = reached;
	Identity	caller;

	caller = become(column->owner);
	if (column->engine == NULL)
		column->engine = smrt_engine_create(column->model, &column->counts);
	body = smrt_engine_begin_row(column->engine);
	become_again(&caller);

	before = MemoryContextSwitchTo(column->row_context);
	if (sent)
		evaluate(column, econtext);
	caller = become(column->owner);
	if (sent)
		sent = smrt_row_write(column->model, column->values, column->nulls, body);
	MemoryContextSwitchTo(before);
	smrt_engine_end_row(column->engine, !sent);
	become_again(&caller);
}

static void
take_for_invoke(SmrtColumn *column, ExprContext *econtext, bool reached)
{
	MemoryContext before = MemoryContextSwitchTo(column->row_context);
	MemoryContext kept;
	Identity	caller;

	if (reached)
		evaluate(column, econtext);
	MemoryContextSwitchTo(before);
	kept = AllocSetContextCreate(CurrentMemoryContext, "sagemaker_rt arguments",
								 ALLOCSET_SMALL_SIZES);
	column->kept = lappend(column->kept, kept);
	caller = become(column->owner);
	if (column->invocations == NULL)
		column->invocations = smrt_invocations_create(column->site, &column->counts);
	if (reached)
	{
		MemoryContextSwitchTo(kept);
		for (int i = 0; i < column->n_arguments; i++)
			if (!column->nulls[i] && get_typlen(column->types[i]) == -1)
				column->values[i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(column->values[i]));
		smrt_invocations_send(column->invocations, column->values, column->nulls);
		MemoryContextSwitchTo(before);
	}
	else
		smrt_invocations_skip(column->invocations);
	become_again(&caller);
}

static bool
is_reached(SmrtColumn *column, ExprContext *econtext)
{
	bool		is_null;
	Datum		reached;

	if (column->guard == NULL)
		return true;
	reached = ExecEvalExpr(column->guard, econtext, &is_null);
	return !is_null && DatumGetBool(reached);
}

static void
evaluate(SmrtColumn *column, ExprContext *econtext)
{
	for (int i = 0; i < column->n_arguments; i++)
		column->values[i] = ExecEvalExpr(column->arguments[i], econtext,
										 &column->nulls[i]);
}

/* Rows of sagemaker_invoke wait for no others, and keep their arguments. */
SmrtEngineLoad
smrt_column_load(const SmrtColumn *column, int n_held)
{
	if (column->engine != NULL)
		return smrt_engine_load(column->engine, n_held);
	return column->invocations != NULL &&
		smrt_invocations_is_full(column->invocations) ?
		SMRT_LOAD_STUFFED : SMRT_LOAD_FED;
}

void
smrt_column_finish(SmrtColumn *column)
{
	if (column->engine != NULL)
		smrt_engine_finish(column->engine);
}

/* A request of its own is signed for the role that sends it anyway. */
void
smrt_column_change_role(SmrtColumn *column)
{
	if (column->engine != NULL && !OidIsValid(column->owner))
		smrt_engine_change_role(column->engine);
}

Datum
smrt_column_give(SmrtColumn *column, bool *is_null)
{
	Identity	caller;
	Datum		result;

	if (column->n_passed > 0)
	{
		column->n_passed--;
		*is_null = true;
		return (Datum) 0;
	}
	caller = become(column->owner);
	result = column->site != NULL ? give_of_invoke(column, is_null) :
		give_of_model(column, is_null);

	become_again(&caller);
	return result;
}

static Datum
give_of_model(SmrtColumn *column, bool *is_null)
{
	LOCAL_FCINFO(fcinfo, 0);
	PgStat_FunctionCallUsage usage;
	SmrtOutcome outcome;
	Datum		result;
	int64		failed;

	InitFunctionCallInfoData(*fcinfo, &column->function, 0, InvalidOid, NULL, NULL);
	if (!smrt_engine_next(column->engine, true, &outcome))
	{
		smrt_engine_finish(column->engine);
		if (!smrt_engine_next(column->engine, true, &outcome))
			elog(ERROR, "a row got no outcome");
	}
	if (outcome.skipped)
		return smrt_predict_datum(column->model, &outcome, is_null);
	failed = smrt_failures_count();
	pgstat_init_function_usage(fcinfo, &usage);
	result = smrt_predict_datum(column->model, &outcome, is_null);
	pgstat_end_function_usage(&usage, true);
	column->counts.failed += smrt_failures_count() - failed;
	return result;
}

static Datum
give_of_invoke(SmrtColumn *column, bool *is_null)
{
	LOCAL_FCINFO(fcinfo, 0);
	PgStat_FunctionCallUsage usage;
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, &column->function, 0, InvalidOid, NULL, NULL);
	pgstat_init_function_usage(fcinfo, &usage);
	result = smrt_invocations_next(column->invocations, is_null);
	pgstat_end_function_usage(&usage, true);
	MemoryContextDelete(linitial(column->kept));
	column->kept = list_delete_first(column->kept);
	return result;
}

void
smrt_column_reset(SmrtColumn *column)
{
	column->engine = NULL;
	column->invocations = NULL;
	column->kept = NIL;
	column->n_passed = 0;
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
smrt_column_counts(const SmrtColumn *column)
{
	return &column->counts;
}

void
smrt_column_explain(SmrtColumn *column, const SmrtEngineCounts *counts,
					ExplainState *es)
{
	const char *problem = definition_problem(column);
	const SmrtModel *model = column->model;

	ExplainOpenGroup("Model", NULL, true, es);
	if (model == NULL)
		ExplainPropertyText("Function", get_func_name(column->function.fn_oid), es);
	else
	{
		ExplainPropertyText("Model", model->name, es);
		ExplainPropertyText("Endpoint", model->endpoint, es);
		ExplainPropertyText("Format", smrt_definition_format(model->format), es);
		ExplainPropertyInteger("Max Rows per Request", NULL, model->max_rows, es);
		ExplainPropertyInteger("Max Bytes per Request", "bytes", model->max_bytes,
							   es);
	}
	if (problem != NULL)
		ExplainPropertyText("Definition Not Valid", problem, es);
	ExplainPropertyInteger("Max Requests in Flight", NULL,
						   model ? model->concurrency : smrt_settings.concurrency,
						   es);
	if (es->analyze)
		explain_counts(counts, es);
	if (es->analyze && model != NULL && counts->failed > 0)
		explain_failures(model, es);
	ExplainCloseGroup("Model", NULL, true, es);
}

/*
 * What is wrong with the definition, or NULL.  It is said and not raised: row by
 * row, EXPLAIN does not look at a definition.  No subtransaction is needed, as
 * reading it holds nothing but memory.
 */
static const char *
definition_problem(SmrtColumn *column)
{
	MemoryContext before = CurrentMemoryContext;
	const char *volatile problem = NULL;

	PG_TRY();
	{
		prepare(column);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(before);
		if (!is_of_definition(geterrcode()))
			PG_RE_THROW();
		problem = CopyErrorData()->message;
		FlushErrorState();
	}
	PG_END_TRY();
	return problem;
}

static bool
is_of_definition(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
			return true;
		default:
			return false;
	}
}

static void
explain_failures(const SmrtModel *model, ExplainState *es)
{
	char	   *by_state;
	char	   *messages;

	if (!smrt_failures_describe(model, &by_state, &messages))
		return;
	ExplainPropertyText("Failures by SQLSTATE", by_state, es);
	ExplainPropertyText("Failure Messages", messages, es);
}

static void
explain_counts(const SmrtEngineCounts *counts, ExplainState *es)
{
	static const char *const token_labels[SMRT_TOKENS_COUNT] = {
		[SMRT_TOKENS_INPUT] = "Input Tokens",
		[SMRT_TOKENS_OUTPUT] = "Output Tokens",
	};
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
		{"Rows Failed", NULL, counts->failed},
		{"Answers Sent Back", NULL, counts->repairs},
		{"Requests", NULL, counts->requests},
		{"Retries", NULL, counts->retries},
		{"Bytes Sent", "bytes", counts->bytes_out},
		{"Bytes Received", "bytes", counts->bytes_in},
	};

	for (int i = 0; i < lengthof(properties); i++)
		ExplainPropertyInteger(properties[i].label, properties[i].unit,
							   properties[i].value, es);
	/* Nothing is not none: most containers do not say. */
	for (int i = 0; i < SMRT_TOKENS_COUNT; i++)
		if (counts->told[i] > 0)
			ExplainPropertyInteger(token_labels[i], NULL, counts->tokens[i], es);
	if (counts->requests == 0)
		return;
	ExplainPropertyFloat("Rows per Request", NULL,
						 (double) (counts->rows + counts->rows_again) / counts->requests,
						 1, es);
	if (!es->timing)
		return;
	ExplainPropertyFloat("Min Request Time", "ms", counts->min_time_us / 1000.0, 3, es);
	ExplainPropertyFloat("Average Request Time", "ms",
						 counts->time_us / 1000.0 / counts->requests, 3, es);
	ExplainPropertyFloat("Max Request Time", "ms", counts->max_time_us / 1000.0, 3, es);
}
