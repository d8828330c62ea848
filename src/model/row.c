/*
 * Writing rows.
 *
 * Numbers are written so that they read back as the same number: floats by the
 * shortest such text, whatever extra_float_digits says.  Times are ISO 8601,
 * whatever DateStyle says.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "mb/pg_wchar.h"
#include "model/row.h"
#include "nodes/makefuncs.h"
#include "pg/compat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

static bool skips(const SmrtModel *model, const bool *nulls);
static void write_csv(const SmrtModel *model, const Datum *values,
					  const bool *nulls, SmrtBuf *body);
static void write_json(const SmrtModel *model, const Datum *values,
					   const bool *nulls, SmrtBuf *body);
static void csv_value(const SmrtModelArgument *argument, Datum value,
					  SmrtBuf *body);
static void csv_array(const SmrtModelArgument *argument, Datum value,
					  SmrtBuf *body);
static void csv_text(const char *text, SmrtBuf *body);
static void json_value(const SmrtModelArgument *argument, Datum value,
					   SmrtBuf *body);
static void json_by_function(Oid type, Datum value, SmrtBuf *body);
static const char *number_text(Oid type, Datum value, char *buffer);
static const char *time_text(Oid type, Datum value, char *buffer);
static void append_utf8(const char *text, SmrtBuf *body);
static void append_json(char *text, SmrtBuf *body);
static void append_json_string(const char *text, SmrtBuf *body);

bool
smrt_row_write(const SmrtModel *model, const Datum *values, const bool *nulls,
			   SmrtBuf *body)
{
	if (skips(model, nulls))
		return false;
	if (smrt_model_rows_are_json(model))
		write_json(model, values, nulls, body);
	else
		write_csv(model, values, nulls, body);
	return true;
}

void
smrt_row_write_header(const SmrtModel *model, SmrtBuf *body)
{
	for (int i = 0; i < model->n_arguments; i++)
	{
		if (i > 0)
			smrt_buf_append_char(body, ',');
		csv_text(model->arguments[i].name ? model->arguments[i].name :
				 psprintf("column%d", i + 1), body);
	}
}

static bool
skips(const SmrtModel *model, const bool *nulls)
{
	for (int i = 0; i < model->n_arguments; i++)
	{
		if (!nulls[i])
			continue;
		if (model->nulls == SMRT_NULLS_ERROR)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument %d of model %s is null", i + 1,
							model->name)));
		if (model->strict || model->nulls == SMRT_NULLS_SKIP)
			return true;
	}
	return false;
}

static void
write_csv(const SmrtModel *model, const Datum *values, const bool *nulls,
		  SmrtBuf *body)
{
	for (int i = 0; i < model->n_arguments; i++)
	{
		if (i > 0)
			smrt_buf_append_char(body, ',');
		if (!nulls[i])
			csv_value(&model->arguments[i], values[i], body);
		else if (model->nulls == SMRT_NULLS_NAN)
			smrt_buf_append_string(body, "nan");
	}
}

static void
csv_value(const SmrtModelArgument *argument, Datum value, SmrtBuf *body)
{
	char		buffer[128];
	const char *text;

	if (argument->type == BOOLOID)
		smrt_buf_append_char(body, DatumGetBool(value) ? '1' : '0');
	else if ((text = number_text(argument->type, value, buffer)) != NULL ||
			 (text = time_text(argument->type, value, buffer)) != NULL)
		smrt_buf_append_string(body, text);
	else if (OidIsValid(get_element_type(argument->type)))
		csv_array(argument, value, body);
	else
		csv_text(OutputFunctionCall((FmgrInfo *) &argument->output, value), body);
}

/* An array's elements are fields of their own. */
static void
csv_array(const SmrtModelArgument *argument, Datum value, SmrtBuf *body)
{
	SmrtModelArgument element = {.type = getBaseType(get_element_type(argument->type))};
	Datum	   *values;
	bool	   *nulls;
	int			n;
	int16		len;
	bool		by_value;
	char		align;
	Oid			output;
	bool		varlena;

	get_typlenbyvalalign(element.type, &len, &by_value, &align);
	getTypeOutputInfo(element.type, &output, &varlena);
	fmgr_info(output, &element.output);
	deconstruct_array(DatumGetArrayTypeP(value), element.type, len, by_value,
					  align, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			smrt_buf_append_char(body, ',');
		if (!nulls[i])
			csv_value(&element, values[i], body);
	}
}

/* RFC 4180: quoted if need be, quotes doubled. */
static void
csv_text(const char *text, SmrtBuf *body)
{
	size_t		len = strlen(text);

	if (len > 0 && text[strcspn(text, ",\"\r\n")] == '\0' &&
		text[0] != ' ' && text[len - 1] != ' ')
	{
		append_utf8(text, body);
		return;
	}
	smrt_buf_append_char(body, '"');
	for (const char *quote; (quote = strchr(text, '"')) != NULL; text = quote + 1)
	{
		append_utf8(pnstrdup(text, quote - text + 1), body);
		smrt_buf_append_char(body, '"');
	}
	append_utf8(text, body);
	smrt_buf_append_char(body, '"');
}

/*
 * One argument that is JSON or an array is the whole row; else an object by the
 * arguments' names, or an array where one has none.
 */
static void
write_json(const SmrtModel *model, const Datum *values, const bool *nulls,
		   SmrtBuf *body)
{
	bool		named = true;
	bool		alone = false;

	for (int i = 0; i < model->n_arguments; i++)
		named = named && model->arguments[i].name != NULL;
	if (model->n_arguments == 1)
	{
		Oid			type = model->arguments[0].type;

		alone = model->format == SMRT_FORMAT_INPUTS || type == JSONOID ||
			type == JSONBOID || OidIsValid(get_element_type(type)) ||
			type_is_rowtype(type) || !named;
	}
	if (!alone)
		smrt_buf_append_char(body, named ? '{' : '[');
	for (int i = 0; i < model->n_arguments; i++)
	{
		if (i > 0)
			smrt_buf_append_char(body, ',');
		if (named && !alone)
		{
			append_json_string(model->arguments[i].name, body);
			smrt_buf_append_char(body, ':');
		}
		if (!nulls[i])
			json_value(&model->arguments[i], values[i], body);
		else
			smrt_buf_append_string(body, model->nulls == SMRT_NULLS_NAN ?
								   "\"NaN\"" : "null");
	}
	if (!alone)
		smrt_buf_append_char(body, named ? '}' : ']');
}

static void
json_value(const SmrtModelArgument *argument, Datum value, SmrtBuf *body)
{
	char		buffer[128];
	const char *plain = number_text(argument->type, value, buffer);

	if (plain != NULL)
		/* JSON has no word for these. */
		smrt_buf_append_string(body, strspn(plain, "+-0123456789.e") == strlen(plain) ?
							   plain : "null");
	else if (argument->type == BOOLOID)
		smrt_buf_append_string(body, DatumGetBool(value) ? "true" : "false");
	else if ((plain = time_text(argument->type, value, buffer)) != NULL)
		append_json_string(plain, body);
	else if (argument->type == JSONOID)
		append_json(TextDatumGetCString(value), body);
	else if (argument->type == JSONBOID)
	{
		Jsonb	   *jsonb = DatumGetJsonbP(value);

		append_utf8(JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb)), body);
	}
	else if (OidIsValid(get_element_type(argument->type)) ||
			 type_is_rowtype(argument->type))
		json_by_function(argument->type, value, body);
	else
		append_json_string(OutputFunctionCall((FmgrInfo *) &argument->output,
											  value), body);
}

/* to_json(), which has to be told its argument's type. */
static void
json_by_function(Oid type, Datum value, SmrtBuf *body)
{
	FmgrInfo	to_json;
	Const	   *argument = makeConst(type, -1, InvalidOid, get_typlen(type),
									 value, false, get_typbyval(type));

	fmgr_info(F_TO_JSON, &to_json);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSON, JSONOID,
											 list_make1(argument), InvalidOid,
											 InvalidOid, COERCE_EXPLICIT_CALL),
					   &to_json);
	append_json(TextDatumGetCString(FunctionCall1(&to_json, value)), body);
}

/* NULL when the type is no number. */
static const char *
number_text(Oid type, Datum value, char *buffer)
{
	switch (type)
	{
		case INT2OID:
			pg_ltoa(DatumGetInt16(value), buffer);
			return buffer;
		case INT4OID:
			pg_ltoa(DatumGetInt32(value), buffer);
			return buffer;
		case INT8OID:
			pg_lltoa(DatumGetInt64(value), buffer);
			return buffer;
		case FLOAT4OID:
			if (isnan(DatumGetFloat4(value)) || isinf(DatumGetFloat4(value)))
				return isnan(DatumGetFloat4(value)) ? "nan" :
					DatumGetFloat4(value) > 0 ? "inf" : "-inf";
			float_to_shortest_decimal_buf(DatumGetFloat4(value), buffer);
			return buffer;
		case FLOAT8OID:
			if (isnan(DatumGetFloat8(value)) || isinf(DatumGetFloat8(value)))
				return isnan(DatumGetFloat8(value)) ? "nan" :
					DatumGetFloat8(value) > 0 ? "inf" : "-inf";
			double_to_shortest_decimal_buf(DatumGetFloat8(value), buffer);
			return buffer;
		case NUMERICOID:
			{
				char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out,
																	   value));

				return strcmp(text, "NaN") == 0 ? "nan" :
					strcmp(text, "Infinity") == 0 ? "inf" :
					strcmp(text, "-Infinity") == 0 ? "-inf" : text;
			}
		default:
			return NULL;
	}
}

/* NULL when the type is no point in time. */
static const char *
time_text(Oid type, Datum value, char *buffer)
{
	static const int utc = 0;

	switch (type)
	{
		case DATEOID:
		case TIMEOID:
		case TIMETZOID:
		case TIMESTAMPOID:
			return JsonEncodeDateTime(buffer, value, type, NULL);
		case TIMESTAMPTZOID:
			return JsonEncodeDateTime(buffer, value, type, &utc);
		default:
			return NULL;
	}
}

static void
append_utf8(const char *text, SmrtBuf *body)
{
	smrt_buf_append_string(body,
						   (char *) pg_server_to_any(text, strlen(text), PG_UTF8));
}

/* Line breaks, which JSON has between its words only, would end a JSON line. */
static void
append_json(char *text, SmrtBuf *body)
{
	for (char *c = text; (c = strpbrk(c, "\r\n")) != NULL; c++)
		*c = ' ';
	append_utf8(text, body);
}

static void
append_json_string(const char *text, SmrtBuf *body)
{
	StringInfoData quoted;

	initStringInfo(&quoted);
	escape_json(&quoted, text);
	append_utf8(quoted.data, body);
	pfree(quoted.data);
}
