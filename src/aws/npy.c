/*
 * NPY, versions 1 to 3: a magic string, the length of the header, the header,
 * which is a dictionary in Python's notation, and the elements.
 */
#include "aws/npy.h"

#include <stdio.h>
#include <string.h>

static const SmrtSpan magic = SMRT_LITERAL("\x93NUMPY");

/* Magic, version and a length of two bytes. */
#define PREFIX_V1 10

static bool find_header(SmrtSpan bytes, SmrtSpan *header, SmrtSpan *data);
static bool value_of(SmrtSpan header, const char *key, SmrtSpan *value);
static bool read_type(SmrtSpan value, SmrtNpy *array);
static bool read_shape(SmrtSpan value, SmrtNpy *array);
static SmrtNumber read_float(const SmrtNpy *array, const unsigned char *bytes);

void
smrt_npy_write_header(char out[SMRT_NPY_HEADER], size_t n_rows,
					  size_t n_columns)
{
	int			len = SMRT_NPY_HEADER - PREFIX_V1;
	int			n;

	memcpy(out, magic.data, magic.len);
	memcpy(out + magic.len, "\x01\x00", 2);
	out[magic.len + 2] = (char) len;
	out[magic.len + 3] = 0;
	n = snprintf(out + PREFIX_V1, len,
				 "{'descr': '<f8', 'fortran_order': False, 'shape': (%zu, %zu), }",
				 n_rows, n_columns);
	memset(out + PREFIX_V1 + n, ' ', (size_t) (len - n));
	out[SMRT_NPY_HEADER - 1] = '\n';
}

void
smrt_npy_append(SmrtBuf *out, double value)
{
	uint64_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	for (int i = 0; i < 8; i++)
		smrt_buf_append_char(out, (char) (bits >> 8 * i & 0xff));
}

bool
smrt_npy_read(SmrtSpan bytes, SmrtNpy *array, SmrtError *error)
{
	SmrtSpan	header;
	SmrtSpan	type;
	SmrtSpan	order;
	SmrtSpan	shape;
	size_t		size;

	if (!find_header(bytes, &header, &array->data))
		return smrt_error_set(error, "the answer is no NPY array");
	if (!value_of(header, "descr", &type) ||
		!value_of(header, "fortran_order", &order) ||
		!value_of(header, "shape", &shape) || !read_shape(shape, array))
		return smrt_error_set(error, "the header of the NPY array cannot be read");
	if (!read_type(type, array))
	{
		type = smrt_span_up_to(type, ',');
		return smrt_error_set(error, "the elements of the NPY array are of type %.*s",
							  (int) (type.len < 40 ? type.len : 40), type.data);
	}
	array->columns_first = order.data[0] == 'T';
	/* Whatever its shape, it has no more rows than bytes. */
	size = array->size;
	for (int i = 0; i < array->n_dimensions; i++)
	{
		if (array->shape[i] > array->data.len ||
			(array->shape[i] > 0 && size > array->data.len / array->shape[i]))
			return smrt_error_set(error, "the NPY array is cut short: it has %zu bytes",
								  array->data.len);
		size *= array->shape[i];
	}
	if (size != array->data.len)
		return smrt_error_set(error, "the NPY array has %zu bytes, but %zu are wanted",
							  array->data.len, size);
	return true;
}

static bool
find_header(SmrtSpan bytes, SmrtSpan *header, SmrtSpan *data)
{
	const unsigned char *c = (const unsigned char *) bytes.data;
	size_t		prefix;
	size_t		len;

	if (bytes.len < PREFIX_V1 + 2 || !smrt_span_starts_with(bytes, magic))
		return false;
	len = c[8] | (size_t) c[9] << 8;
	prefix = PREFIX_V1;
	if (c[6] > 1)
	{
		len |= (size_t) c[10] << 16 | (size_t) c[11] << 24;
		prefix = PREFIX_V1 + 2;
	}
	if (len > bytes.len - prefix)
		return false;
	*header = smrt_span_of(bytes.data + prefix, len);
	*data = smrt_span_after(bytes, prefix + len);
	return true;
}

/* What stands behind 'key': in the dictionary, up to the header's end. */
static bool
value_of(SmrtSpan header, const char *key, SmrtSpan *value)
{
	size_t		len = strlen(key);

	for (size_t i = 1; i + len + 2 < header.len; i++)
	{
		size_t		begin = i + len + 1;

		if (memcmp(header.data + i, key, len) != 0 ||
			(header.data[i - 1] != '\'' && header.data[i - 1] != '"') ||
			header.data[begin - 1] != header.data[i - 1])
			continue;
		while (begin < header.len && (header.data[begin] == ':' ||
									  header.data[begin] == ' '))
			begin++;
		*value = smrt_span_after(header, begin);
		return value->len > 0;
	}
	return false;
}

/* '<f8': byte order, kind, size.  Elements of several parts are none of these. */
static bool
read_type(SmrtSpan value, SmrtNpy *array)
{
	static const SmrtSpan sizes[] = {
		['f'] = SMRT_LITERAL("48"),
		['i'] = SMRT_LITERAL("1248"),
		['u'] = SMRT_LITERAL("1248"),
		['b'] = SMRT_LITERAL("1"),
	};
	unsigned char kind;

	if (value.len < 5 || (value.data[0] != '\'' && value.data[0] != '"') ||
		value.data[4] != value.data[0] ||
		strchr("<>|=", value.data[1]) == NULL)
		return false;
	kind = (unsigned char) value.data[2];
	if (kind >= sizeof(sizes) / sizeof(sizes[0]) || sizes[kind].len == 0 ||
		memchr(sizes[kind].data, value.data[3], sizes[kind].len) == NULL)
		return false;
	array->kind = (char) kind;
	array->size = (size_t) (value.data[3] - '0');
	array->big_endian = value.data[1] == '>';
	return true;
}

/* (2, 3) or (2,); () is an array of no dimension, which no prediction is. */
static bool
read_shape(SmrtSpan value, SmrtNpy *array)
{
	const char *c = value.data;
	const char *end = value.data + value.len;

	array->n_dimensions = 0;
	if (*c++ != '(')
		return false;
	while (c < end && *c != ')')
	{
		size_t		n = 0;

		if (array->n_dimensions == SMRT_NPY_MAX_DIMENSIONS || *c < '0' || *c > '9')
			return false;
		for (; c < end && *c >= '0' && *c <= '9'; c++)
		{
			if (n > SIZE_MAX / 100)
				return false;
			n = n * 10 + (size_t) (*c - '0');
		}
		array->shape[array->n_dimensions++] = n;
		while (c < end && (*c == ',' || *c == ' '))
			c++;
	}
	return c < end && array->n_dimensions > 0;
}

SmrtNumber
smrt_npy_element(const SmrtNpy *array, const size_t *place)
{
	size_t		index = 0;
	unsigned char bytes[8];
	uint64_t	bits = 0;
	SmrtNumber	number = {.kind = SMRT_NUMBER_WHOLE};

	for (int i = 0; i < array->n_dimensions; i++)
	{
		int			dimension = array->columns_first ?
			array->n_dimensions - 1 - i : i;

		index = index * array->shape[dimension] + place[dimension];
	}
	for (size_t i = 0; i < array->size; i++)
		bytes[array->big_endian ? array->size - 1 - i : i] =
			(unsigned char) array->data.data[index * array->size + i];
	if (array->kind == 'f')
		return read_float(array, bytes);
	for (size_t i = 0; i < array->size; i++)
		bits |= (uint64_t) bytes[i] << 8 * i;
	/* The sign goes into the bits that are not there. */
	if (array->kind == 'i' && array->size < 8 && bytes[array->size - 1] >= 0x80)
		bits |= ~(uint64_t) 0 << 8 * array->size;
	if (array->kind == 'u' && bits > INT64_MAX)
		return (SmrtNumber) {SMRT_NUMBER_DOUBLE, 0, (double) bits};
	number.whole = (int64_t) bits;
	return number;
}

/* Little-endian bytes. */
static SmrtNumber
read_float(const SmrtNpy *array, const unsigned char *bytes)
{
	uint64_t	bits = 0;
	uint32_t	half;
	float		single;
	SmrtNumber	number = {.kind = SMRT_NUMBER_SINGLE};

	for (size_t i = 0; i < array->size; i++)
		bits |= (uint64_t) bytes[i] << 8 * i;
	if (array->size == sizeof(single))
	{
		half = (uint32_t) bits;
		memcpy(&single, &half, sizeof(single));
		number.real = single;
		return number;
	}
	number.kind = SMRT_NUMBER_DOUBLE;
	memcpy(&number.real, &bits, sizeof(number.real));
	return number;
}
