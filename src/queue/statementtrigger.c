/*
 * The trigger behind a statement: its rows in batches.
 *
 * It fires itself again when it writes back.  Then no input has changed, so that
 * ends by itself; triggers of users that change inputs for ever end by depth.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "queue/boundrows.h"
#include "queue/trigger.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

/* More than models that feed each other need. */
#define MAX_DEPTH 16

/* Requests' worth of rows that are read before they are written back. */
#define ROUNDS_IN_HAND 4
#define MAX_ROWS_IN_HAND 10000

static void check_event(const TriggerData *trigger);
static const char *changed_rows(const TriggerData *trigger,
								const SmrtBoundTable *binding);
static void predict(const SmrtBoundTable *binding, const SmrtBoundRows *rows);

void
smrt_trigger_predict_rows(TriggerData *trigger)
{
	SmrtTableSpec spec = {.needs_key = true};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "sagemaker_rt rows in hand",
												  ALLOCSET_DEFAULT_SIZES);
	SmrtBoundTable *binding;
	SmrtBoundRows *rows;
	SPIPlanPtr	plan;
	Portal		cursor;
	int64		max_rows;

	check_event(trigger);
	smrt_trigger_read(trigger, &spec);
	binding = smrt_boundtable_make(&spec);
	max_rows = Min((int64) ROUNDS_IN_HAND * binding->model->concurrency *
				   binding->model->max_rows, MAX_ROWS_IN_HAND);
	SPI_connect();
	SPI_register_trigger_data(trigger);
	plan = SPI_prepare(changed_rows(trigger, binding), 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare: %s", SPI_result_code_string(SPI_result));
	cursor = SPI_cursor_open(NULL, plan, NULL, NULL, false);
	do
	{
		MemoryContext before;

		MemoryContextReset(context);
		before = MemoryContextSwitchTo(context);
		rows = smrt_boundrows_fetch(cursor, (int) max_rows);
		if (rows->n > 0)
			predict(binding, rows);
		MemoryContextSwitchTo(before);
	} while (rows->n > 0);
	SPI_cursor_close(cursor);
	SPI_finish();
	MemoryContextDelete(context);
}

static void
check_event(const TriggerData *trigger)
{
	bool		is_update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);

	if (!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!(is_update || TRIGGER_FIRED_BY_INSERT(trigger->tg_event)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("sagemaker_predict_rows() must be fired AFTER INSERT or AFTER UPDATE FOR EACH STATEMENT")));
	if (trigger->tg_trigger->tgnewtable == NULL ||
		(is_update && trigger->tg_trigger->tgoldtable == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" has no transition tables",
						trigger->tg_trigger->tgname),
				 errhint("Say REFERENCING NEW TABLE AS n, and for UPDATE also OLD TABLE AS o.")));
	if (DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) > MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("trigger \"%s\" is fired %d triggers deep",
						trigger->tg_trigger->tgname, MAX_DEPTH),
				 errdetail("Some trigger changes inputs whenever a prediction is written.")));
}

/* A row whose key has changed is a new one. */
static const char *
changed_rows(const TriggerData *trigger, const SmrtBoundTable *binding)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	smrt_boundtable_select(binding, &sql);
	appendStringInfo(&sql, " FROM %s t",
					 quote_identifier(trigger->tg_trigger->tgnewtable));
	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return sql.data;
	appendStringInfoString(&sql, " WHERE NOT EXISTS (SELECT FROM (SELECT ");
	smrt_boundtable_select(binding, &sql);
	appendStringInfo(&sql, " FROM %s t) s WHERE ",
					 quote_identifier(trigger->tg_trigger->tgoldtable));
	smrt_boundtable_same_key(binding, &sql);
	appendStringInfoString(&sql, " AND ");
	smrt_boundtable_same_inputs(binding, &sql);
	appendStringInfoString(&sql, ")");
	return sql.data;
}

static void
predict(const SmrtBoundTable *binding, const SmrtBoundRows *rows)
{
	const SmrtModel *model = binding->model;
	bool		isolate = smrt_model_on_error(model) != SMRT_ON_ERROR_ERROR;
	SmrtRowset *set = smrt_rowset_create(model, isolate, NULL);
	SmrtPrediction *predictions = palloc(rows->n * sizeof(SmrtPrediction));
	bool	   *written = palloc(rows->n * sizeof(bool));
	SmrtWriting writing = {0};

	smrt_boundrows_feed(binding, rows, set);
	smrt_rowset_send(set);
	for (int i = 0; i < rows->n; i++)
	{
		smrt_rowset_read(set, model, i, &predictions[i]);
		smrt_prediction_settle(model, &predictions[i]);
	}
	(void) smrt_boundrows_write(binding, rows, predictions, written, &writing);
}
