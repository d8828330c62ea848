/*
 * Values as text that depends on no setting of the session.
 *
 * Numbers read back as the same number: floats are the shortest such text.
 * Points in time and intervals are ISO 8601.
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "mb/pg_wchar.h"
#include "model/valuetext.h"
#include "pg/compat.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

StaticAssertDecl(SMRT_VALUE_TEXT_SIZE > MAXDATELEN &&
				 SMRT_VALUE_TEXT_SIZE >= DOUBLE_SHORTEST_DECIMAL_LEN,
				 "the buffer must take any of these texts");

/* What output functions ask, and what they are to hear. */
static const struct
{
	const char *name;
	const char *value;
}			settings[] = {
	{"bytea_output", "hex"},
	{"DateStyle", "ISO, MDY"},
	{"extra_float_digits", "1"},	/* from 1 on, the shortest exact text */
	{"IntervalStyle", "iso_8601"},
	{"lc_monetary", "C"},
	{"quote_all_identifiers", "off"},
	{"search_path", "pg_catalog"},
	{"TimeZone", "UTC"},
};

static bool may_ask_settings(char category);

SmrtModelArgument
smrt_value_part(Oid type)
{
	SmrtModelArgument part = {.type = getBaseType(type)};
	Oid			output;
	bool		varlena;
	bool		preferred;

	get_type_category_preferred(part.type, &part.category, &preferred);
	getTypeOutputInfo(part.type, &output, &varlena);
	fmgr_info(output, &part.output);
	return part;
}

const char *
smrt_value_number(Oid type, Datum value, char *buffer)
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

				if (isdigit((unsigned char) text[*text == '-']))
					return text;
				return strcmp(text, "NaN") == 0 ? "nan" :
					*text == '-' ? "-inf" : "inf";
			}
		default:
			return NULL;
	}
}

bool
smrt_value_is_number(Oid type)
{
	return type == BOOLOID || type == INT2OID || type == INT4OID ||
		type == INT8OID || type == FLOAT4OID || type == FLOAT8OID ||
		type == NUMERICOID;
}

double
smrt_value_float(Oid type, Datum value)
{
	switch (type)
	{
		case BOOLOID:
			return DatumGetBool(value) ? 1 : 0;
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return (double) DatumGetInt64(value);
		case FLOAT4OID:
			return DatumGetFloat4(value);
		case FLOAT8OID:
			return DatumGetFloat8(value);
		case NUMERICOID:
			return DatumGetFloat8(DirectFunctionCall1(numeric_float8, value));
		default:
			elog(ERROR, "type %u is no number", type);
	}
}

const char *
smrt_value_time(Oid type, Datum value, char *buffer)
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

char *
smrt_value_text(const SmrtModelArgument *argument, Datum value)
{
	char	   *text;
	int			level;

	if (!may_ask_settings(argument->category))
		return OutputFunctionCall((FmgrInfo *) &argument->output, value);
	level = NewGUCNestLevel();
	for (int i = 0; i < lengthof(settings); i++)
		/* Clients are told of some changes, so there is none without need. */
		if (strcmp(GetConfigOption(settings[i].name, false, false),
				   settings[i].value) != 0)
			(void) set_config_option(settings[i].name, settings[i].value,
									 PGC_USERSET, PGC_S_SESSION,
									 GUC_ACTION_SAVE, true, 0, false);
	text = OutputFunctionCall((FmgrInfo *) &argument->output, value);
	AtEOXact_GUC(true, level);
	return text;
}

static bool
may_ask_settings(char category)
{
	switch (category)
	{
		case TYPCATEGORY_STRING:
		case TYPCATEGORY_ENUM:
		case TYPCATEGORY_BITSTRING:
		case TYPCATEGORY_NETWORK:
			return false;
		default:
			return true;
	}
}

SmrtSpan
smrt_value_span(const SmrtModelArgument *argument, Datum value)
{
	struct varlena *text;

	if (argument->type != TEXTOID && argument->type != VARCHAROID)
		return smrt_span(smrt_value_text(argument, value));
	text = PG_DETOAST_DATUM_PACKED(value);
	return smrt_span_of(VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
}

void
smrt_value_append(const char *text, SmrtBuf *body)
{
	smrt_value_append_span(smrt_span(text), body);
}

void
smrt_value_append_span(SmrtSpan text, SmrtBuf *body)
{
	const char *converted = (char *) pg_server_to_any(text.data, (int) text.len,
													  PG_UTF8);

	smrt_buf_append(body, converted,
					converted == text.data ? text.len : strlen(converted));
}
