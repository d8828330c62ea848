/*
 * Writing JSON.  to_json() will not do: what it writes depends on settings of the
 * session.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "model/jsonvalue.h"
#include "model/valuetext.h"
#include "pg/alloc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

/* An array that is being written. */
typedef struct Elements
{
	SmrtModelArgument type;
	SmrtNulls	nulls;
	ArrayType  *array;
	Datum	   *values;
	bool	   *is_null;
	int			next;
} Elements;

static void write_array(Datum value, SmrtNulls nulls, SmrtBuf *body);
static void write_dimension(Elements *elements, int dimension, SmrtBuf *body);
static void write_composite(Datum value, SmrtNulls nulls, SmrtBuf *body);
static void append_json(char *text, SmrtBuf *body);

void
smrt_jsonvalue_write(const SmrtModelArgument *argument, Datum value,
					 bool is_null, SmrtNulls nulls, SmrtBuf *body)
{
	char		buffer[SMRT_VALUE_TEXT_SIZE];
	const char *plain;

	if (is_null)
		smrt_buf_append_string(body, nulls == SMRT_NULLS_NAN ? "\"NaN\"" : "null");
	else if ((plain = smrt_value_number(argument->type, value, buffer)) != NULL)
		/* JSON has no word for these. */
		smrt_buf_append_string(body, strspn(plain, "+-0123456789.e") == strlen(plain) ?
							   plain : "null");
	else if (argument->type == BOOLOID)
		smrt_buf_append_string(body, DatumGetBool(value) ? "true" : "false");
	else if ((plain = smrt_value_time(argument->type, value, buffer)) != NULL)
		smrt_jsonvalue_string(plain, body);
	else if (argument->type == JSONOID)
		append_json(TextDatumGetCString(value), body);
	else if (argument->type == JSONBOID)
	{
		Jsonb	   *jsonb = DatumGetJsonbP(value);

		smrt_value_append(JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb)), body);
	}
	else if (OidIsValid(get_element_type(argument->type)))
		write_array(value, nulls, body);
	else if (type_is_rowtype(argument->type))
		write_composite(value, nulls, body);
	else
		smrt_jsonvalue_string(smrt_value_text(argument, value), body);
}

static void
write_array(Datum value, SmrtNulls nulls, SmrtBuf *body)
{
	Elements	elements = {.nulls = nulls,.array = DatumGetArrayTypeP(value)};
	Oid			type = ARR_ELEMTYPE(elements.array);
	int16		len;
	bool		by_value;
	char		align;
	int			n;

	if (ARR_NDIM(elements.array) == 0)
	{
		smrt_buf_append_string(body, "[]");
		return;
	}
	elements.type = smrt_value_part(type);
	get_typlenbyvalalign(type, &len, &by_value, &align);
	deconstruct_array(elements.array, type, len, by_value, align,
					  &elements.values, &elements.is_null, &n);
	write_dimension(&elements, 0, body);
}

/* Elements lie row by row, so that they are written in their order. */
static void
write_dimension(Elements *elements, int dimension, SmrtBuf *body)
{
	smrt_buf_append_char(body, '[');
	for (int i = 0; i < ARR_DIMS(elements->array)[dimension]; i++)
	{
		if (i > 0)
			smrt_buf_append_char(body, ',');
		if (dimension + 1 < ARR_NDIM(elements->array))
		{
			write_dimension(elements, dimension + 1, body);
			continue;
		}
		smrt_jsonvalue_write(&elements->type, elements->values[elements->next],
							 elements->is_null[elements->next],
							 elements->nulls, body);
		elements->next++;
	}
	smrt_buf_append_char(body, ']');
}

static void
write_composite(Datum value, SmrtNulls nulls, SmrtBuf *body)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	TupleDesc	tupdesc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
												 HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(header),.t_data = header};
	bool		is_first = true;

	/* A row type may have arrays of itself. */
	check_stack_depth();
	smrt_buf_append_char(body, '{');
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, i);
		SmrtModelArgument part;
		bool		is_null;
		Datum		member;

		if (attribute->attisdropped)
			continue;
		if (!is_first)
			smrt_buf_append_char(body, ',');
		is_first = false;
		smrt_jsonvalue_string(NameStr(attribute->attname), body);
		smrt_buf_append_char(body, ':');
		part = smrt_value_part(attribute->atttypid);
		member = heap_getattr(&tuple, i + 1, tupdesc, &is_null);
		smrt_jsonvalue_write(&part, member, is_null, nulls, body);
	}
	smrt_buf_append_char(body, '}');
	ReleaseTupleDesc(tupdesc);
}

/* Line breaks, which JSON has between its words only, would end a JSON line. */
static void
append_json(char *text, SmrtBuf *body)
{
	for (char *c = text; (c = strpbrk(c, "\r\n")) != NULL; c++)
		*c = ' ';
	smrt_value_append(text, body);
}

void
smrt_jsonvalue_string(const char *text, SmrtBuf *body)
{
	StringInfoData quoted;

	initStringInfo(&quoted);
	escape_json(&quoted, text);
	smrt_value_append(quoted.data, body);
	pfree(quoted.data);
}

void
smrt_jsonvalue_text(const char *text, SmrtBuf *body)
{
	StringInfoData quoted;

	initStringInfo(&quoted);
	escape_json(&quoted, text);
	quoted.data[quoted.len - 1] = '\0';
	smrt_value_append(quoted.data + 1, body);
	pfree(quoted.data);
}

void
smrt_jsonvalue_characters(const SmrtModelArgument *argument, Datum value,
						  bool is_null, SmrtNulls nulls, SmrtBuf *body)
{
	StringInfoData quoted;
	SmrtBuf		json;

	if (is_null && nulls != SMRT_NULLS_NAN)
		return;
	smrt_buf_init(&json, &smrt_alloc_palloc, body->max);
	smrt_jsonvalue_write(argument, value, is_null, nulls, &json);
	if (!smrt_buf_ok(&json))
		body->state = json.state;
	else if (json.data[0] == '"')
		smrt_buf_append(body, json.data + 1, json.len - 2);
	else
	{
		/* It is UTF-8, of which this leaves all but ASCII as it is. */
		initStringInfo(&quoted);
		escape_json(&quoted, json.data);
		smrt_buf_append(body, quoted.data + 1, quoted.len - 2);
		pfree(quoted.data);
	}
	smrt_buf_free(&json);
}
