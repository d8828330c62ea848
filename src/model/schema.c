/*
 * Schemas.  One tree is written out for the model and held against its answer, so
 * that what it is told and what is accepted cannot differ.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "model/schema.h"
#include "pg/json.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#define ANSWER "answer"

typedef enum Kind
{
	KIND_ANY,
	KIND_BOOLEAN,
	KIND_INTEGER,
	KIND_NUMBER,
	KIND_STRING,
	KIND_ARRAY,
	KIND_OBJECT,
	KIND_COUNT
} Kind;

static const char *const words[] = {
	[KIND_ANY] = "any",
	[KIND_BOOLEAN] = "boolean",
	[KIND_INTEGER] = "integer",
	[KIND_NUMBER] = "number",
	[KIND_STRING] = "string",
	[KIND_ARRAY] = "array",
	[KIND_OBJECT] = "object",
};

StaticAssertDecl(lengthof(words) == KIND_COUNT, "every kind needs a word");

struct SmrtSchema
{
	Kind		kind;
	bool		nullable;
	bool		is_wrapper;		/* of an answer that has no names of its own */
	int64		min;			/* of an integer */
	int64		max;
	int			max_length;		/* of a string, in characters; 0: any */
	const char *format;			/* of a string, for the model only; or NULL */
	List	   *labels;			/* the only strings; NIL: any */
	List	   *parts;			/* of an array one, of an object its members */
	const char *name;			/* as a member */
};

/* Types whose schema is more than a kind. */
static const struct
{
	Oid			type;
	Kind		kind;
	int64		min;
	int64		max;
	const char *format;
}			types[] = {
	{BOOLOID, KIND_BOOLEAN},
	{INT2OID, KIND_INTEGER, PG_INT16_MIN, PG_INT16_MAX},
	{INT4OID, KIND_INTEGER, PG_INT32_MIN, PG_INT32_MAX},
	{INT8OID, KIND_INTEGER, PG_INT64_MIN, PG_INT64_MAX},
	{FLOAT4OID, KIND_NUMBER},
	{FLOAT8OID, KIND_NUMBER},
	{NUMERICOID, KIND_NUMBER},
	{JSONOID, KIND_ANY},
	{JSONBOID, KIND_ANY},
	{DATEOID, KIND_STRING, 0, 0, "date"},
	{TIMEOID, KIND_STRING, 0, 0, "time"},
	{TIMESTAMPOID, KIND_STRING, 0, 0, "date-time"},
	{TIMESTAMPTZOID, KIND_STRING, 0, 0, "date-time"},
	{UUIDOID, KIND_STRING, 0, 0, "uuid"},
};

static bool is_text(Oid type);
static SmrtSchema *schema_of_columns(const SmrtModel *model);
static SmrtSchema *schema_of_column(const SmrtResultColumn *column,
									const char *name, const SmrtModel *model);
static SmrtSchema *schema_of(Oid type, int32 typmod, bool nullable,
							 const char *name, const SmrtModel *model);
static List *schemas_of_row(Oid type, const SmrtModel *model);
static bool allows_null(Oid type);
static List *labels_of(Oid type);
static SmrtSchema *wrapper_of(SmrtSchema *part, Kind kind);
static void write_members(const SmrtSchema *schema, StringInfo json);
static bool fits(const SmrtSchema *schema, JsonbValue *value, SmrtError *error);
static bool is_of_kind(Kind kind, const JsonbValue *value);
static bool integer_fits(const SmrtSchema *schema, Numeric number);
static bool string_fits(const SmrtSchema *schema, const JsonbValue *value);
static bool array_fits(const SmrtSchema *schema, JsonbContainer *array,
					   SmrtError *error);
static bool object_fits(const SmrtSchema *schema, JsonbContainer *object,
						SmrtError *error);
static JsonbValue *member_of(JsonbContainer *object, const char *name);

SmrtSchema *
smrt_schema_make(const SmrtModel *model)
{
	SmrtSchema *schema;

	if (model->whole != NULL && !model->is_set && is_text(model->whole->type))
		return NULL;
	schema = schema_of_columns(model);
	if (model->is_set)
		schema = wrapper_of(wrapper_of(schema, KIND_ARRAY), KIND_OBJECT);
	else if (model->whole != NULL && schema->kind != KIND_ANY)
		schema = wrapper_of(schema, KIND_OBJECT);
	else
		return schema;
	schema->is_wrapper = true;
	return schema;
}

/* Text of any length: what a message is by itself. */
static bool
is_text(Oid type)
{
	char		category;
	bool		preferred;

	get_type_category_preferred(getBaseType(type), &category, &preferred);
	return category == TYPCATEGORY_STRING;
}

static SmrtSchema *
schema_of_columns(const SmrtModel *model)
{
	SmrtSchema *object;

	if (model->whole != NULL)
		return schema_of_column(model->whole, ANSWER, model);
	object = palloc0(sizeof(SmrtSchema));
	object->kind = KIND_OBJECT;
	object->name = ANSWER;
	for (int i = 0; i < model->n_columns; i++)
	{
		const SmrtResultColumn *column = &model->columns[i];

		if (column->binding == SMRT_BOUND_NOT)
			object->parts = lappend(object->parts,
									schema_of_column(column, column->name, model));
	}
	return object;
}

/* A domain brings its own typmod. */
static SmrtSchema *
schema_of_column(const SmrtResultColumn *column, const char *name,
				 const SmrtModel *model)
{
	return schema_of(column->type,
					 OidIsValid(column->domain) ? -1 : column->typmod,
					 model->undecided_is_null, name, model);
}

static SmrtSchema *
schema_of(Oid type, int32 typmod, bool nullable, const char *name,
		  const SmrtModel *model)
{
	SmrtSchema *schema = palloc0(sizeof(SmrtSchema));
	Oid			base = getBaseTypeAndTypmod(type, &typmod);
	Oid			element = get_element_type(base);

	schema->kind = OidIsValid(element) ? KIND_ARRAY : KIND_STRING;
	schema->name = name;
	schema->nullable = nullable && allows_null(type);
	for (int i = 0; i < lengthof(types); i++)
		if (types[i].type == base)
		{
			schema->kind = types[i].kind;
			schema->min = types[i].min;
			schema->max = types[i].max;
			schema->format = types[i].format;
		}
	if (OidIsValid(element))
		schema->parts = list_make1(schema_of(element, typmod, false, name, model));
	else if (type_is_rowtype(base))
	{
		schema->kind = KIND_OBJECT;
		schema->parts = schemas_of_row(base, model);
	}
	else if (type_is_enum(base))
		schema->labels = labels_of(base);
	else if ((base == VARCHAROID || base == BPCHAROID) && typmod > VARHDRSZ)
		schema->max_length = typmod - VARHDRSZ;
	return schema;
}

/* Of a composite type's columns. */
static List *
schemas_of_row(Oid type, const SmrtModel *model)
{
	TupleDesc	tupdesc = lookup_rowtype_tupdesc_copy(type, -1);
	List	   *schemas = NIL;

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, i);

		if (!attribute->attisdropped)
			schemas = lappend(schemas,
							  schema_of(attribute->atttypid, attribute->atttypmod,
										model->undecided_is_null,
										NameStr(attribute->attname), model));
	}
	if (schemas == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a language model's answer cannot hold type %s",
						format_type_be(type)),
				 errdetail("It has no columns.")));
	return schemas;
}

/* Not where a domain on the way says NOT NULL. */
static bool
allows_null(Oid type)
{
	bool		not_null = false;

	while (!not_null && get_typtype(type) == TYPTYPE_DOMAIN)
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
		Form_pg_type form = (Form_pg_type) GETSTRUCT(tuple);

		not_null = form->typnotnull;
		type = form->typbasetype;
		ReleaseSysCache(tuple);
	}
	return !not_null;
}

/* In the order of the type. */
static List *
labels_of(Oid type)
{
	Relation	catalog = table_open(EnumRelationId, AccessShareLock);
	Relation	index = index_open(EnumTypIdSortOrderIndexId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *labels = NIL;

	ScanKeyInit(&key, Anum_pg_enum_enumtypid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(type));
	scan = systable_beginscan_ordered(catalog, index, NULL, 1, &key);
	while ((tuple = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL)
		labels = lappend(labels,
						 pstrdup(NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel)));
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(catalog, AccessShareLock);
	return labels;
}

static SmrtSchema *
wrapper_of(SmrtSchema *part, Kind kind)
{
	SmrtSchema *wrapper = palloc0(sizeof(SmrtSchema));

	wrapper->kind = kind;
	wrapper->name = ANSWER;
	wrapper->parts = list_make1(part);
	return wrapper;
}

bool
smrt_schema_is_open(const SmrtSchema *schema)
{
	return schema->kind == KIND_ANY;
}

void
smrt_schema_write(const SmrtSchema *schema, StringInfo json)
{
	ListCell   *cell;

	if (schema->kind == KIND_ANY)
	{
		appendStringInfoString(json, "{}");
		return;
	}
	appendStringInfo(json, schema->nullable ? "{\"type\":[\"%s\",\"null\"]" :
					 "{\"type\":\"%s\"", words[schema->kind]);
	if (schema->kind == KIND_INTEGER)
		appendStringInfo(json, ",\"minimum\":" INT64_FORMAT ",\"maximum\":" INT64_FORMAT,
						 schema->min, schema->max);
	if (schema->format != NULL)
		appendStringInfo(json, ",\"format\":\"%s\"", schema->format);
	if (schema->max_length > 0)
		appendStringInfo(json, ",\"maxLength\":%d", schema->max_length);
	if (schema->labels != NIL)
	{
		appendStringInfoString(json, ",\"enum\":[");
		foreach(cell, schema->labels)
		{
			escape_json(json, lfirst(cell));
			appendStringInfoChar(json, ',');
		}
		json->len--;
		appendStringInfoString(json, schema->nullable ? ",null]" : "]");
	}
	if (schema->kind == KIND_ARRAY)
	{
		appendStringInfoString(json, ",\"items\":");
		smrt_schema_write(linitial(schema->parts), json);
	}
	if (schema->kind == KIND_OBJECT)
		write_members(schema, json);
	appendStringInfoChar(json, '}');
}

/* All of them are required: some containers want it said. */
static void
write_members(const SmrtSchema *schema, StringInfo json)
{
	ListCell   *cell;

	appendStringInfoString(json, ",\"properties\":{");
	foreach(cell, schema->parts)
	{
		const SmrtSchema *part = lfirst(cell);

		escape_json(json, part->name);
		appendStringInfoChar(json, ':');
		smrt_schema_write(part, json);
		appendStringInfoChar(json, ',');
	}
	json->len--;
	appendStringInfoString(json, "},\"required\":[");
	foreach(cell, schema->parts)
	{
		escape_json(json, ((const SmrtSchema *) lfirst(cell))->name);
		appendStringInfoChar(json, ',');
	}
	json->len--;
	appendStringInfoString(json, "],\"additionalProperties\":false");
}

JsonbValue *
smrt_schema_read(const SmrtSchema *schema, JsonbValue *value, SmrtError *error)
{
	JsonbValue *answer = NULL;

	/* Without its wrapper it is as clear. */
	if (schema->is_wrapper)
	{
		schema = linitial(schema->parts);
		if (is_of_kind(KIND_OBJECT, value))
			answer = member_of(value->val.binary.data, ANSWER);
	}
	if (answer == NULL)
		answer = value;
	return fits(schema, answer, error) ? answer : NULL;
}

static bool
fits(const SmrtSchema *schema, JsonbValue *value, SmrtError *error)
{
	if (schema->kind == KIND_ANY || (value->type == jbvNull && schema->nullable))
		return true;
	if (value->type == jbvNull)
		return smrt_error_set(error, "\"%s\" is null", schema->name);
	if (!is_of_kind(schema->kind, value))
		return smrt_error_set(error, "\"%s\" is not of type %s", schema->name,
							  words[schema->kind]);
	switch (schema->kind)
	{
		case KIND_INTEGER:
			return integer_fits(schema, value->val.numeric) ||
				smrt_error_set(error, "\"%s\" is no integer from " INT64_FORMAT " to " INT64_FORMAT,
							   schema->name, schema->min, schema->max);
		case KIND_STRING:
			return string_fits(schema, value) ||
				smrt_error_set(error, "\"%s\" is none of the strings that it may be",
							   schema->name);
		case KIND_ARRAY:
			return array_fits(schema, value->val.binary.data, error);
		case KIND_OBJECT:
			return object_fits(schema, value->val.binary.data, error);
		default:
			return true;
	}
}

static bool
is_of_kind(Kind kind, const JsonbValue *value)
{
	switch (kind)
	{
		case KIND_BOOLEAN:
			return value->type == jbvBool;
		case KIND_INTEGER:
		case KIND_NUMBER:
			return value->type == jbvNumeric;
		case KIND_STRING:
			return value->type == jbvString;
		case KIND_ARRAY:
			return value->type == jbvBinary &&
				JsonContainerIsArray(value->val.binary.data);
		case KIND_OBJECT:
			return value->type == jbvBinary &&
				JsonContainerIsObject(value->val.binary.data);
		default:
			return true;
	}
}

/* 1.0 is an integer in JSON schema, too. */
static bool
integer_fits(const SmrtSchema *schema, Numeric number)
{
	Datum		value = NumericGetDatum(number);
	Datum		min = DirectFunctionCall1(int8_numeric, Int64GetDatum(schema->min));
	Datum		max = DirectFunctionCall1(int8_numeric, Int64GetDatum(schema->max));
	Datum		whole = DirectFunctionCall2(numeric_trunc, value, Int32GetDatum(0));

	return DatumGetBool(DirectFunctionCall2(numeric_eq, value, whole)) &&
		DatumGetBool(DirectFunctionCall2(numeric_ge, value, min)) &&
		DatumGetBool(DirectFunctionCall2(numeric_le, value, max));
}

static bool
string_fits(const SmrtSchema *schema, const JsonbValue *value)
{
	SmrtSpan	text = smrt_span_of(value->val.string.val, value->val.string.len);
	ListCell   *cell;

	if (schema->max_length > 0 &&
		pg_mbstrlen_with_len(text.data, (int) text.len) > schema->max_length)
		return false;
	foreach(cell, schema->labels)
		if (smrt_span_equal(text, smrt_span(lfirst(cell))))
			return true;
	return schema->labels == NIL;
}

static bool
array_fits(const SmrtSchema *schema, JsonbContainer *array, SmrtError *error)
{
	int			n = JsonContainerSize(array);

	for (int i = 0; i < n; i++)
		if (!fits(linitial(schema->parts),
				  getIthJsonbValueFromContainer(array, i), error))
			return false;
	return true;
}

static bool
object_fits(const SmrtSchema *schema, JsonbContainer *object, SmrtError *error)
{
	ListCell   *cell;

	foreach(cell, schema->parts)
	{
		const SmrtSchema *part = lfirst(cell);
		JsonbValue *value = member_of(object, part->name);

		if (value == NULL)
			return smrt_error_set(error, "\"%s\" is missing", part->name);
		if (!fits(part, value, error))
			return false;
	}
	return true;
}

static JsonbValue *
member_of(JsonbContainer *object, const char *name)
{
	return getKeyJsonValueFromContainer(object, name, (int) strlen(name), NULL);
}
