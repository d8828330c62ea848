/*
 * The table job and what it remembers, in SQL.
 */
#include "postgres.h"

#include <limits.h>

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "pg/searchpath.h"
#include "queue/failedrows.h"
#include "queue/tablejob.h"
#include "sql/arguments.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* All of them are in memory at once. */
#define MAX_ROWS_PER_TRANSACTION 1000000

PG_FUNCTION_INFO_V1(sagemaker_predict_table);
PG_FUNCTION_INFO_V1(sagemaker_retry_failed);
PG_FUNCTION_INFO_V1(sagemaker_may_read_table);

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

static void read_job(FunctionCallInfo fcinfo, SmrtTableJob *job);
static int64 ms_of(FunctionCallInfo fcinfo, int arg);

Datum
sagemaker_predict_table(PG_FUNCTION_ARGS)
{
	SmrtTableJob job;
	SmrtJobCounts counts = {0};

	smrt_arguments_require_no_transaction(fcinfo, "sagemaker_predict_table()");
	smrt_tablejob_init(&job);
	read_job(fcinfo, &job);
	smrt_tablejob_run(&job, &counts);
	return smrt_arguments_job_counts(fcinfo, &counts);
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
	spec->function = smrt_boundtable_function(smrt_arguments_text(fcinfo, ARG_MODEL));
	spec->targets = smrt_arguments_names(fcinfo, ARG_TARGET);
	spec->stamps[SMRT_STAMP_MADE_AT] = smrt_arguments_name(fcinfo, ARG_MADE_AT);
	spec->stamps[SMRT_STAMP_VARIANT] = smrt_arguments_name(fcinfo, ARG_VARIANT);
	spec->stamps[SMRT_STAMP_VERSION] = smrt_arguments_name(fcinfo, ARG_VERSION);
	spec->key = smrt_arguments_names(fcinfo, ARG_KEY);
	job->namespace = get_func_namespace(fcinfo->flinfo->fn_oid);
	job->rows = smrt_arguments_text(fcinfo, ARG_ROWS);
	job->source = smrt_arguments_text(fcinfo, ARG_SOURCE);
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
		(int) Min(smrt_arguments_number(fcinfo, ARG_ROWS_PER_TRANSACTION, 1,
										job->rows_per_transaction,
										"rows_per_transaction"),
				  MAX_ROWS_PER_TRANSACTION);
	job->max_rows = smrt_arguments_number(fcinfo, ARG_MAX_ROWS, 1, 0, "max_rows");
	job->max_time_ms = ms_of(fcinfo, ARG_MAX_TIME);
	job->max_attempts =
		(int) Min(smrt_arguments_number(fcinfo, ARG_MAX_ATTEMPTS, 1,
										job->max_attempts, "max_attempts"),
				  INT_MAX);
	job->max_failed_rows = smrt_arguments_number(fcinfo, ARG_MAX_FAILED_ROWS, 0,
												 job->max_failed_rows,
												 "max_failed_rows");
	job->max_failed_ratio = PG_ARGISNULL(ARG_MAX_FAILED_RATIO) ? 1 :
		PG_GETARG_FLOAT8(ARG_MAX_FAILED_RATIO);
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
		model = smrt_boundtable_function(smrt_arguments_text(fcinfo, 1));
	pinned = smrt_searchpath_pin();
	n = smrt_failedrows_forget(namespace, PG_GETARG_OID(0), model, key);
	smrt_searchpath_restore(pinned);
	PG_RETURN_INT64(n);
}

Datum
sagemaker_may_read_table(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(smrt_failedrows_may_read(smrt_arguments_text(fcinfo, 0)));
}
