/*
 * Reading results: by name from objects, by position from arrays and CSV.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "model/csv.h"
#include "model/result.h"
#include "pg/json.h"
#include "pg/report.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#define SHOWN_BYTES 80

/* What is being read, for messages. */
typedef struct Reading
{
	const SmrtModel *model;
	SmrtSpan	piece;
	int			row;
	volatile bool *in_user_code;
} Reading;

static Datum read_raw(SmrtSpan piece, bool json);
static Datum read_json(Reading *reading, bool *is_null);
static Datum composite_from_json(Reading *reading, JsonbContainer *value);
static Datum column_from_json(Reading *reading, SmrtResultColumn *column,
							  JsonbValue *value, bool *is_null);
static JsonbValue *only_part(JsonbContainer *container);
static Datum read_csv(Reading *reading, bool *is_null);
static Datum as_row(Reading *reading, Datum *values, bool *nulls);
static void check_domain(Reading *reading, Oid domain, Datum value,
						 bool is_null, SmrtResultColumn *column);
static Datum array_from_csv(Reading *reading, SmrtResultColumn *column,
							SmrtSpan record, bool *is_null);
static char *csv_text(SmrtSpan field);
static char *array_element(const char *text);
static void append_array(StringInfo literal, JsonbContainer *container);
static Datum input(Reading *reading, SmrtResultColumn *column,
				   char *text, bool *is_null);
static bool is_number(const char *text);
static char *whole_number(Reading *reading, char *text);
pg_noreturn static void does_not_fit(const Reading *reading, const char *why);

Datum
smrt_result_read(const SmrtModel *model, bool json, SmrtSpan piece, int row,
				 volatile bool *in_user_code, bool *is_null)
{
	Reading		reading = {model, piece, row, in_user_code};

	*is_null = false;
	if (model->result == SMRT_RESULT_RAW)
		return read_raw(piece, json);
	return json ? read_json(&reading, is_null) : read_csv(&reading, is_null);
}

/* A line with several fields is left as it is, one alone is unquoted. */
static Datum
read_raw(SmrtSpan piece, bool json)
{
	SmrtSpan	rest = piece;
	bool		more = false;
	char	   *text = palloc(piece.len + 1);

	if (!json)
		(void) smrt_csv_field(&rest, &more);
	if (json || more)
		return PointerGetDatum(cstring_to_text_with_len(piece.data, piece.len));
	return PointerGetDatum(cstring_to_text_with_len(text,
													smrt_csv_value(piece, text)));
}

static Datum
read_json(Reading *reading, bool *is_null)
{
	const SmrtModel *model = reading->model;
	SmrtSpan	piece = reading->piece;
	char	   *text = pnstrdup(piece.data, piece.len);
	JsonbValue	value;
	Jsonb	   *jsonb;

	if (model->result == SMRT_RESULT_JSON)
		return input(reading, &model->columns[0], text, is_null);
	if (smrt_json_problem(piece, GetDatabaseEncoding()) != NULL)
		does_not_fit(reading, "is not JSON");
	jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	if (JB_ROOT_IS_SCALAR(jsonb))
		(void) JsonbExtractScalar(&jsonb->root, &value);
	else
	{
		value.type = jbvBinary;
		value.val.binary.data = &jsonb->root;
		value.val.binary.len = VARSIZE(jsonb);
	}
	if (model->result != SMRT_RESULT_COMPOSITE)
		return column_from_json(reading, &model->columns[0], &value, is_null);
	if (value.type == jbvNull)
	{
		*is_null = true;
		check_domain(reading, model->row_domain, (Datum) 0, true, NULL);
		return (Datum) 0;
	}
	if (value.type != jbvBinary)
		does_not_fit(reading, "is one value, but a row is wanted");
	return composite_from_json(reading, value.val.binary.data);
}

static Datum
composite_from_json(Reading *reading, JsonbContainer *container)
{
	const SmrtModel *model = reading->model;
	Datum	   *values = palloc(model->n_columns * sizeof(Datum));
	bool	   *nulls = palloc(model->n_columns * sizeof(bool));
	bool		is_array = JsonContainerIsArray(container);

	if (is_array && JsonContainerSize(container) != model->n_columns)
		does_not_fit(reading, psprintf("has %d values, but the result %d columns",
									   JsonContainerSize(container),
									   model->n_columns));
	for (int i = 0; i < model->n_columns; i++)
	{
		SmrtResultColumn *column = &model->columns[i];
		JsonbValue *value = is_array ?
			getIthJsonbValueFromContainer(container, i) :
			getKeyJsonValueFromContainer(container, column->name,
										 strlen(column->name), NULL);

		if (value == NULL)
			does_not_fit(reading, psprintf("has no member \"%s\"", column->name));
		nulls[i] = false;
		values[i] = column_from_json(reading, column, value, &nulls[i]);
	}
	return as_row(reading, values, nulls);
}

static Datum
column_from_json(Reading *reading, SmrtResultColumn *column,
				 JsonbValue *value, bool *is_null)
{
	if (value->type == jbvNull)
		return input(reading, column, NULL, is_null);
	if (value->type != jbvBinary)
	{
		char	   *text = smrt_json_scalar(value);

		if (column->kind == SMRT_RESULT_JSON)
		{
			Jsonb	   *jsonb = JsonbValueToJsonb(value);

			text = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
		}
		else if (column->kind == SMRT_RESULT_ARRAY)
			does_not_fit(reading, "is one value, but an array is wanted");
		return input(reading, column, text, is_null);
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
	if (column->kind == SMRT_RESULT_SCALAR && column->number)
	{
		JsonbValue *part = only_part(value->val.binary.data);

		if (part == NULL)
			does_not_fit(reading, "has several values, but one is wanted: choose with the option \"predictions\", or return a row");
		return column_from_json(reading, column, part, is_null);
	}
	return input(reading, column,
				 JsonbToCString(NULL, value->val.binary.data,
								value->val.binary.len), is_null);
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

static Datum
read_csv(Reading *reading, bool *is_null)
{
	const SmrtModel *model = reading->model;
	SmrtSpan	rest = reading->piece;
	Datum	   *values;
	bool	   *nulls;
	bool		more = true;
	int			n = 0;

	if (model->result == SMRT_RESULT_ARRAY)
		return array_from_csv(reading, &model->columns[0], rest, is_null);
	values = palloc(model->n_columns * sizeof(Datum));
	nulls = palloc0(model->n_columns * sizeof(bool));
	for (; more; n++)
	{
		SmrtSpan	field = smrt_csv_field(&rest, &more);

		if (n < model->n_columns)
			values[n] = input(reading, &model->columns[n], csv_text(field),
							  &nulls[n]);
	}
	if (n != model->n_columns)
		does_not_fit(reading, psprintf("has %d fields, %d %s wanted", n,
									   model->n_columns,
									   model->n_columns == 1 ? "is" : "are"));
	if (model->result == SMRT_RESULT_COMPOSITE)
		return as_row(reading, values, nulls);
	*is_null = nulls[0];
	return values[0];
}

static Datum
as_row(Reading *reading, Datum *values, bool *nulls)
{
	const SmrtModel *model = reading->model;
	Datum		row = HeapTupleGetDatum(heap_form_tuple(model->tupdesc, values,
														nulls));

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

	initStringInfo(&literal);
	while (more)
	{
		char	   *text = csv_text(smrt_csv_field(&record, &more));

		appendStringInfoChar(&literal, literal.len ? ',' : '{');
		if (text == NULL)
			appendStringInfoString(&literal, "NULL");
		else
			appendStringInfoString(&literal, array_element(text));
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
					reading->model->name, reading->row + 1, why),
			 errdetail("The prediction is: %s",
					   smrt_report_text(reading->piece, SHOWN_BYTES))));
}
