/*
 * sagemaker_invoke() and sagemaker_invoke_async(): one InvokeEndpoint, or
 * InvokeEndpointAsync, for each evaluation.  In a plan that the planner step has
 * understood neither is called: scan/callsite.c knows both by their symbols.
 */
#include "postgres.h"

#include "fmgr.h"
#include "model/invocation.h"
#include "scan/batching.h"

PG_FUNCTION_INFO_V1(sagemaker_invoke);
PG_FUNCTION_INFO_V1(sagemaker_invoke_async);

static Datum invoke(FunctionCallInfo fcinfo);

Datum
sagemaker_invoke(PG_FUNCTION_ARGS)
{
	return invoke(fcinfo);
}

Datum
sagemaker_invoke_async(PG_FUNCTION_ARGS)
{
	return invoke(fcinfo);
}

static Datum
invoke(FunctionCallInfo fcinfo)
{
	SmrtInvokeSite *site = fcinfo->flinfo->fn_extra;
	SmrtEngineCounts counts = {0};
	SmrtInvocations *invocations;
	Datum	   *values = palloc(fcinfo->nargs * sizeof(Datum));
	bool	   *nulls = palloc(fcinfo->nargs * sizeof(bool));
	Datum		result;

	if (site == NULL)
	{
		MemoryContext before = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		site = smrt_invocation_site(fcinfo->flinfo->fn_oid);
		MemoryContextSwitchTo(before);
		fcinfo->flinfo->fn_extra = site;
	}
	else
		smrt_batching_advise();
	for (int i = 0; i < fcinfo->nargs; i++)
	{
		values[i] = fcinfo->args[i].value;
		nulls[i] = fcinfo->args[i].isnull;
	}
	invocations = smrt_invocations_create(site, &counts);
	smrt_invocations_send(invocations, values, nulls);
	result = smrt_invocations_next(invocations, &fcinfo->isnull);
	smrt_invocations_delete(invocations);
	return result;
}
