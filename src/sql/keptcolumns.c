/*
 * Kept columns in SQL.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "pg/searchpath.h"
#include "queue/coverage.h"
#include "queue/keep.h"
#include "queue/tablejob.h"
#include "sql/arguments.h"
#include "sql/rows.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(sagemaker_keep);
PG_FUNCTION_INFO_V1(sagemaker_coverage);

/* Arguments of sagemaker_keep(). */
enum
{
	ARG_RELATION,
	ARG_TARGET,
	ARG_MODEL,
	ARG_MODE,
	ARG_MADE_AT,
	ARG_VARIANT,
	ARG_VERSION,
	ARG_FILL
};

typedef struct Rows
{
	Tuplestorestate *store;
	TupleDesc	desc;
} Rows;

static void declare(FunctionCallInfo fcinfo, SmrtKept *kept);
static void add_row(void *arg, const SmrtCoverage *coverage);

Datum
sagemaker_keep(PG_FUNCTION_ARGS)
{
	SmrtKept	kept = {{0}};
	SmrtTableJob job;
	SmrtJobCounts counts = {0};

	smrt_arguments_require_no_transaction(fcinfo, "sagemaker_keep()");
	smrt_tablejob_init(&job);
	job.namespace = get_func_namespace(fcinfo->flinfo->fn_oid);
	declare(fcinfo, &kept);
	job.spec = kept.spec;
	if (!PG_ARGISNULL(ARG_FILL) && PG_GETARG_BOOL(ARG_FILL))
	{
		SPI_connect_ext(SPI_OPT_NONATOMIC);
		SPI_commit();
		SPI_start_transaction();
		SPI_finish();
		smrt_tablejob_run(&job, &counts);
	}
	return smrt_arguments_job_counts(fcinfo, &counts);
}

static void
declare(FunctionCallInfo fcinfo, SmrtKept *kept)
{
	int			pinned;

	if (PG_ARGISNULL(ARG_RELATION) || PG_ARGISNULL(ARG_TARGET) ||
		PG_ARGISNULL(ARG_MODEL) || PG_ARGISNULL(ARG_MODE))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("relation, target, model and mode must not be null")));
	kept->spec.relation = PG_GETARG_OID(ARG_RELATION);
	kept->spec.targets = smrt_arguments_names(fcinfo, ARG_TARGET);
	kept->spec.function = smrt_boundtable_function(smrt_arguments_text(fcinfo, ARG_MODEL));
	kept->spec.stamps[SMRT_STAMP_MADE_AT] = smrt_arguments_name(fcinfo, ARG_MADE_AT);
	kept->spec.stamps[SMRT_STAMP_VARIANT] = smrt_arguments_name(fcinfo, ARG_VARIANT);
	kept->spec.stamps[SMRT_STAMP_VERSION] = smrt_arguments_name(fcinfo, ARG_VERSION);
	kept->spec.needs_key = true;
	kept->mode = smrt_arguments_text(fcinfo, ARG_MODE);
	pinned = smrt_searchpath_pin();
	smrt_keep(get_func_namespace(fcinfo->flinfo->fn_oid), kept);
	smrt_searchpath_restore(pinned);
}

Datum
sagemaker_coverage(PG_FUNCTION_ARGS)
{
	Rows		rows;
	int			pinned;

	if (get_call_result_type(fcinfo, NULL, &rows.desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "function does not return the row it should");
	rows.store = smrt_rows_begin(fcinfo, rows.desc);
	pinned = smrt_searchpath_pin();
	smrt_coverage_tell(get_func_namespace(fcinfo->flinfo->fn_oid), add_row, &rows);
	smrt_searchpath_restore(pinned);
	return (Datum) 0;
}

static void
add_row(void *arg, const SmrtCoverage *coverage)
{
	Rows	   *rows = arg;
	Datum		values[] = {
		CStringGetTextDatum(coverage->relation),
		CStringGetTextDatum(coverage->target),
		CStringGetTextDatum(coverage->model),
		CStringGetTextDatum(coverage->mode),
		coverage->version ? CStringGetTextDatum(coverage->version) : (Datum) 0,
		Int64GetDatum(coverage->scored),
		Int64GetDatum(coverage->missing),
		Int64GetDatum(coverage->stale),
		Int64GetDatum(coverage->failed),
		IntervalPGetDatum(coverage->waiting),
	};
	bool		nulls[lengthof(values)] = {0};

	nulls[4] = coverage->version == NULL;
	nulls[lengthof(nulls) - 1] = coverage->waiting == NULL;
	tuplestore_putvalues(rows->store, rows->desc, values, nulls);
}
