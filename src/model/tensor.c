/*
 * From binary numbers to JSON, so that results are read in one way only.
 */
#include "postgres.h"

#include <math.h>

#include "aws/npy.h"
#include "aws/recordio.h"
#include "common/shortest_dec.h"
#include "mb/pg_wchar.h"
#include "model/tensor.h"
#include "pg/report.h"
#include "utils/json.h"

static bool append_record(StringInfo json, SmrtSpan record, SmrtError *error);
static bool append_label(StringInfo json, SmrtRecordioLabel *label,
						 SmrtError *error);
static void append_dimension(StringInfo json, const SmrtNpy *array,
							 int dimension, size_t *place);
static void append_number(StringInfo json, SmrtNumber number);
static char *not_readable(SmrtError *error);

char *
smrt_tensor_from_recordio(SmrtSpan body, SmrtError *error)
{
	StringInfoData json;
	SmrtSpan	record;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	while (body.len > 0)
	{
		if (json.len > 1)
			appendStringInfoChar(&json, ',');
		if (!smrt_recordio_next(&body, &record, error) ||
			!append_record(&json, record, error))
			return not_readable(error);
	}
	appendStringInfoChar(&json, ']');
	return json.data;
}

static bool
append_record(StringInfo json, SmrtSpan record, SmrtError *error)
{
	SmrtRecordioLabel label;
	bool		found;
	bool		is_first = true;

	appendStringInfoChar(json, '{');
	for (;;)
	{
		if (!smrt_recordio_label(&record, &label, &found, error))
			return false;
		if (!found)
			break;
		if (!is_first)
			appendStringInfoChar(json, ',');
		is_first = false;
		if (!append_label(json, &label, error))
			return false;
	}
	appendStringInfoChar(json, '}');
	return true;
}

static bool
append_label(StringInfo json, SmrtRecordioLabel *label, SmrtError *error)
{
	char	   *name = pnstrdup(label->name.data, label->name.len);
	SmrtNumber	number;
	bool		is_first = true;

	if (!pg_verify_mbstr(PG_UTF8, name, label->name.len, true))
		return smrt_error_set(error, "the name of an output is not UTF-8");
	escape_json(json, pg_any_to_server(name, label->name.len, PG_UTF8));
	appendStringInfoString(json, ":[");
	while (smrt_recordio_number(label, &number))
	{
		if (!is_first)
			appendStringInfoChar(json, ',');
		is_first = false;
		append_number(json, number);
	}
	appendStringInfoChar(json, ']');
	return true;
}

char *
smrt_tensor_from_npy(SmrtSpan body, SmrtError *error)
{
	StringInfoData json;
	SmrtNpy		array;
	size_t		place[SMRT_NPY_MAX_DIMENSIONS] = {0};

	if (!smrt_npy_read(body, &array, error))
		return not_readable(error);
	initStringInfo(&json);
	append_dimension(&json, &array, 0, place);
	return json.data;
}

static void
append_dimension(StringInfo json, const SmrtNpy *array, int dimension,
				 size_t *place)
{
	appendStringInfoChar(json, '[');
	for (size_t i = 0; i < array->shape[dimension]; i++)
	{
		if (i > 0)
			appendStringInfoChar(json, ',');
		place[dimension] = i;
		if (dimension + 1 < array->n_dimensions)
			append_dimension(json, array, dimension + 1, place);
		else
			append_number(json, smrt_npy_element(array, place));
	}
	appendStringInfoChar(json, ']');
}

static void
append_number(StringInfo json, SmrtNumber number)
{
	char		text[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (number.kind == SMRT_NUMBER_WHOLE)
		appendStringInfo(json, INT64_FORMAT, number.whole);
	else if (isnan(number.real) || isinf(number.real))
		appendStringInfoString(json, isnan(number.real) ? "\"NaN\"" :
							   number.real > 0 ? "\"Infinity\"" : "\"-Infinity\"");
	else
	{
		if (number.kind == SMRT_NUMBER_SINGLE)
			float_to_shortest_decimal_buf((float) number.real, text);
		else
			double_to_shortest_decimal_buf(number.real, text);
		appendStringInfoString(json, text);
	}
}

/* The reason may quote what stood there. */
static char *
not_readable(SmrtError *error)
{
	char	   *shown = smrt_report_text(smrt_span(error->text),
										 sizeof(error->text));

	smrt_error_set(error, "%s", shown);
	return NULL;
}
