/*
 * The trigger before a row is stored.  The model answers while the statement
 * waits, so this is for tables into which rows come one by one.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/executor.h"
#include "model/rowset.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "queue/resultrow.h"
#include "queue/trigger.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* What stays the same from row to row. */
typedef struct RowTrigger
{
	SmrtBoundTable *binding;
	ExprContext *econtext;
	ExprState **inputs;			/* over the relation's row */
	TupleTableSlot *result;		/* the prediction, as resultrow.h has it */
	ExprState **written;		/* over that */
	MemoryContext row_context;	/* reset row by row */
} RowTrigger;

static RowTrigger *create(const TriggerData *trigger);
static void refuse_generated(const TriggerData *trigger,
							 const SmrtBoundTable *binding);
static ExprState *coercion(TupleDesc desc, int i, Oid type, int32 typmod,
						   CoercionContext how);
static void predict(RowTrigger *state, TupleTableSlot *row,
					SmrtPrediction *prediction);
static HeapTuple store(RowTrigger *state, Relation relation, HeapTuple tuple,
					   const SmrtPrediction *prediction);

HeapTuple
smrt_trigger_predict_row(const TriggerData *trigger, void **state,
						 MemoryContext context)
{
	bool		is_update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	HeapTuple	tuple = is_update ? trigger->tg_newtuple : trigger->tg_trigtuple;
	RowTrigger *row_trigger;
	SmrtPrediction prediction;
	MemoryContext before;

	smrt_trigger_require_row(trigger, "sagemaker_predict_row", "BEFORE");
	if (*state == NULL)
	{
		before = MemoryContextSwitchTo(context);
		*state = create(trigger);
		MemoryContextSwitchTo(before);
	}
	row_trigger = *state;
	if (is_update && !smrt_trigger_input_changed(trigger, row_trigger->binding))
		return tuple;
	before = MemoryContextSwitchTo(row_trigger->row_context);
	predict(row_trigger, is_update ? trigger->tg_newslot : trigger->tg_trigslot,
			&prediction);
	MemoryContextSwitchTo(before);
	tuple = store(row_trigger, trigger->tg_relation, tuple, &prediction);
	ExecClearTuple(row_trigger->result);
	MemoryContextReset(row_trigger->row_context);
	return tuple;
}

static RowTrigger *
create(const TriggerData *trigger)
{
	RowTrigger *state = palloc0(sizeof(RowTrigger));
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	SmrtTableSpec spec = {0};
	SmrtBoundTable *binding;
	TupleDesc	result;

	smrt_trigger_read(trigger, &spec);
	state->binding = binding = smrt_boundtable_make(&spec);
	refuse_generated(trigger, binding);
	state->econtext = CreateStandaloneExprContext();
	state->inputs = palloc(binding->n_inputs * sizeof(ExprState *));
	for (int i = 0; i < binding->n_inputs; i++)
		state->inputs[i] = coercion(desc, binding->inputs[i].number - 1,
									binding->model->arguments[i].declared, -1,
									COERCION_IMPLICIT);
	result = CreateTemplateTupleDesc(smrt_resultrow_width(binding));
	smrt_resultrow_describe(binding, result, 1);
	state->result = MakeSingleTupleTableSlot(result, &TTSOpsVirtual);
	state->written = palloc(binding->n_written * sizeof(ExprState *));
	for (int i = 0; i < binding->n_written; i++)
		state->written[i] = coercion(result, binding->written[i].source,
									 binding->written[i].type,
									 binding->written[i].typmod,
									 COERCION_ASSIGNMENT);
	state->row_context = AllocSetContextCreate(CurrentMemoryContext,
											   "sagemaker_rt trigger row",
											   ALLOCSET_DEFAULT_SIZES);
	return state;
}

/* PostgreSQL computes them behind all BEFORE triggers. */
static void
refuse_generated(const TriggerData *trigger, const SmrtBoundTable *binding)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);

	for (int i = 0; i < binding->n_inputs; i++)
		if (TupleDescAttr(desc, binding->inputs[i].number - 1)->attgenerated != '\0')
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" is generated, and has no value before the row is stored",
							binding->inputs[i].name),
					 errhint("Use sagemaker_predict_rows() AFTER the statement.")));
}

/* Column i of a row as another type, as an assignment or a call would make it. */
static ExprState *
coercion(TupleDesc desc, int i, Oid type, int32 typmod, CoercionContext how)
{
	Form_pg_attribute attribute = TupleDescAttr(desc, i);
	Node	   *column = (Node *) makeVar(1, i + 1, attribute->atttypid,
										  attribute->atttypmod,
										  attribute->attcollation, 0);

	column = coerce_to_target_type(NULL, column, attribute->atttypid, type,
								   typmod, how, COERCE_IMPLICIT_CAST, -1);
	if (column == NULL)
		elog(ERROR, "a column's type has changed");
	return ExecInitExpr(expression_planner((Expr *) column), NULL);
}

/* A failure is raised, or is NULL, as the model's on_error says. */
static void
predict(RowTrigger *state, TupleTableSlot *row, SmrtPrediction *prediction)
{
	const SmrtBoundTable *binding = state->binding;
	const SmrtModel *model = binding->model;
	ExprContext *econtext = state->econtext;
	Datum	   *values = palloc(binding->n_inputs * sizeof(Datum));
	bool	   *nulls = palloc(binding->n_inputs * sizeof(bool));
	SmrtRowset *set;

	ResetExprContext(econtext);
	econtext->ecxt_scantuple = row;
	for (int i = 0; i < binding->n_inputs; i++)
		values[i] = ExecEvalExprSwitchContext(state->inputs[i], econtext,
											  &nulls[i]);
	set = smrt_rowset_create(model,
							 smrt_model_on_error(model) != SMRT_ON_ERROR_ERROR,
							 NULL);
	smrt_rowset_add(set, values, nulls);
	smrt_rowset_send(set);
	smrt_rowset_read(set, model, 0, prediction);
	smrt_prediction_settle(model, prediction);
}

/* The row with what is written, in the current memory context. */
static HeapTuple
store(RowTrigger *state, Relation relation, HeapTuple tuple,
	  const SmrtPrediction *prediction)
{
	const SmrtBoundTable *binding = state->binding;
	TupleTableSlot *result = state->result;
	int			n = binding->n_written;
	int		   *numbers = palloc(n * sizeof(int));
	Datum	   *values = palloc(n * sizeof(Datum));
	bool	   *nulls = palloc(n * sizeof(bool));

	ExecClearTuple(result);
	smrt_resultrow_fill(binding, prediction, result->tts_values,
						result->tts_isnull);
	ExecStoreVirtualTuple(result);
	state->econtext->ecxt_scantuple = result;
	for (int i = 0; i < n; i++)
	{
		numbers[i] = binding->written[i].number;
		values[i] = ExecEvalExprSwitchContext(state->written[i],
											  state->econtext, &nulls[i]);
	}
	return heap_modify_tuple_by_cols(tuple, RelationGetDescr(relation), n,
									 numbers, values, nulls);
}
