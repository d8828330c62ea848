/*
 * sagemaker_check(): one row a step.
 */
#include "postgres.h"

#include "call/check.h"
#include "fmgr.h"
#include "funcapi.h"
#include "sql/rows.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(sagemaker_check);

typedef struct Rows
{
	Tuplestorestate *store;
	TupleDesc	tupdesc;
} Rows;

static void add_row(void *context, const SmrtCheckStep *step);

Datum
sagemaker_check(PG_FUNCTION_ARGS)
{
	SmrtSpan	endpoint = smrt_span(PG_ARGISNULL(0) ? NULL :
									 text_to_cstring(PG_GETARG_TEXT_PP(0)));
	char	   *server = PG_ARGISNULL(1) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool		send = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	Rows		rows;

	if (get_call_result_type(fcinfo, NULL, &rows.tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "function does not return the row it should");
	rows.store = smrt_rows_begin(fcinfo, rows.tupdesc);
	smrt_check(endpoint, server, send, add_row, &rows);
	return (Datum) 0;
}

static void
add_row(void *context, const SmrtCheckStep *step)
{
	Rows	   *rows = context;
	const char *const texts[] = {step->step, step->outcome, step->found,
	step->hint};
	Datum		values[lengthof(texts)];
	bool		nulls[lengthof(texts)];

	for (int i = 0; i < lengthof(texts); i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	tuplestore_putvalues(rows->store, rows->tupdesc, values, nulls);
}
