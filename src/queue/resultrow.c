/*
 * Predictions as rows.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "queue/resultrow.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

static void split(const SmrtBoundTable *binding, Datum value, Datum *values,
				  bool *nulls);
static void put_text(const char *text, Datum *value, bool *is_null);

void
smrt_resultrow_describe(const SmrtBoundTable *binding, TupleDesc desc,
						AttrNumber number)
{
	const SmrtModel *model = binding->model;
	int			n = binding->n_targets;

	for (int i = 0; i < n; i++)
		TupleDescInitEntry(desc, number + i, psprintf("r%d", i + 1),
						   n == 1 ? get_func_rettype(model->function) :
						   model->columns[i].type, -1, 0);
	for (int i = 0; i < SMRT_STAMP_COUNT; i++)
		TupleDescInitEntry(desc, number + n + i, psprintf("r%d", n + i + 1),
						   smrt_stamp_type(i), -1, 0);
}

void
smrt_resultrow_fill(const SmrtBoundTable *binding,
					const SmrtPrediction *prediction, Datum *values,
					bool *nulls)
{
	Datum	   *stamps = values + binding->n_targets;
	bool	   *no_stamps = nulls + binding->n_targets;

	if (prediction->is_null)
		memset(nulls, true, binding->n_targets * sizeof(bool));
	else if (binding->n_targets == 1)
	{
		values[0] = prediction->value;
		nulls[0] = false;
	}
	else
		split(binding, prediction->value, values, nulls);
	stamps[SMRT_STAMP_MADE_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	no_stamps[SMRT_STAMP_MADE_AT] = false;
	put_text(prediction->response != NULL ?
			 prediction->response->invoked_production_variant.data : NULL,
			 &stamps[SMRT_STAMP_VARIANT], &no_stamps[SMRT_STAMP_VARIANT]);
	put_text(binding->model->version, &stamps[SMRT_STAMP_VERSION],
			 &no_stamps[SMRT_STAMP_VERSION]);
}

static void
split(const SmrtBoundTable *binding, Datum value, Datum *values, bool *nulls)
{
	HeapTupleHeader row = DatumGetHeapTupleHeader(value);
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	heap_deform_tuple(&tuple, binding->model->tupdesc, values, nulls);
}

static void
put_text(const char *text, Datum *value, bool *is_null)
{
	*is_null = text == NULL;
	*value = text != NULL ? CStringGetTextDatum(text) : (Datum) 0;
}
