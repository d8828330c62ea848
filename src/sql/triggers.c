/*
 * Trigger functions.
 */
#include "postgres.h"

#include "fmgr.h"
#include "queue/trigger.h"

PG_FUNCTION_INFO_V1(sagemaker_predict_row);
PG_FUNCTION_INFO_V1(sagemaker_predict_rows);

static TriggerData *trigger_data(FunctionCallInfo fcinfo);

Datum
sagemaker_predict_row(PG_FUNCTION_ARGS)
{
	return PointerGetDatum(smrt_trigger_predict_row(trigger_data(fcinfo),
													&fcinfo->flinfo->fn_extra,
													fcinfo->flinfo->fn_mcxt));
}

Datum
sagemaker_predict_rows(PG_FUNCTION_ARGS)
{
	smrt_trigger_predict_rows(trigger_data(fcinfo));
	return PointerGetDatum(NULL);
}

static TriggerData *
trigger_data(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("the function is for triggers only")));
	return (TriggerData *) fcinfo->context;
}
