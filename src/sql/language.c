/*
 * LANGUAGE sagemaker: the call handler and the validator.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "commands/trigger.h"
#include "commands/event_trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "model/predict.h"
#include "model/predictstream.h"
#include "nodes/execnodes.h"
#include "scan/batching.h"
#include "sql/rows.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

/* What CREATE FUNCTION gives a language like ours unless told otherwise. */
#define DEFAULT_COST 100

PG_FUNCTION_INFO_V1(sagemaker_call_handler);
PG_FUNCTION_INFO_V1(sagemaker_validator);

/* What one call site keeps. */
typedef struct CallSite
{
	SmrtModel  *model;
	MemoryContext set_context;	/* of the set under way; NULL: none is */
	SmrtTextSet *set;			/* NULL: the row is not sent */
} CallSite;

static Datum next_piece(FunctionCallInfo fcinfo, CallSite *site,
						const Datum *values, const bool *nulls);
static bool next_text(SmrtTextSet *set, SmrtTextRow *row);
static void begin_set(FunctionCallInfo fcinfo, CallSite *site,
					  const Datum *values, const bool *nulls);
static void end_set(Datum arg);
static void advise(Oid function);
static bool public_may_execute(HeapTuple tuple);

Datum
sagemaker_call_handler(PG_FUNCTION_ARGS)
{
	CallSite   *site = fcinfo->flinfo->fn_extra;
	SmrtModel  *model;
	Datum	   *values;
	bool	   *nulls;

	if (CALLED_AS_TRIGGER(fcinfo) || CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a model function cannot be a trigger")));
	if (site == NULL)
	{
		MemoryContext before = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		site = palloc0(sizeof(CallSite));
		site->model = smrt_model_read(fcinfo->flinfo->fn_oid);
		MemoryContextSwitchTo(before);
		fcinfo->flinfo->fn_extra = site;
	}
	else if (!site->model->is_set)
		smrt_batching_advise();
	model = site->model;
	values = palloc(fcinfo->nargs * sizeof(Datum));
	nulls = palloc(fcinfo->nargs * sizeof(bool));
	for (int i = 0; i < fcinfo->nargs; i++)
	{
		values[i] = fcinfo->args[i].value;
		nulls[i] = fcinfo->args[i].isnull;
	}
	if (model->is_set && model->stream)
		return next_piece(fcinfo, site, values, nulls);
	if (!model->is_set)
		return smrt_predict_row(model, values, nulls, &fcinfo->isnull);
	smrt_predict_rows(model, values, nulls,
					  smrt_rows_begin(fcinfo, model->tupdesc));
	return (Datum) 0;
}

/*
 * A streaming model's set, row by row.  It is dropped at its end, and when the
 * expression is shut down because nobody wants more of it; an error deletes its
 * memory context with that of the call.
 */
static Datum
next_piece(FunctionCallInfo fcinfo, CallSite *site, const Datum *values,
		   const bool *nulls)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SmrtTextRow row;

	if (result == NULL || !IsA(result, ReturnSetInfo) ||
		(result->allowedModes & SFRM_ValuePerCall) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	if (site->set_context == NULL)
		begin_set(fcinfo, site, values, nulls);
	fcinfo->isnull = true;
	if (!next_text(site->set, &row))
	{
		UnregisterExprContextCallback(result->econtext, end_set,
									  PointerGetDatum(site));
		end_set(PointerGetDatum(site));
		result->isDone = ExprEndResult;
		return (Datum) 0;
	}
	result->isDone = ExprMultipleResult;
	fcinfo->isnull = row.delta.text == NULL;
	return fcinfo->isnull ? (Datum) 0 : CStringGetTextDatum(row.delta.text);
}

/* What a message says beside text has no place here. */
static bool
next_text(SmrtTextSet *set, SmrtTextRow *row)
{
	while (set != NULL && smrt_textset_next(set, row))
		if (row->delta.text != NULL || row->failure != NULL)
			return true;
	return false;
}

static void
begin_set(FunctionCallInfo fcinfo, CallSite *site, const Datum *values,
		  const bool *nulls)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext before;

	site->set_context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt,
											  "sagemaker_rt set",
											  ALLOCSET_SMALL_SIZES);
	RegisterExprContextCallback(result->econtext, end_set,
								PointerGetDatum(site));
	before = MemoryContextSwitchTo(site->set_context);
	site->set = smrt_predictstream_open(site->model, values, nulls);
	MemoryContextSwitchTo(before);
}

static void
end_set(Datum arg)
{
	CallSite   *site = (CallSite *) DatumGetPointer(arg);

	MemoryContextDelete(site->set_context);
	site->set_context = NULL;
	site->set = NULL;
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
