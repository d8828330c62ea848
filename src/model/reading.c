/*
 * Reading columns.
 */
#include "postgres.h"

#include <ctype.h>

#include "mb/pg_wchar.h"
#include "model/reading.h"
#include "model/csv.h"
#include "pg/json.h"
#include "pg/report.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

/* How much of a prediction that does not fit is shown. */
#define SHOWN_BYTES 80

static void check_dimension(const SmrtReading *reading, const JsonbValue *value);
static char *csv_text(SmrtSpan field);
static char *literal_of(const SmrtReading *reading, Oid type, JsonbValue *value);
static char *array_literal(const SmrtReading *reading, Oid type,
						   JsonbContainer *array);
static char *row_literal(const SmrtReading *reading, Oid type,
						 JsonbContainer *container);
static char *quoted(const char *text);
static bool is_number(const char *text);
static char *whole_number(const SmrtReading *reading, char *text);

Datum
smrt_reading_from_json(const SmrtReading *reading, SmrtResultColumn *column,
					   JsonbValue *value, bool *is_null)
{
	if (value->type == jbvNull)
		return smrt_reading_from_text(reading, column, NULL, is_null);
	check_dimension(reading, value);
	if (column->kind == SMRT_RESULT_JSON)
		return smrt_reading_from_text(reading, column, smrt_json_text(value), is_null);
	if (value->type != jbvBinary)
	{
		if (column->kind == SMRT_RESULT_ARRAY)
			smrt_reading_refuse(reading, "is one value, but an array is wanted");
		return smrt_reading_from_text(reading, column, smrt_json_scalar(value), is_null);
	}
	if (column->kind == SMRT_RESULT_ARRAY &&
		JsonContainerIsArray(value->val.binary.data))
		return smrt_reading_from_text(reading, column,
									  array_literal(reading, getBaseType(column->type),
													value->val.binary.data), is_null);
	/* {"score": 0.4} and [0.4] are 0.4 to a type that has one value. */
	if (column->kind == SMRT_RESULT_ARRAY || column->number)
	{
		JsonbValue *part = smrt_reading_only_part(value->val.binary.data);

		if (part == NULL)
			smrt_reading_refuse(reading, "has several values, but one is wanted: choose with the option \"predictions\", or return a row");
		return smrt_reading_from_json(reading, column, part, is_null);
	}
	return smrt_reading_from_text(reading, column, smrt_json_text(value), is_null);
}

/* A vector of another model would be stored and compared without a word. */
static void
check_dimension(const SmrtReading *reading, const JsonbValue *value)
{
	int			wanted = reading->model->dimension;

	if (wanted > 0 && value->type == jbvBinary &&
		JsonContainerIsArray(value->val.binary.data) &&
		JsonContainerSize(value->val.binary.data) != wanted)
		smrt_reading_refuse(reading,
							psprintf("has %d numbers, but the option \"dimension\" says %d",
									 (int) JsonContainerSize(value->val.binary.data),
									 wanted));
}

JsonbValue *
smrt_reading_only_part(JsonbContainer *container)
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

Datum
smrt_reading_from_field(const SmrtReading *reading, SmrtResultColumn *column,
						SmrtSpan field, bool *is_null)
{
	char	   *text = csv_text(field);

	/* XGBoost writes a list within a line as JSON. */
	if (column->kind == SMRT_RESULT_ARRAY && text != NULL && text[0] == '[')
		return smrt_reading_from_json(reading, column,
									  smrt_reading_parse(reading, smrt_span(text)),
									  is_null);
	return smrt_reading_from_text(reading, column, text, is_null);
}

Datum
smrt_reading_from_record(const SmrtReading *reading, SmrtResultColumn *column,
						 SmrtSpan record, bool *is_null)
{
	StringInfoData literal;
	bool		more = true;
	SmrtSpan	field = smrt_csv_field(&record, &more);
	char	   *text = csv_text(field);

	if (!more && text != NULL && text[0] == '[')
		return smrt_reading_from_field(reading, column, field, is_null);
	initStringInfo(&literal);
	for (;;)
	{
		appendStringInfoChar(&literal, literal.len ? ',' : '{');
		if (text == NULL)
			appendStringInfoString(&literal, "NULL");
		else
			appendStringInfoString(&literal, quoted(text));
		if (!more)
			break;
		text = csv_text(smrt_csv_field(&record, &more));
	}
	appendStringInfoChar(&literal, '}');
	return smrt_reading_from_text(reading, column, literal.data, is_null);
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

/* What the input function of a part's type reads; NULL for null. */
static char *
literal_of(const SmrtReading *reading, Oid type, JsonbValue *value)
{
	Oid			base = getBaseType(type);

	if (value->type == jbvNull)
		return NULL;
	if (value->type == jbvBinary && type_is_rowtype(base))
		return row_literal(reading, base, value->val.binary.data);
	if (value->type == jbvBinary && OidIsValid(get_element_type(base)) &&
		JsonContainerIsArray(value->val.binary.data))
		return array_literal(reading, base, value->val.binary.data);
	return value->type == jbvBinary ? smrt_json_text(value) : smrt_json_scalar(value);
}

/* Arrays within it are further dimensions. */
static char *
array_literal(const SmrtReading *reading, Oid type, JsonbContainer *array)
{
	StringInfoData literal;
	int			n = JsonContainerSize(array);

	initStringInfo(&literal);
	appendStringInfoChar(&literal, '{');
	for (int i = 0; i < n; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);
		bool		is_nested = element->type == jbvBinary &&
			JsonContainerIsArray(element->val.binary.data);
		char	   *text = is_nested ?
			array_literal(reading, type, element->val.binary.data) :
			literal_of(reading, get_element_type(type), element);

		if (i > 0)
			appendStringInfoChar(&literal, ',');
		appendStringInfoString(&literal, text == NULL ? "NULL" :
							   is_nested ? text : quoted(text));
	}
	appendStringInfoChar(&literal, '}');
	return literal.data;
}

/* Of an object by names, as the rows of results are. */
static char *
row_literal(const SmrtReading *reading, Oid type, JsonbContainer *container)
{
	TupleDesc	tupdesc = lookup_rowtype_tupdesc_copy(type, -1);
	StringInfoData literal;

	if (!JsonContainerIsObject(container))
		smrt_reading_refuse(reading, "has an array where an object is wanted");
	initStringInfo(&literal);
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, i);
		const char *name = NameStr(attribute->attname);
		JsonbValue *value;
		char	   *text;

		if (attribute->attisdropped)
			continue;
		value = getKeyJsonValueFromContainer(container, name, strlen(name), NULL);
		if (value == NULL)
			smrt_reading_refuse(reading, psprintf("has no member \"%s\"", name));
		text = literal_of(reading, attribute->atttypid, value);
		appendStringInfo(&literal, "%s%s", literal.len > 0 ? "," : "(",
						 text ? quoted(text) : "");
	}
	appendStringInfoChar(&literal, ')');
	return literal.data;
}

/* As a part of an array or a row. */
static char *
quoted(const char *text)
{
	StringInfoData literal;

	initStringInfo(&literal);
	appendStringInfoChar(&literal, '"');
	for (; *text; text++)
	{
		if (*text == '"' || *text == '\\')
			appendStringInfoChar(&literal, '\\');
		appendStringInfoChar(&literal, *text);
	}
	appendStringInfoChar(&literal, '"');
	return literal.data;
}

Datum
smrt_reading_from_text(const SmrtReading *reading, SmrtResultColumn *column,
					   char *text, bool *is_null)
{
	Datum		value;

	*is_null = text == NULL;
	if (text != NULL && column->number)
	{
		if (!is_number(text))
			smrt_reading_refuse(reading, psprintf("is not of type %s",
												  format_type_be(column->type)));
		if (column->whole_number)
			text = whole_number(reading, text);
	}
	*reading->in_user_code = column->has_user_code;
	value = InputFunctionCall(&column->input, text, column->ioparam,
							  column->typmod);
	*reading->in_user_code = false;
	smrt_reading_check_domain(reading, column->domain, value, *is_null, column);
	return value;
}

/* What the input functions of numbers take, but for the range. */
static bool
is_number(const char *text)
{
	static const char *const words[] = {"nan", "inf", "infinity"};
	const char *c = text + (*text == '-' || *text == '+');
	int			digits = 0;

	for (int i = 0; isalpha((unsigned char) *c) && i < lengthof(words); i++)
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
whole_number(const SmrtReading *reading, char *text)
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
		smrt_reading_refuse(reading, "is not a whole number");
	return DatumGetCString(DirectFunctionCall1(numeric_out, whole));
}

/* A domain may forbid null, so it is asked for that too. */
void
smrt_reading_check_domain(const SmrtReading *reading, Oid domain, Datum value,
						  bool is_null, SmrtResultColumn *column)
{
	if (!OidIsValid(domain))
		return;
	*reading->in_user_code = true;
	domain_check(value, is_null, domain, column ? &column->domain_memory : NULL,
				 column ? column->input.fn_mcxt : NULL);
	*reading->in_user_code = false;
}

JsonbValue *
smrt_reading_parse(const SmrtReading *reading, SmrtSpan text)
{
	JsonbValue *value = palloc(sizeof(JsonbValue));

	if (smrt_json_problem(text, GetDatabaseEncoding()) != NULL)
		smrt_reading_refuse(reading, "is not JSON");
	*value = smrt_json_root(DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
															   CStringGetDatum(pnstrdup(text.data, text.len)))));
	return value;
}

void
smrt_reading_refuse(const SmrtReading *reading, const char *why)
{
	ereport(ERROR,
			(errcode(SMRT_ERRCODE_BAD_REPLY),
			 errmsg("model %s: the prediction for row %d of the request %s",
					reading->model->name, reading->outcome->row + 1, why),
			 errdetail("The prediction is: %s",
					   smrt_report_text(smrt_piece_text(&reading->outcome->piece),
										SHOWN_BYTES))));
}
