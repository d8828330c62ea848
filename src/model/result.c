/*
 * Reading results: by name from objects, by position from arrays and CSV, and
 * what is bound from the response.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "model/binding.h"
#include "model/csv.h"
#include "model/result.h"
#include "pg/json.h"
#include "pg/report.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#define SHOWN_BYTES 80

/* A row of the result that is being read. */
typedef struct Reading
{
	const SmrtModel *model;
	const SmrtOutcome *outcome;
	volatile bool *in_user_code;
	Datum	   *values;			/* of the model's columns */
	bool	   *nulls;
} Reading;

static Datum read_raw(const SmrtPiece *piece);
static bool read_json(Reading *reading);
static JsonbValue *value_of(const Reading *reading);
static JsonbValue *parsed(const Reading *reading, SmrtSpan text);
static void whole_from_json(Reading *reading, JsonbValue *value);
static void parts_from_json(Reading *reading, JsonbContainer *container);
static Datum column_from_json(Reading *reading, SmrtResultColumn *column,
							  JsonbValue *value, bool *is_null);
static JsonbValue *only_part(JsonbContainer *container);
static void read_csv(Reading *reading);
static Datum column_from_csv(Reading *reading, SmrtResultColumn *column,
							 char *text, bool *is_null);
static Datum array_from_csv(Reading *reading, SmrtResultColumn *column,
							SmrtSpan record, bool *is_null);
static char *csv_text(SmrtSpan field);
static void fill_bound(Reading *reading);
static Datum as_row(Reading *reading);
static void check_domain(Reading *reading, Oid domain, Datum value,
						 bool is_null, SmrtResultColumn *column);
static void append_array(StringInfo literal, JsonbContainer *container);
static char *array_element(const char *text);
static Datum input(Reading *reading, SmrtResultColumn *column,
				   char *text, bool *is_null);
static bool is_number(const char *text);
static char *whole_number(Reading *reading, char *text);
pg_noreturn static void does_not_fit(const Reading *reading, const char *why);

Datum
smrt_result_read(const SmrtModel *model, const SmrtOutcome *outcome,
				 volatile bool *in_user_code, bool *is_null)
{
	Reading		reading = {
		.model = model,
		.outcome = outcome,
		.in_user_code = in_user_code,
		.values = palloc(model->n_columns * sizeof(Datum)),
		.nulls = palloc0(model->n_columns * sizeof(bool)),
	};

	*is_null = false;
	if (model->result == SMRT_RESULT_RAW)
		return read_raw(&outcome->piece);
	if (!outcome->piece.json)
		read_csv(&reading);
	else if (!read_json(&reading))
	{
		*is_null = true;
		check_domain(&reading, model->row_domain, (Datum) 0, true, NULL);
		return (Datum) 0;
	}
	if (model->result == SMRT_RESULT_COMPOSITE)
	{
		fill_bound(&reading);
		return as_row(&reading);
	}
	*is_null = reading.nulls[0];
	return reading.values[0];
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

/* False when the row as a whole is null. */
static bool
read_json(Reading *reading)
{
	SmrtResultColumn *whole = reading->model->whole;
	const SmrtPiece *piece = &reading->outcome->piece;
	JsonbValue *value;

	/* The type's own parser will do. */
	if (whole != NULL && whole->kind == SMRT_RESULT_JSON && piece->value == NULL)
	{
		int			i = whole - reading->model->columns;

		reading->values[i] = input(reading, whole,
								   pnstrdup(piece->text.data, piece->text.len),
								   &reading->nulls[i]);
		return true;
	}
	value = value_of(reading);
	if (whole != NULL)
		whole_from_json(reading, value);
	else if (value->type == jbvNull)
		return false;
	else if (value->type != jbvBinary)
		does_not_fit(reading, "is one value, but a row is wanted");
	else
		parts_from_json(reading, value->val.binary.data);
	return true;
}

static JsonbValue *
value_of(const Reading *reading)
{
	const SmrtPiece *piece = &reading->outcome->piece;

	return piece->value ? piece->value : parsed(reading, piece->text);
}

static JsonbValue *
parsed(const Reading *reading, SmrtSpan text)
{
	JsonbValue *value = palloc(sizeof(JsonbValue));

	if (smrt_json_problem(text, GetDatabaseEncoding()) != NULL)
		does_not_fit(reading, "is not JSON");
	*value = smrt_json_root(DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
															   CStringGetDatum(pnstrdup(text.data, text.len)))));
	return value;
}

/* Beside bound columns an object may still name the only one that is left. */
static void
whole_from_json(Reading *reading, JsonbValue *value)
{
	SmrtResultColumn *whole = reading->model->whole;
	int			i = whole - reading->model->columns;

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
	reading->values[i] = column_from_json(reading, whole, value,
										  &reading->nulls[i]);
}

static void
parts_from_json(Reading *reading, JsonbContainer *container)
{
	const SmrtModel *model = reading->model;
	bool		is_array = JsonContainerIsArray(container);
	int			n = 0;

	if (is_array && JsonContainerSize(container) != model->n_predicted)
		does_not_fit(reading, psprintf("has %d values, but the result %d columns for them",
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
			does_not_fit(reading, psprintf("has no member \"%s\"", column->name));
		reading->values[i] = column_from_json(reading, column, value,
											  &reading->nulls[i]);
	}
}

static Datum
column_from_json(Reading *reading, SmrtResultColumn *column,
				 JsonbValue *value, bool *is_null)
{
	if (value->type == jbvNull)
		return input(reading, column, NULL, is_null);
	if (column->kind == SMRT_RESULT_JSON)
		return input(reading, column, smrt_json_text(value), is_null);
	if (value->type != jbvBinary)
	{
		if (column->kind == SMRT_RESULT_ARRAY)
			does_not_fit(reading, "is one value, but an array is wanted");
		return input(reading, column, smrt_json_scalar(value), is_null);
	}
	if (column->kind == SMRT_RESULT_ARRAY &&
		JsonContainerIsArray(value->val.binary.data))
	{
		StringInfoData literal;

		initStringInfo(&literal);
		append_array(&literal, value->val.binary.data);
		return input(reading, column, literal.data, is_null);
	}
	/* {"score": 0.4} and [0.4] are 0.4 to a type that has one value. */
	if (column->kind == SMRT_RESULT_ARRAY || column->number)
	{
		JsonbValue *part = only_part(value->val.binary.data);

		if (part == NULL)
			does_not_fit(reading, "has several values, but one is wanted: choose with the option \"predictions\", or return a row");
		return column_from_json(reading, column, part, is_null);
	}
	return input(reading, column, smrt_json_text(value), is_null);
}

/* The one element or member, or NULL. */
static JsonbValue *
only_part(JsonbContainer *container)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue *part = palloc(sizeof(JsonbValue));

	if (JsonContainerSize(container) != 1)
		return NULL;
	iterator = JsonbIteratorInit(container);
	(void) JsonbIteratorNext(&iterator, part, false);
	while ((token = JsonbIteratorNext(&iterator, part, true)) != WJB_DONE)
		if (token == WJB_VALUE || token == WJB_ELEM)
			return part;
	return NULL;
}

static void
read_csv(Reading *reading)
{
	const SmrtModel *model = reading->model;
	SmrtSpan	rest = reading->outcome->piece.text;
	SmrtResultColumn *whole = model->whole;
	bool		more = true;
	int			n = 0;

	if (whole != NULL && whole->kind == SMRT_RESULT_ARRAY)
	{
		int			i = whole - model->columns;

		reading->values[i] = array_from_csv(reading, whole, rest,
											&reading->nulls[i]);
		return;
	}
	for (int i = 0; i < model->n_columns && more; i++)
	{
		SmrtResultColumn *column = &model->columns[i];

		if (column->binding != SMRT_BOUND_NOT)
			continue;
		reading->values[i] = column_from_csv(reading, column,
											 csv_text(smrt_csv_field(&rest, &more)),
											 &reading->nulls[i]);
		n++;
	}
	for (; more; n++)
		(void) smrt_csv_field(&rest, &more);
	if (n != model->n_predicted)
		does_not_fit(reading, psprintf("has %d fields, %d %s wanted", n,
									   model->n_predicted,
									   model->n_predicted == 1 ? "is" : "are"));
}

/* XGBoost writes a list within a line as JSON. */
static Datum
column_from_csv(Reading *reading, SmrtResultColumn *column, char *text,
				bool *is_null)
{
	if (column->kind == SMRT_RESULT_ARRAY && text != NULL && text[0] == '[')
		return column_from_json(reading, column,
								parsed(reading, smrt_span(text)), is_null);
	return input(reading, column, text, is_null);
}

static void
fill_bound(Reading *reading)
{
	const SmrtModel *model = reading->model;

	for (int i = 0; i < model->n_columns; i++)
	{
		SmrtResultColumn *column = &model->columns[i];

		if (column->binding != SMRT_BOUND_NOT)
			reading->values[i] = input(reading, column,
									   smrt_binding_value(column->binding,
														  reading->outcome->response),
									   &reading->nulls[i]);
	}
}

static Datum
as_row(Reading *reading)
{
	const SmrtModel *model = reading->model;
	Datum		row = HeapTupleGetDatum(heap_form_tuple(model->tupdesc,
														reading->values,
														reading->nulls));

	check_domain(reading, model->row_domain, row, false, NULL);
	return row;
}

/* A domain may forbid null, so it is asked for that too. */
static void
check_domain(Reading *reading, Oid domain, Datum value, bool is_null,
			 SmrtResultColumn *column)
{
	if (!OidIsValid(domain))
		return;
	*reading->in_user_code = true;
	domain_check(value, is_null, domain, column ? &column->domain_memory : NULL,
				 column ? column->input.fn_mcxt : NULL);
	*reading->in_user_code = false;
}

static Datum
array_from_csv(Reading *reading, SmrtResultColumn *column,
			   SmrtSpan record, bool *is_null)
{
	StringInfoData literal;
	bool		more = true;
	char	   *text = csv_text(smrt_csv_field(&record, &more));

	if (!more && text != NULL && text[0] == '[')
		return column_from_csv(reading, column, text, is_null);
	initStringInfo(&literal);
	for (;;)
	{
		appendStringInfoChar(&literal, literal.len ? ',' : '{');
		if (text == NULL)
			appendStringInfoString(&literal, "NULL");
		else
			appendStringInfoString(&literal, array_element(text));
		if (!more)
			break;
		text = csv_text(smrt_csv_field(&record, &more));
	}
	appendStringInfoChar(&literal, '}');
	return input(reading, column, literal.data, is_null);
}

/* NULL for an empty field without quotes. */
static char *
csv_text(SmrtSpan field)
{
	char	   *text;

	if (field.len == 0)
		return NULL;
	text = palloc(field.len + 1);
	text[smrt_csv_value(field, text)] = '\0';
	return text;
}

/* A JSON array, nested ones too, as PostgreSQL's array literal. */
static void
append_array(StringInfo literal, JsonbContainer *container)
{
	int			n = JsonContainerSize(container);

	appendStringInfoChar(literal, '{');
	for (int i = 0; i < n; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(container, i);

		if (i > 0)
			appendStringInfoChar(literal, ',');
		if (element->type == jbvNull)
			appendStringInfoString(literal, "NULL");
		else if (element->type != jbvBinary)
			appendStringInfoString(literal, array_element(smrt_json_scalar(element)));
		else if (JsonContainerIsArray(element->val.binary.data))
			append_array(literal, element->val.binary.data);
		else
			appendStringInfoString(literal,
								   array_element(JsonbToCString(NULL, element->val.binary.data,
																	  element->val.binary.len)));
	}
	appendStringInfoChar(literal, '}');
}

static char *
array_element(const char *text)
{
	StringInfoData quoted;

	initStringInfo(&quoted);
	appendStringInfoChar(&quoted, '"');
	for (; *text; text++)
	{
		if (*text == '"' || *text == '\\')
			appendStringInfoChar(&quoted, '\\');
		appendStringInfoChar(&quoted, *text);
	}
	appendStringInfoChar(&quoted, '"');
	return quoted.data;
}

/* Text, or NULL for null, as the column's type. */
static Datum
input(Reading *reading, SmrtResultColumn *column, char *text, bool *is_null)
{
	Datum		value;

	*is_null = text == NULL;
	if (text != NULL && column->number)
	{
		if (!is_number(text))
			does_not_fit(reading, psprintf("is not of type %s",
										   format_type_be(column->type)));
		if (column->whole_number)
			text = whole_number(reading, text);
	}
	*reading->in_user_code = column->has_user_code;
	value = InputFunctionCall(&column->input, text, column->ioparam,
							  column->typmod);
	*reading->in_user_code = false;
	check_domain(reading, column->domain, value, *is_null, column);
	return value;
}

/* What the input functions of numbers take, but for the range. */
static bool
is_number(const char *text)
{
	static const char *const words[] = {"nan", "inf", "infinity"};
	const char *c = text + (*text == '-' || *text == '+');
	int			digits = 0;

	for (int i = 0; i < lengthof(words); i++)
		if (pg_strcasecmp(c, words[i]) == 0)
			return true;
	for (; (*c >= '0' && *c <= '9') || *c == '.'; c++)
		digits += *c != '.';
	if (digits > 0 && (*c == 'e' || *c == 'E'))
	{
		c++;
		c += *c == '-' || *c == '+';
		if (*c < '0' || *c > '9')
			return false;
		while (*c >= '0' && *c <= '9')
			c++;
	}
	return digits > 0 && *c == '\0';
}

/* "1.0" is what many models call 1. */
static char *
whole_number(Reading *reading, char *text)
{
	Datum		number;
	Datum		whole;

	if (text[strspn(text, "+-0123456789")] == '\0')
		return text;
	number = DirectFunctionCall3(numeric_in, CStringGetDatum(text),
								 ObjectIdGetDatum(InvalidOid),
								 Int32GetDatum(-1));
	whole = DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0));
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, number, whole)))
		does_not_fit(reading, "is not a whole number");
	return DatumGetCString(DirectFunctionCall1(numeric_out, whole));
}

static void
does_not_fit(const Reading *reading, const char *why)
{
	ereport(ERROR,
			(errcode(SMRT_ERRCODE_BAD_REPLY),
			 errmsg("model %s: the prediction for row %d of the request %s",
					reading->model->name, reading->outcome->row + 1, why),
			 errdetail("The prediction is: %s",
					   smrt_report_text(smrt_piece_text(&reading->outcome->piece),
										SHOWN_BYTES))));
}
