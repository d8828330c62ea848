/*
 * LANGUAGE sagemaker: the call handler and the validator.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "commands/trigger.h"
#include "commands/event_trigger.h"
#include "fmgr.h"
#include "model/predict.h"
#include "scan/batching.h"
#include "sql/rows.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

/* What CREATE FUNCTION gives a language like ours unless told otherwise. */
#define DEFAULT_COST 100

PG_FUNCTION_INFO_V1(sagemaker_call_handler);
PG_FUNCTION_INFO_V1(sagemaker_validator);

static void advise(Oid function);
static bool public_may_execute(HeapTuple tuple);

Datum
sagemaker_call_handler(PG_FUNCTION_ARGS)
{
	SmrtModel  *model = fcinfo->flinfo->fn_extra;
	Datum	   *values;
	bool	   *nulls;

	if (CALLED_AS_TRIGGER(fcinfo) || CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a model function cannot be a trigger")));
	if (model == NULL)
	{
		MemoryContext before = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		model = smrt_model_read(fcinfo->flinfo->fn_oid);
		MemoryContextSwitchTo(before);
		fcinfo->flinfo->fn_extra = model;
	}
	else if (!model->is_set)
		smrt_batching_advise();
	values = palloc(fcinfo->nargs * sizeof(Datum));
	nulls = palloc(fcinfo->nargs * sizeof(bool));
	for (int i = 0; i < fcinfo->nargs; i++)
	{
		values[i] = fcinfo->args[i].value;
		nulls[i] = fcinfo->args[i].isnull;
	}
	if (!model->is_set)
		return smrt_predict_row(model, values, nulls, &fcinfo->isnull);
	smrt_predict_rows(model, values, nulls,
					  smrt_rows_begin(fcinfo, model->tupdesc));
	return (Datum) 0;
}

Datum
sagemaker_validator(PG_FUNCTION_ARGS)
{
	Oid			function = PG_GETARG_OID(0);

	if (!CheckFunctionValidatorAccess(fcinfo->flinfo->fn_oid, function))
		PG_RETURN_VOID();
	if (check_function_bodies)
	{
		(void) smrt_model_read(function);
		advise(function);
	}
	PG_RETURN_VOID();
}

/* One notice about what makes a model slow or open, whoever chose it. */
static void
advise(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

	if (proc->procost == DEFAULT_COST || proc->proparallel == PROPARALLEL_UNSAFE)
		ereport(NOTICE,
				(errmsg("model function \"%s\" is %s", NameStr(proc->proname),
						proc->procost != DEFAULT_COST ? "PARALLEL UNSAFE" :
						proc->proparallel != PROPARALLEL_UNSAFE ? "declared with COST 100" :
						"declared with COST 100 and PARALLEL UNSAFE"),
				 errhint("Declare it PARALLEL SAFE COST 10000, so that cheaper conditions come first and parallel workers may help.")));
	if (proc->prosecdef && public_may_execute(tuple))
		ereport(NOTICE,
				(errmsg("model function \"%s\" is SECURITY DEFINER and can be executed by everybody",
						NameStr(proc->proname)),
				 errhint("REVOKE EXECUTE ON FUNCTION ... FROM PUBLIC.")));
	ReleaseSysCache(tuple);
}

static bool
public_may_execute(HeapTuple tuple)
{
	bool		is_default;
	Datum		acl = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proacl,
									  &is_default);

	/* Without a list EXECUTE is everybody's. */
	return is_default ||
		aclmask(DatumGetAclP(acl), ACL_ID_PUBLIC,
				((Form_pg_proc) GETSTRUCT(tuple))->proowner,
				ACL_EXECUTE, ACLMASK_ANY) != 0;
}
