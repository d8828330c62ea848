/*
 * Predictions without a declared model: sagemaker_predict(), and Aurora's
 * invoke_endpoint(), which the extension sagemaker_rt_aurora declares.
 *
 * Here each row is a request.  In a plan that the planner step has understood
 * neither is called: scan/callsite.c knows both by their symbols.
 */
#include "postgres.h"

#include "fmgr.h"
#include "model/predict.h"
#include "scan/batching.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(sagemaker_predict);
PG_FUNCTION_INFO_V1(sagemaker_aurora_invoke_endpoint);

static Datum predict(FunctionCallInfo fcinfo, int n_fixed, int max_rows);
static const SmrtModel *model_of(FunctionCallInfo fcinfo, int n_fixed,
								 int max_rows);

Datum
sagemaker_predict(PG_FUNCTION_ARGS)
{
	return predict(fcinfo, 1, 0);
}

Datum
sagemaker_aurora_invoke_endpoint(PG_FUNCTION_ARGS)
{
	return predict(fcinfo, 2, PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1));
}

static Datum
predict(FunctionCallInfo fcinfo, int n_fixed, int max_rows)
{
	int			n = PG_NARGS() - n_fixed;
	Datum	   *values;
	bool	   *nulls;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	values = palloc(Max(n, 1) * sizeof(Datum));
	nulls = palloc(Max(n, 1) * sizeof(bool));
	for (int i = 0; i < n; i++)
	{
		values[i] = fcinfo->args[n_fixed + i].value;
		nulls[i] = fcinfo->args[n_fixed + i].isnull;
	}
	return smrt_predict_row(model_of(fcinfo, n_fixed, max_rows), values, nulls,
							&fcinfo->isnull);
}

/* Kept while the endpoint stays the same. */
static const SmrtModel *
model_of(FunctionCallInfo fcinfo, int n_fixed, int max_rows)
{
	char	   *endpoint = text_to_cstring(PG_GETARG_TEXT_PP(0));
	SmrtModel  *model = fcinfo->flinfo->fn_extra;
	int			n = PG_NARGS() - n_fixed;
	MemoryContext before;
	Oid		   *types;

	if (model != NULL)
		smrt_batching_advise();
	if (model != NULL && strcmp(model->endpoint, endpoint) == 0)
		return model;
	if (model != NULL)
		MemoryContextDelete(GetMemoryChunkContext(model));
	fcinfo->flinfo->fn_extra = NULL;
	types = palloc(Max(n, 1) * sizeof(Oid));
	for (int i = 0; i < n; i++)
		types[i] = get_fn_expr_argtype(fcinfo->flinfo, n_fixed + i);
	before = MemoryContextSwitchTo(AllocSetContextCreate(fcinfo->flinfo->fn_mcxt,
														 "sagemaker_rt model",
														 ALLOCSET_SMALL_SIZES));
	model = smrt_model_undeclared(endpoint, max_rows, n, types);
	MemoryContextSwitchTo(before);
	fcinfo->flinfo->fn_extra = model;
	return model;
}
