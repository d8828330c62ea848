/*
 * The queue's SQL functions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "queue/enqueue.h"
#include "sql/arguments.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(sagemaker_enqueue);
PG_FUNCTION_INFO_V1(sagemaker_enqueue_row);
PG_FUNCTION_INFO_V1(sagemaker_requeue);
PG_FUNCTION_INFO_V1(sagemaker_queue_restore);

/* Arguments of sagemaker_enqueue(). */
enum
{
	ARG_RELATION,
	ARG_MODEL,
	ARG_KEY,
	ARG_TARGET,
	ARG_STAMPS
};

static void require_trigger(FunctionCallInfo fcinfo);

/* The extension's schema, which has its table. */
#define NAMESPACE get_func_namespace(fcinfo->flinfo->fn_oid)

Datum
sagemaker_enqueue(PG_FUNCTION_ARGS)
{
	SmrtTableSpec spec = {0};

	if (PG_ARGISNULL(ARG_RELATION) || PG_ARGISNULL(ARG_MODEL) ||
		PG_ARGISNULL(ARG_KEY))
		PG_RETURN_NULL();
	spec.relation = PG_GETARG_OID(ARG_RELATION);
	spec.function = smrt_boundtable_function(smrt_arguments_text(fcinfo, ARG_MODEL));
	spec.targets = smrt_arguments_names(fcinfo, ARG_TARGET);
	for (int i = 0; i < SMRT_STAMP_COUNT; i++)
		spec.stamps[i] = smrt_arguments_name(fcinfo, ARG_STAMPS + i);
	PG_RETURN_INT64(smrt_enqueue(NAMESPACE, &spec,
								 PG_GETARG_ARRAYTYPE_P(ARG_KEY)));
}

Datum
sagemaker_enqueue_row(PG_FUNCTION_ARGS)
{
	require_trigger(fcinfo);
	smrt_enqueue_row(NAMESPACE, (TriggerData *) fcinfo->context,
					 &fcinfo->flinfo->fn_extra, fcinfo->flinfo->fn_mcxt);
	return PointerGetDatum(NULL);
}

Datum
sagemaker_requeue(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(smrt_enqueue_again(NAMESPACE, PG_GETARG_INT64(0)));
}

/* A row that was with a worker when it was dumped waits where it is restored. */
Datum
sagemaker_queue_restore(PG_FUNCTION_ARGS)
{
	TriggerData *trigger;
	TupleDesc	desc;
	int			columns[2];
	Datum		values[2];
	bool		nulls[2] = {false, false};

	require_trigger(fcinfo);
	trigger = (TriggerData *) fcinfo->context;
	/* The columns of other tables may be of any type. */
	if (RelationGetRelid(trigger->tg_relation) !=
		get_relname_relid("sagemaker_queue", NAMESPACE))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("sagemaker_queue_restore() is for table sagemaker_queue")));
	desc = RelationGetDescr(trigger->tg_relation);
	columns[0] = SPI_fnumber(desc, "state");
	values[0] = CStringGetTextDatum("waiting");
	columns[1] = SPI_fnumber(desc, "due_at");
	values[1] = TimestampTzGetDatum(GetCurrentTimestamp());
	return PointerGetDatum(heap_modify_tuple_by_cols(trigger->tg_trigtuple, desc,
													 lengthof(columns), columns,
													 values, nulls));
}

static void
require_trigger(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s() was not called by a trigger",
						get_func_name(fcinfo->flinfo->fn_oid))));
}
