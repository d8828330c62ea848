/*
 * The table job and what it remembers, in SQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pg/searchpath.h"
#include "queue/failedrows.h"
#include "queue/tablejob.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(sagemaker_predict_table);
PG_FUNCTION_INFO_V1(sagemaker_retry_failed);
PG_FUNCTION_INFO_V1(sagemaker_may_read_row);

/* Arguments of sagemaker_predict_table(). */
enum
{
	ARG_RELATION,
	ARG_MODEL,
	ARG_TARGET,
	ARG_ROWS,
	ARG_SOURCE,
	ARG_KEY,
	ARG_INSERT_ROWS,
	ARG_MADE_AT,
	ARG_VARIANT,
	ARG_VERSION,
	ARG_ROWS_PER_TRANSACTION,
	ARG_MAX_ROWS,
	ARG_MAX_TIME,
	ARG_MAX_ATTEMPTS,
	ARG_MAX_FAILED_ROWS,
	ARG_MAX_FAILED_RATIO,
	ARG_SCORED
};

static void require_no_transaction(FunctionCallInfo fcinfo);
static void read_job(FunctionCallInfo fcinfo, SmrtTableJob *job);
static char *text_of(FunctionCallInfo fcinfo, int arg);
static List *names_of(FunctionCallInfo fcinfo, int arg);
static const char *name_of(FunctionCallInfo fcinfo, int arg);
static int64 number_of(FunctionCallInfo fcinfo, int arg, int64 min,
					   int64 otherwise, const char *name);
static int64 ms_of(FunctionCallInfo fcinfo, int arg);
static Datum counts_row(FunctionCallInfo fcinfo, const SmrtJobCounts *counts);

Datum
sagemaker_predict_table(PG_FUNCTION_ARGS)
{
	SmrtTableJob job = {{0}};
	SmrtJobCounts counts = {0};

	require_no_transaction(fcinfo);
	read_job(fcinfo, &job);
	smrt_tablejob_run(&job, &counts);
	return counts_row(fcinfo, &counts);
}

static void
require_no_transaction(FunctionCallInfo fcinfo)
{
	const char *name = "sagemaker_predict_table()";

	PreventCommandIfReadOnly(name);
	PreventCommandDuringRecovery(name);
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("%s cannot run inside a transaction block", name),
				 errhint("It commits as it goes: CALL it by itself, neither between BEGIN and COMMIT nor in a function.")));
}

static void
read_job(FunctionCallInfo fcinfo, SmrtTableJob *job)
{
	SmrtTableSpec *spec = &job->spec;

	if (PG_ARGISNULL(ARG_RELATION) || PG_ARGISNULL(ARG_MODEL) ||
		PG_ARGISNULL(ARG_TARGET))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("relation, model and target must not be null")));
	spec->relation = PG_GETARG_OID(ARG_RELATION);
	spec->function = smrt_boundtable_function(text_of(fcinfo, ARG_MODEL));
	spec->targets = names_of(fcinfo, ARG_TARGET);
	spec->stamps[SMRT_STAMP_MADE_AT] = name_of(fcinfo, ARG_MADE_AT);
	spec->stamps[SMRT_STAMP_VARIANT] = name_of(fcinfo, ARG_VARIANT);
	spec->stamps[SMRT_STAMP_VERSION] = name_of(fcinfo, ARG_VERSION);
	spec->needs_key = true;
	spec->key = names_of(fcinfo, ARG_KEY);
	job->namespace = get_func_namespace(fcinfo->flinfo->fn_oid);
	job->rows = text_of(fcinfo, ARG_ROWS);
	job->source = text_of(fcinfo, ARG_SOURCE);
	spec->has_source = job->source != NULL;
	job->insert = !PG_ARGISNULL(ARG_INSERT_ROWS) && PG_GETARG_BOOL(ARG_INSERT_ROWS);
	if (job->insert && job->source == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("insert_rows needs a source")));
	if (spec->key != NIL && !job->insert)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key is for insert_rows only: else rows are found by primary key")));
	job->rows_per_transaction =
		(int) Min(number_of(fcinfo, ARG_ROWS_PER_TRANSACTION, 1, 1000,
							"rows_per_transaction"), 1000000);
	job->max_rows = number_of(fcinfo, ARG_MAX_ROWS, 1, 0, "max_rows");
	job->max_time_ms = ms_of(fcinfo, ARG_MAX_TIME);
	job->max_attempts = (int) Min(number_of(fcinfo, ARG_MAX_ATTEMPTS, 1, 3,
											"max_attempts"), INT_MAX);
	job->max_failed_rows = number_of(fcinfo, ARG_MAX_FAILED_ROWS, 0, -1,
									 "max_failed_rows");
	job->max_failed_ratio = PG_ARGISNULL(ARG_MAX_FAILED_RATIO) ? 1 :
		PG_GETARG_FLOAT8(ARG_MAX_FAILED_RATIO);
}

static char *
text_of(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

/* Columns, written and folded as in SQL, with commas between; NIL if null. */
static List *
names_of(FunctionCallInfo fcinfo, int arg)
{
	char	   *given = text_of(fcinfo, arg);
	List	   *names = NIL;

	/* The names lie in what is split. */
	if (given != NULL &&
		(!SplitIdentifierString(pstrdup(given), ',', &names) || names == NIL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is no list of columns", given)));
	return names;
}

static const char *
name_of(FunctionCallInfo fcinfo, int arg)
{
	List	   *names = names_of(fcinfo, arg);

	if (list_length(names) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is more than one column", text_of(fcinfo, arg))));
	return names != NIL ? linitial(names) : NULL;
}

static int64
number_of(FunctionCallInfo fcinfo, int arg, int64 min, int64 otherwise,
		  const char *name)
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

/* At least one, since none is no limit. */
static int64
ms_of(FunctionCallInfo fcinfo, int arg)
{
	Interval   *interval;

	if (PG_ARGISNULL(arg))
		return 0;
	interval = PG_GETARG_INTERVAL_P(arg);
	return Max(1, interval->time / 1000 +
			   (interval->day + (int64) interval->month * DAYS_PER_MONTH) *
			   SECS_PER_DAY * 1000);
}

static Datum
counts_row(FunctionCallInfo fcinfo, const SmrtJobCounts *counts)
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

Datum
sagemaker_retry_failed(PG_FUNCTION_ARGS)
{
	Oid			namespace = get_func_namespace(fcinfo->flinfo->fn_oid);
	Oid			model = InvalidOid;
	ArrayType  *key = PG_ARGISNULL(2) ? NULL : PG_GETARG_ARRAYTYPE_P(2);
	int			pinned;
	int64		n;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (!PG_ARGISNULL(1))
		model = smrt_boundtable_function(text_of(fcinfo, 1));
	pinned = smrt_searchpath_pin();
	n = smrt_failedrows_forget(namespace, PG_GETARG_OID(0), model, key);
	smrt_searchpath_restore(pinned);
	PG_RETURN_INT64(n);
}

Datum
sagemaker_may_read_row(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(smrt_failedrows_may_read(text_of(fcinfo, 0),
											PG_GETARG_ARRAYTYPE_P(1)));
}
