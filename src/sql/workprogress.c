/*
 * What is at work, in SQL.
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "queue/progress.h"
#include "sql/rows.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(sagemaker_progress);

/* What is not there at all has no name. */
static const char *const works[] = {
	[SMRT_WORK_TABLE_JOB] = "table job",
	[SMRT_WORK_QUEUE_WORKER] = "queue worker",
};

StaticAssertDecl(lengthof(works) == SMRT_WORK_COUNT, "a kind of work has no name");

static const char *const phases[] = {
	[SMRT_PROGRESS_WAITING] = "waiting",
	[SMRT_PROGRESS_READING] = "reading",
	[SMRT_PROGRESS_ASKING] = "asking",
	[SMRT_PROGRESS_WRITING] = "writing",
};

StaticAssertDecl(lengthof(phases) == SMRT_PROGRESS_COUNT, "a phase has no name");

typedef struct Rows
{
	Tuplestorestate *store;
	TupleDesc	desc;
} Rows;

static void add_row(void *arg, const SmrtProgress *progress);
static char *relation_name(const SmrtProgress *progress);
static char *model_name(const SmrtProgress *progress);
static Datum name_or_null(const char *name, bool *is_null);
static Datum text_or_null(const char *text, bool *is_null);

Datum
sagemaker_progress(PG_FUNCTION_ARGS)
{
	Rows		rows;

	if (get_call_result_type(fcinfo, NULL, &rows.desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "function does not return the row it should");
	rows.store = smrt_rows_begin(fcinfo, rows.desc);
	smrt_progress_tell(add_row, &rows);
	return (Datum) 0;
}

static void
add_row(void *arg, const SmrtProgress *progress)
{
	Rows	   *rows = arg;
	const SmrtProgressCounts *counts = &progress->counts;
	bool		nulls[13] = {0};
	Datum		values[] = {
		Int32GetDatum(progress->pid),
		CStringGetTextDatum(works[progress->work]),
		name_or_null(get_database_name(progress->database), &nulls[2]),
		name_or_null(GetUserNameFromId(progress->role, true), &nulls[3]),
		text_or_null(relation_name(progress), &nulls[4]),
		text_or_null(model_name(progress), &nulls[5]),
		TimestampTzGetDatum(progress->started_at),
		CStringGetTextDatum(phases[progress->phase]),
		Int64GetDatum(counts->seen),
		Int64GetDatum(counts->scored),
		Int64GetDatum(counts->failed),
		Int64GetDatum(counts->skipped),
		Int64GetDatum(counts->requests),
	};

	StaticAssertStmt(lengthof(values) == lengthof(nulls), "a column has no null");
	tuplestore_putvalues(rows->store, rows->desc, values, nulls);
}

/* What is in another database, or was dropped, is not named: NULL. */
static char *
relation_name(const SmrtProgress *progress)
{
	Oid			relation = progress->relation;
	char	   *name = progress->database == MyDatabaseId ?
		get_rel_name(relation) : NULL;

	return name == NULL ? NULL :
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
								   name);
}

static char *
model_name(const SmrtProgress *progress)
{
	return progress->database == MyDatabaseId &&
		get_func_name(progress->model) != NULL ?
		format_procedure_qualified(progress->model) : NULL;
}

static Datum
name_or_null(const char *name, bool *is_null)
{
	*is_null = name == NULL;
	return *is_null ? (Datum) 0 : DirectFunctionCall1(namein, CStringGetDatum(name));
}

static Datum
text_or_null(const char *text, bool *is_null)
{
	*is_null = text == NULL;
	return *is_null ? (Datum) 0 : CStringGetTextDatum(text);
}
