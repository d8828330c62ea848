/*
 * Arguments of procedures, and what these give back.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "sql/arguments.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

void
smrt_arguments_require_no_transaction(FunctionCallInfo fcinfo,
									  const char *name)
{
	PreventCommandIfReadOnly(name);
	PreventCommandDuringRecovery(name);
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("%s cannot run inside a transaction block", name),
				 errhint("It commits as it goes: CALL it by itself, neither between BEGIN and COMMIT nor in a function.")));
}

char *
smrt_arguments_text(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

List *
smrt_arguments_names(FunctionCallInfo fcinfo, int arg)
{
	char	   *given = smrt_arguments_text(fcinfo, arg);
	List	   *names = NIL;

	/* The names lie in what is split. */
	if (given != NULL &&
		(!SplitIdentifierString(pstrdup(given), ',', &names) || names == NIL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is no list of columns", given)));
	return names;
}

const char *
smrt_arguments_name(FunctionCallInfo fcinfo, int arg)
{
	List	   *names = smrt_arguments_names(fcinfo, arg);

	if (list_length(names) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is more than one column", smrt_arguments_text(fcinfo, arg))));
	return names != NIL ? linitial(names) : NULL;
}

int64
smrt_arguments_number(FunctionCallInfo fcinfo, int arg, int64 min,
					  int64 otherwise, const char *name)
{
	int64		number;

	if (PG_ARGISNULL(arg))
		return otherwise;
	number = PG_GETARG_INT64(arg);
	if (number < min)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be at least " INT64_FORMAT, name, min)));
	return number;
}

Datum
smrt_arguments_job_counts(FunctionCallInfo fcinfo,
						  const SmrtJobCounts *counts)
{
	TupleDesc	desc;
	Datum		values[] = {
		Int64GetDatum(counts->scored),
		Int64GetDatum(counts->failed),
		Int64GetDatum(counts->skipped),
		Int64GetDatum(counts->unwritten),
	};
	bool		nulls[lengthof(values)] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != lengthof(values))
		elog(ERROR, "procedure does not return the row it should");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
