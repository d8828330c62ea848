/*
 * Writing rows: lines of CSV, JSON objects and arrays, and numbers in three ways.
 */
#include "postgres.h"

#include <math.h>

#include "aws/npy.h"
#include "aws/recordio.h"
#include "catalog/pg_type.h"
#include "model/jsonvalue.h"
#include "model/prompt.h"
#include "model/row.h"
#include "model/valuetext.h"
#include "utils/array.h"
#include "utils/float.h"
#include "utils/lsyscache.h"

/* A row of them. */
typedef struct Numbers
{
	double	   *values;
	int			n;
	int			size;
} Numbers;

static bool skips(const SmrtModel *model, const bool *nulls);
static void write_csv(const SmrtModel *model, const Datum *values,
					  const bool *nulls, SmrtBuf *body);
static void write_shared(const SmrtModel *model, const Datum *values,
						 const bool *nulls, SmrtBuf *body);
static void write_json(const SmrtModel *model, const Datum *values,
					   const bool *nulls, SmrtBuf *body);
static void csv_field(const SmrtModelArgument *argument, Datum value,
					  bool is_null, SmrtNulls nulls, SmrtBuf *body);
static void csv_value(const SmrtModelArgument *argument, Datum value,
					  SmrtNulls nulls, SmrtBuf *body);
static void csv_array(Datum value, SmrtNulls nulls, SmrtBuf *body);
static void csv_text(const char *text, SmrtBuf *body);
static void write_line(const SmrtModel *model, Datum value, bool is_null,
					   SmrtBuf *body);
static bool is_whole_row(const SmrtModel *model, int i);
static void write_member(const SmrtModel *model, int i, bool with_name,
						 const Datum *values, const bool *nulls, SmrtBuf *body);
static void write_numbers(const SmrtModel *model, const Datum *values,
						  const bool *nulls, SmrtBuf *body);
static void add_argument(Numbers *numbers, const SmrtModelArgument *argument,
						 Datum value, bool is_null);
static void add_number(Numbers *numbers, double number);
static void write_recordio(const SmrtModel *model, const Numbers *numbers,
						   SmrtBuf *body);
static void write_libsvm(const SmrtModel *model, const Numbers *numbers,
						 SmrtBuf *body);

bool
smrt_row_write(const SmrtModel *model, const Datum *values, const bool *nulls,
			   SmrtBuf *body)
{
	if (skips(model, nulls))
		return false;
	if (model->n_shared > 0)
		write_shared(model, values, nulls, body);
	switch (smrt_model_row_kind(model))
	{
		case SMRT_ROW_CSV:
			write_csv(model, values, nulls, body);
			break;
		case SMRT_ROW_JSON:
			if (model->prompt != NULL)
				smrt_prompt_write(model, values, nulls, body);
			else
				write_json(model, values, nulls, body);
			break;
		case SMRT_ROW_NUMBERS:
			write_numbers(model, values, nulls, body);
			break;
		case SMRT_ROW_TEXT:
			write_line(model, values[0], nulls[0], body);
			break;
	}
	return true;
}

SmrtSpan
smrt_row_take_shared(const SmrtModel *model, SmrtSpan *row)
{
	SmrtSpan	shared;

	if (model->n_shared == 0 || row->len == 0)
		return smrt_span(NULL);
	shared = smrt_span_up_to(*row, '\0');
	*row = smrt_span_after(*row, shared.len + 1);
	return shared;
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
		csv_field(&model->arguments[i], values[i], nulls[i], model->nulls, body);
	}
}

static void
csv_field(const SmrtModelArgument *argument, Datum value, bool is_null,
		  SmrtNulls nulls, SmrtBuf *body)
{
	if (!is_null)
		csv_value(argument, value, nulls, body);
	else if (nulls == SMRT_NULLS_NAN)
		smrt_buf_append_string(body, "nan");
}

static void
csv_value(const SmrtModelArgument *argument, Datum value, SmrtNulls nulls,
		  SmrtBuf *body)
{
	char		buffer[SMRT_VALUE_TEXT_SIZE];
	const char *text;

	if (argument->type == BOOLOID)
		smrt_buf_append_char(body, DatumGetBool(value) ? '1' : '0');
	else if ((text = smrt_value_number(argument->type, value, buffer)) != NULL ||
			 (text = smrt_value_time(argument->type, value, buffer)) != NULL)
		smrt_buf_append_string(body, text);
	/* The category spares most types a look into the catalog. */
	else if (argument->category == TYPCATEGORY_ARRAY &&
			 OidIsValid(get_element_type(argument->type)))
		csv_array(value, nulls, body);
	else
		csv_text(smrt_value_text(argument, value), body);
}

/* NULL is an empty line, which is left to the model. */
static void
write_line(const SmrtModel *model, Datum value, bool is_null, SmrtBuf *body)
{
	SmrtSpan	line = is_null ? smrt_span("") :
		smrt_value_span(&model->arguments[0], value);

	if (memchr(line.data, '\n', line.len) != NULL ||
		memchr(line.data, '\r', line.len) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the argument of model %s has more than one line",
						model->name),
				 errdetail("In the format lines a row is a line, as it is.")));
	smrt_value_append_span(line, body);
}

/* An array's elements are fields of their own. */
static void
csv_array(Datum value, SmrtNulls nulls, SmrtBuf *body)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	SmrtModelArgument element = smrt_value_part(ARR_ELEMTYPE(array));
	Datum	   *values;
	bool	   *is_null;
	int			n;
	int16		len;
	bool		by_value;
	char		align;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &len, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), len, by_value, align,
					  &values, &is_null, &n);
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			smrt_buf_append_char(body, ',');
		csv_field(&element, values[i], is_null[i], nulls, body);
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
		smrt_value_append(text, body);
		return;
	}
	smrt_buf_append_char(body, '"');
	for (const char *quote; (quote = strchr(text, '"')) != NULL; text = quote + 1)
	{
		smrt_value_append(pnstrdup(text, quote - text + 1), body);
		smrt_buf_append_char(body, '"');
	}
	smrt_value_append(text, body);
	smrt_buf_append_char(body, '"');
}

/* Members of the body, and a NUL, which JSON has not. */
static void
write_shared(const SmrtModel *model, const Datum *values, const bool *nulls,
			 SmrtBuf *body)
{
	int			n = 0;

	for (int i = 0; i < model->n_arguments; i++)
	{
		if (!model->arguments[i].shared)
			continue;
		if (n++ > 0)
			smrt_buf_append_char(body, ',');
		write_member(model, i, true, values, nulls, body);
	}
	smrt_buf_append_char(body, '\0');
}

/*
 * One argument that is JSON or an array is the whole row; else an object by the
 * arguments' names, or an array where one has none.  What is shared is elsewhere.
 */
static void
write_json(const SmrtModel *model, const Datum *values, const bool *nulls,
		   SmrtBuf *body)
{
	bool		named = true;
	bool		alone = false;
	int			n = 0;

	for (int i = 0; i < model->n_arguments; i++)
		named = named && model->arguments[i].name != NULL;
	for (int i = 0; i < model->n_arguments; i++)
		if (model->n_arguments - model->n_shared == 1 && !model->arguments[i].shared)
			alone = is_whole_row(model, i) || !named;
	if (!alone)
		smrt_buf_append_char(body, named ? '{' : '[');
	for (int i = 0; i < model->n_arguments; i++)
	{
		if (model->arguments[i].shared)
			continue;
		if (n++ > 0)
			smrt_buf_append_char(body, ',');
		write_member(model, i, named && !alone, values, nulls, body);
	}
	if (!alone)
		smrt_buf_append_char(body, named ? '}' : ']');
}

static bool
is_whole_row(const SmrtModel *model, int i)
{
	Oid			type = model->arguments[i].type;

	return model->format == SMRT_FORMAT_INPUTS || type == JSONOID ||
		type == JSONBOID || OidIsValid(get_element_type(type)) ||
		type_is_rowtype(type);
}

static void
write_member(const SmrtModel *model, int i, bool with_name,
			 const Datum *values, const bool *nulls, SmrtBuf *body)
{
	if (with_name)
	{
		smrt_jsonvalue_string(model->arguments[i].name, body);
		smrt_buf_append_char(body, ':');
	}
	smrt_jsonvalue_write(&model->arguments[i], values[i], nulls[i],
						 model->nulls, body);
}

/* An array's elements are numbers of their own, and NULL is NaN. */
static void
write_numbers(const SmrtModel *model, const Datum *values, const bool *nulls,
			  SmrtBuf *body)
{
	Numbers		numbers = {
		.values = palloc(16 * sizeof(double)),
		.size = 16,
	};

	for (int i = 0; i < model->n_arguments; i++)
		add_argument(&numbers, &model->arguments[i], values[i], nulls[i]);
	if (model->format == SMRT_FORMAT_RECORDIO)
		write_recordio(model, &numbers, body);
	else if (model->format == SMRT_FORMAT_LIBSVM)
		write_libsvm(model, &numbers, body);
	else
		for (int i = 0; i < numbers.n; i++)
			smrt_npy_append(body, numbers.values[i]);
}

static void
add_argument(Numbers *numbers, const SmrtModelArgument *argument, Datum value,
			 bool is_null)
{
	ArrayIterator elements;
	ArrayType  *array;
	Oid			type;

	if (is_null)
		add_number(numbers, get_float8_nan());
	else if (!OidIsValid(get_element_type(argument->type)))
		add_number(numbers, smrt_value_float(argument->type, value));
	else
	{
		array = DatumGetArrayTypeP(value);
		type = getBaseType(ARR_ELEMTYPE(array));
		elements = array_create_iterator(array, 0, NULL);
		while (array_iterate(elements, &value, &is_null))
			add_number(numbers, is_null ? get_float8_nan() :
					   smrt_value_float(type, value));
		array_free_iterator(elements);
	}
}

static void
add_number(Numbers *numbers, double number)
{
	if (numbers->n == numbers->size)
	{
		numbers->size *= 2;
		numbers->values = repalloc(numbers->values,
								   numbers->size * sizeof(double));
	}
	numbers->values[numbers->n++] = number;
}

static void
write_recordio(const SmrtModel *model, const Numbers *numbers, SmrtBuf *body)
{
	for (int i = 0; i < numbers->n; i++)
		if (isinf((float) numbers->values[i]) && !isinf(numbers->values[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("model %s: number %d of a row is out of range for 32 bits",
							model->name, i + 1)));
	smrt_recordio_append(body, numbers->values, numbers->n);
}

/* What is missing has no place.  The label is there because the reader wants one. */
static void
write_libsvm(const SmrtModel *model, const Numbers *numbers, SmrtBuf *body)
{
	char		text[SMRT_VALUE_TEXT_SIZE];

	smrt_buf_append_char(body, '0');
	for (int i = 0; i < numbers->n; i++)
	{
		if (isnan(numbers->values[i]))
			continue;
		smrt_buf_append_string(body, psprintf(" %d:%s", i + model->first_index,
											  smrt_value_number(FLOAT8OID,
																Float8GetDatum(numbers->values[i]),
																text)));
	}
}
