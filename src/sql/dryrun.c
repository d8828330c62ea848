/*
 * sagemaker_dry_run(): runs a statement without its calls, and undoes it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "pg/guard.h"
#include "pg/compat.h"
#include "sql/rows.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

PG_FUNCTION_INFO_V1(sagemaker_dry_run);

enum
{
	COLUMN_SERVER,
	COLUMN_ENDPOINT,
	COLUMN_MODEL,
	COLUMN_FIRST_COST,
	COLUMN_COUNT = COLUMN_FIRST_COST + SMRT_COST_FORESEEN
};

static void run(const char *statement, SmrtDryRun *dry_run);
static void execute(const char *statement);
static void put_name(const char *name, Datum *value, bool *is_null);

Datum
sagemaker_dry_run(PG_FUNCTION_ARGS)
{
	SmrtDryRun	dry_run = {.context = CurrentMemoryContext};
	TupleDesc	tupdesc;
	Tuplestorestate *store;
	ListCell   *cell;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE ||
		tupdesc->natts != COLUMN_COUNT)
		elog(ERROR, "function does not return the row it should");
	store = smrt_rows_begin(fcinfo, tupdesc);
	run(text_to_cstring(PG_GETARG_TEXT_PP(0)), &dry_run);
	foreach(cell, dry_run.calls)
	{
		SmrtDryCalls *calls = lfirst(cell);
		Datum		values[COLUMN_COUNT];
		bool		nulls[COLUMN_COUNT] = {0};

		put_name(calls->key.server, &values[COLUMN_SERVER], &nulls[COLUMN_SERVER]);
		put_name(calls->key.endpoint, &values[COLUMN_ENDPOINT],
				 &nulls[COLUMN_ENDPOINT]);
		put_name(calls->key.model, &values[COLUMN_MODEL], &nulls[COLUMN_MODEL]);
		for (int i = 0; i < SMRT_COST_FORESEEN; i++)
			values[COLUMN_FIRST_COST + i] = Int64GetDatum(calls->cost.spent[i]);
		tuplestore_putvalues(store, tupdesc, values, nulls);
	}
	return (Datum) 0;
}

static void
put_name(const char *name, Datum *value, bool *is_null)
{
	*is_null = name[0] == '\0';
	*value = *is_null ? (Datum) 0 : CStringGetTextDatum(name);
}

/* What it changes in the database is rolled back. */
static void
run(const char *statement, SmrtDryRun *dry_run)
{
	SmrtDryRun *before = smrt_dry_run;
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	smrt_dry_run = dry_run;
	PG_TRY();
	{
		BeginInternalSubTransaction(NULL);
		execute(statement);
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_FINALLY();
	{
		smrt_dry_run = before;
	}
	PG_END_TRY();
}

/*
 * Without parallel workers, which would not know that nothing is sent.  EXPLAIN
 * plans and runs it as it would be run, and keeps no rows.
 */
static void
execute(const char *statement)
{
	int			nesting = NewGUCNestLevel();

	(void) set_config_option("max_parallel_workers_per_gather", "0",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 0, false);
	SPI_connect();
	(void) SPI_execute(psprintf("EXPLAIN (ANALYZE, COSTS off, TIMING off) %s",
								statement), false, 0);
	SPI_finish();
	AtEOXact_GUC(false, nesting);
}
