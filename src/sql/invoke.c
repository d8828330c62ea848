/*
 * sagemaker_invoke(): one InvokeEndpoint for each evaluation.  All its forms come
 * here; the type of their second argument tells them apart.
 */
#include "postgres.h"

#include "fmgr.h"
#include "model/invocation.h"
#include "scan/batching.h"

PG_FUNCTION_INFO_V1(sagemaker_invoke);

Datum
sagemaker_invoke(PG_FUNCTION_ARGS)
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
