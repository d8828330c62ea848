/*
 * Reading results: by name from objects, by position from arrays and CSV, and
 * what is bound from the response.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "model/binding.h"
#include "model/reading.h"
#include "model/csv.h"
#include "model/result.h"
#include "pg/json.h"
#include "utils/builtins.h"

/* A row that is being read. */
typedef struct Row
{
	SmrtReading reading;
	Datum	   *values;			/* of the model's columns */
	bool	   *nulls;
} Row;

static void make_row(Row *row, const SmrtModel *model,
					 const SmrtOutcome *outcome, volatile bool *in_user_code);
static Datum read_raw(const SmrtPiece *piece);
static void read_one(Row *row, SmrtResult *result);
static void read_set(Row *row, SmrtResult *result);
static JsonbContainer *list_of(const Row *row, JsonbValue *value);
static JsonbValue *value_of(const Row *row);
static bool read_json(Row *row, JsonbValue *value);
static void whole_from_json(Row *row, JsonbValue *value);
static void parts_from_json(Row *row, JsonbContainer *container);
static void read_csv(Row *row, SmrtSpan record);
static void read_text(Row *row, SmrtResultColumn *column, char *text);
static void fill_bound(Row *row, const SmrtReportWords *error);
static void add_row(Row *row, SmrtResult *result);
static HeapTuple as_tuple(Row *row);

void
smrt_result_read(const SmrtModel *model, const SmrtOutcome *outcome,
				 volatile bool *in_user_code, SmrtResult *result)
{
	Row			row;

	memset(result, 0, sizeof(*result));
	if (model->result == SMRT_RESULT_RAW)
	{
		result->datum = read_raw(&outcome->piece);
		return;
	}
	make_row(&row, model, outcome, in_user_code);
	if (model->is_set)
		read_set(&row, result);
	else
		read_one(&row, result);
}

void
smrt_result_of_failure(const SmrtModel *model, const SmrtOutcome *outcome,
					   const SmrtReportWords *error, SmrtResult *result)
{
	volatile bool in_user_code;
	Row			row;

	memset(result, 0, sizeof(*result));
	result->is_null = !model->errors_are_data;
	if (!model->errors_are_data && !model->is_set)
		return;
	make_row(&row, model, outcome, &in_user_code);
	fill_bound(&row, error);
	if (model->is_set)
		result->rows = list_make1(as_tuple(&row));
	else
		result->datum = HeapTupleGetDatum(as_tuple(&row));
}

/* All of it NULL. */
static void
make_row(Row *row, const SmrtModel *model, const SmrtOutcome *outcome,
		 volatile bool *in_user_code)
{
	row->reading = (SmrtReading) {model, outcome, in_user_code};
	row->values = palloc0(model->n_columns * sizeof(Datum));
	row->nulls = palloc(model->n_columns * sizeof(bool));
	memset(row->nulls, true, model->n_columns * sizeof(bool));
}

/* A line with several fields is left as it is, one alone is unquoted. */
static Datum
read_raw(const SmrtPiece *piece)
{
	SmrtSpan	all = smrt_piece_text(piece);
	SmrtSpan	rest = all;
	bool		more = false;
	char	   *text = palloc(all.len + 1);

	if (!piece->json)
		(void) smrt_csv_field(&rest, &more);
	if (piece->json || more)
		return PointerGetDatum(cstring_to_text_with_len(all.data, all.len));
	return PointerGetDatum(cstring_to_text_with_len(text,
													smrt_csv_value(all, text)));
}

static void
read_one(Row *row, SmrtResult *result)
{
	const SmrtModel *model = row->reading.model;
	const SmrtPiece *piece = &row->reading.outcome->piece;

	if (!piece->json)
		read_csv(row, piece->text);
	else if (model->result == SMRT_RESULT_JSON && piece->value == NULL)
		/* The type's own parser will do. */
		read_text(row, model->whole,
				  pnstrdup(piece->text.data, piece->text.len));
	else if (!read_json(row, value_of(row)))
	{
		result->is_null = true;
		smrt_reading_check_domain(&row->reading, model->row_domain, (Datum) 0,
								  true, NULL);
		return;
	}
	if (model->result == SMRT_RESULT_COMPOSITE)
	{
		fill_bound(row, NULL);
		result->datum = HeapTupleGetDatum(as_tuple(row));
		return;
	}
	result->datum = row->values[0];
	result->is_null = row->nulls[0];
}

/* A JSON array's elements are the rows, or the fields of a line. */
static void
read_set(Row *row, SmrtResult *result)
{
	const SmrtPiece *piece = &row->reading.outcome->piece;
	SmrtSpan	rest = piece->text;
	bool		more = rest.len > 0;
	JsonbContainer *list;

	if (piece->json)
	{
		list = list_of(row, value_of(row));
		for (int i = 0; list != NULL && i < JsonContainerSize(list); i++)
		{
			(void) read_json(row, getIthJsonbValueFromContainer(list, i));
			add_row(row, result);
		}
		return;
	}
	while (more)
	{
		read_csv(row, smrt_csv_field(&rest, &more));
		add_row(row, result);
	}
}

/* Of null there are no elements. */
static JsonbContainer *
list_of(const Row *row, JsonbValue *value)
{
	if (value->type == jbvNull)
		return NULL;
	if (value->type == jbvBinary &&
		JsonContainerIsObject(value->val.binary.data))
		value = smrt_reading_only_part(value->val.binary.data);
	if (value == NULL || value->type != jbvBinary ||
		!JsonContainerIsArray(value->val.binary.data))
		smrt_reading_refuse(&row->reading, "is no list, but a set is wanted: choose with the option \"predictions\"");
	return value->val.binary.data;
}

static JsonbValue *
value_of(const Row *row)
{
	const SmrtPiece *piece = &row->reading.outcome->piece;

	return piece->value ? piece->value :
		smrt_reading_parse(&row->reading, piece->text);
}

/* False when the row as a whole is null. */
static bool
read_json(Row *row, JsonbValue *value)
{
	if (row->reading.model->whole != NULL)
	{
		whole_from_json(row, value);
		return true;
	}
	if (value->type == jbvNull)
	{
		memset(row->nulls, true, row->reading.model->n_columns * sizeof(bool));
		return false;
	}
	if (value->type != jbvBinary)
		smrt_reading_refuse(&row->reading,
							"is one value, but a row is wanted");
	parts_from_json(row, value->val.binary.data);
	return true;
}

/* Beside bound columns an object may still name the only one that is left. */
static void
whole_from_json(Row *row, JsonbValue *value)
{
	SmrtResultColumn *whole = row->reading.model->whole;
	int			i = whole - row->reading.model->columns;

	if (whole->name != NULL && value->type == jbvBinary &&
		JsonContainerIsObject(value->val.binary.data))
	{
		JsonbValue *named = getKeyJsonValueFromContainer(value->val.binary.data,
														 whole->name,
														 strlen(whole->name),
														 NULL);

		if (named != NULL)
			value = named;
	}
	row->values[i] = smrt_reading_from_json(&row->reading, whole, value,
											&row->nulls[i]);
}

static void
parts_from_json(Row *row, JsonbContainer *container)
{
	const SmrtModel *model = row->reading.model;
	bool		is_array = JsonContainerIsArray(container);
	int			n = 0;

	if (is_array && JsonContainerSize(container) != model->n_predicted)
		smrt_reading_refuse(&row->reading,
							psprintf("has %d values, but the result %d columns for them",
									 JsonContainerSize(container),
									 model->n_predicted));
	for (int i = 0; i < model->n_columns; i++)
	{
		SmrtResultColumn *column = &model->columns[i];
		JsonbValue *value;

		if (column->binding != SMRT_BOUND_NOT)
			continue;
		value = is_array ? getIthJsonbValueFromContainer(container, n++) :
			getKeyJsonValueFromContainer(container, column->name,
										 strlen(column->name), NULL);
		if (value == NULL)
			smrt_reading_refuse(&row->reading,
								psprintf("has no member \"%s\"", column->name));
		row->values[i] = smrt_reading_from_json(&row->reading, column, value,
												&row->nulls[i]);
	}
}

static void
read_csv(Row *row, SmrtSpan record)
{
	const SmrtModel *model = row->reading.model;
	SmrtResultColumn *whole = model->whole;
	bool		more = true;
	int			n = 0;

	if (whole != NULL && whole->kind == SMRT_RESULT_ARRAY)
	{
		int			i = whole - model->columns;

		row->values[i] = smrt_reading_from_record(&row->reading, whole, record,
												  &row->nulls[i]);
		return;
	}
	for (int i = 0; i < model->n_columns && more; i++)
	{
		if (model->columns[i].binding != SMRT_BOUND_NOT)
			continue;
		row->values[i] = smrt_reading_from_field(&row->reading,
												 &model->columns[i],
												 smrt_csv_field(&record, &more),
												 &row->nulls[i]);
		n++;
	}
	for (; more; n++)
		(void) smrt_csv_field(&record, &more);
	if (n != model->n_predicted)
		smrt_reading_refuse(&row->reading,
							psprintf("has %d fields, %d %s wanted", n,
									 model->n_predicted,
									 model->n_predicted == 1 ? "is" : "are"));
}

static void
read_text(Row *row, SmrtResultColumn *column, char *text)
{
	int			i = column - row->reading.model->columns;

	row->values[i] = smrt_reading_from_text(&row->reading, column, text,
											&row->nulls[i]);
}

static void
fill_bound(Row *row, const SmrtReportWords *error)
{
	const SmrtModel *model = row->reading.model;
	const SmrtOutcome *outcome = row->reading.outcome;
	SmrtResponse response = {{0}};

	/* Of a response that was a fault there is its request id. */
	if (outcome->response != NULL)
		response = *outcome->response;
	else
		response.request_id = outcome->fault->request_id;

	for (int i = 0; i < model->n_columns; i++)
		if (model->columns[i].binding != SMRT_BOUND_NOT)
			read_text(row, &model->columns[i],
					  smrt_binding_value(model->columns[i].binding, &response,
										 error));
}

static void
add_row(Row *row, SmrtResult *result)
{
	fill_bound(row, NULL);
	result->rows = lappend(result->rows, as_tuple(row));
}

static HeapTuple
as_tuple(Row *row)
{
	const SmrtModel *model = row->reading.model;
	HeapTuple	tuple = heap_form_tuple(model->tupdesc, row->values, row->nulls);

	if (OidIsValid(model->row_domain))
		smrt_reading_check_domain(&row->reading, model->row_domain,
								  HeapTupleGetDatum(tuple), false, NULL);
	return tuple;
}
