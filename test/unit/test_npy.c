/*
 * NPY: what is written, and what is read out of good and bad arrays.  That NumPy
 * understands the former, and writes the latter, test/emulator shows.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "aws/npy.h"

/* An array with that header, of version 1, and those bytes. */
static SmrtSpan
array_of(char *out, const char *header, const char *data, size_t len)
{
	size_t		n = strlen(header);

	memcpy(out, "\x93NUMPY\x01\x00", 8);
	out[8] = (char) n;
	out[9] = (char) (n >> 8);
	memcpy(out + 10, header, n);
	memcpy(out + 10 + n, data, len);
	return smrt_span_of(out, 10 + n + len);
}

static void
writes_a_matrix(void)
{
	static const double values[] = {1.5, -0.25, 1e300, 0, 3, 4};
	char		header[SMRT_NPY_HEADER];
	SmrtBuf		out;
	SmrtNpy		array;
	SmrtError	error;

	smrt_npy_write_header(header, 3, 2);
	CHECK_SPAN(smrt_span_of(header, 10), smrt_span_of("\x93NUMPY\x01\x00\x76\x00", 10));
	CHECK(smrt_span_starts_with(smrt_span_of(header + 10, 118),
								smrt_span("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }  ")));
	CHECK_INT(header[SMRT_NPY_HEADER - 1], '\n');
	smrt_buf_init(&out, &smrt_alloc_malloc, 1000);
	smrt_buf_append(&out, header, sizeof(header));
	for (size_t i = 0; i < COUNT_OF(values); i++)
		smrt_npy_append(&out, values[i]);
	CHECK(smrt_npy_read(smrt_buf_span(&out), &array, &error));
	CHECK_INT(array.n_dimensions, 2);
	for (size_t i = 0; i < COUNT_OF(values); i++)
	{
		size_t		place[] = {i / 2, i % 2};
		SmrtNumber	number = smrt_npy_element(&array, place);

		CHECK(number.kind == SMRT_NUMBER_DOUBLE && number.real == values[i]);
	}
	/* The largest shape there is fits the header. */
	smrt_npy_write_header(header, SIZE_MAX, SIZE_MAX);
	CHECK_INT(header[SMRT_NPY_HEADER - 1], '\n');
	smrt_buf_free(&out);
}

static void
reads_every_type(void)
{
	static const struct
	{
		const char *type;
		const char *data;
		SmrtNumberKind kind;
		double		value;
	}			rows[] =
	{
		{"<f4", "\xcd\xcc\xcc\x3e", SMRT_NUMBER_SINGLE, 0.4f},
		{">f4", "\x3e\xcc\xcc\xcd", SMRT_NUMBER_SINGLE, 0.4f},
		{"<f8", "\x00\x00\x00\x00\x00\x00\xf8\xbf", SMRT_NUMBER_DOUBLE, -1.5},
		{"=f8", "\x00\x00\x00\x00\x00\x00\xf8\x3f", SMRT_NUMBER_DOUBLE, 1.5},
		{"|i1", "\xfe", SMRT_NUMBER_WHOLE, -2},
		{"|u1", "\xfe", SMRT_NUMBER_WHOLE, 254},
		{"|b1", "\x01", SMRT_NUMBER_WHOLE, 1},
		{"<i2", "\xfe\xff", SMRT_NUMBER_WHOLE, -2},
		{">i2", "\xff\xfe", SMRT_NUMBER_WHOLE, -2},
		{"<u2", "\xfe\xff", SMRT_NUMBER_WHOLE, 65534},
		{"<i4", "\xfe\xff\xff\xff", SMRT_NUMBER_WHOLE, -2},
		{"<u4", "\xfe\xff\xff\xff", SMRT_NUMBER_WHOLE, 4294967294.0},
		{"<i8", "\xfe\xff\xff\xff\xff\xff\xff\xff", SMRT_NUMBER_WHOLE, -2},
		{"<u8", "\x00\x00\x00\x00\x00\x00\x00\x80", SMRT_NUMBER_DOUBLE, 9223372036854775808.0},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		char		bytes[200];
		char		header[100];
		size_t		place[] = {0};
		SmrtNpy		array;
		SmrtNumber	number;
		SmrtError	error;

		snprintf(header, sizeof(header), "{'descr': '%s', 'fortran_order': False, 'shape': (1,), }\n", rows[i].type);
		if (!CHECK(smrt_npy_read(array_of(bytes, header, rows[i].data, (size_t) (rows[i].type[2] - '0')), &array, &error)))
			continue;
		number = smrt_npy_element(&array, place);
		CHECK_INT(number.kind, rows[i].kind);
		CHECK((number.kind == SMRT_NUMBER_WHOLE ? (double) number.whole : number.real) == rows[i].value);
	}
}

/* Elements of a 2 x 3 array that hold their own places. */
static void
reads_both_orders(void)
{
	static const struct
	{
		const char *order;
		const char *data;
	}			rows[] =
	{
		{"False", "\x00\x01\x02\x0a\x0b\x0c"},
		{"True", "\x00\x0a\x01\x0b\x02\x0c"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		char		bytes[200];
		char		header[100];
		SmrtNpy		array;
		SmrtError	error;

		/* In another order and other quotes, as no rule forbids. */
		snprintf(header, sizeof(header), "{\"shape\":(2, 3),\"fortran_order\":%s,\"descr\":\"|u1\"}", rows[i].order);
		if (!CHECK(smrt_npy_read(array_of(bytes, header, rows[i].data, 6), &array, &error)))
			continue;
		for (size_t row = 0; row < 2; row++)
			for (size_t column = 0; column < 3; column++)
			{
				size_t		place[] = {row, column};

				CHECK_INT(smrt_npy_element(&array, place).whole, 10 * row + column);
			}
	}
}

static void
arrays_that_are_none(void)
{
	static const struct
	{
		const char *header;
		const char *error;
	}			rows[] =
	{
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", "the NPY array is cut short: it has 8 bytes"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "the NPY array has 8 bytes, but 4 are wanted"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 0), }", "the NPY array has 8 bytes, but 0 are wanted"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999, 0), }", "the NPY array is cut short: it has 8 bytes"},
		{"{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", "the NPY array is cut short: it has 8 bytes"},
		{"{'descr': '<U2', 'fortran_order': False, 'shape': (1,), }", "the elements of the NPY array are of type '<U2'"},
		{"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "the elements of the NPY array are of type '|O'"},
		{"{'descr': '<f16', 'fortran_order': False, 'shape': (1,)}", "the elements of the NPY array are of type '<f16'"},
		{"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}", "the elements of the NPY array are of type [('a'"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (), }", "the header of the NPY array cannot be read"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }", "the header of the NPY array cannot be read"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", "the header of the NPY array cannot be read"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999999,), }", "the header of the NPY array cannot be read"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (1", "the header of the NPY array cannot be read"},
		{"{'descr': '<f8', 'shape': (1,), }", "the header of the NPY array cannot be read"},
		{"{'descr':", "the header of the NPY array cannot be read"},
		{"", "the header of the NPY array cannot be read"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		char		bytes[200];
		SmrtNpy		array;
		SmrtError	error;

		CHECK(!smrt_npy_read(array_of(bytes, rows[i].header, "\0\0\0\0\0\0\0\0", 8), &array, &error));
		CHECK_TEXT(smrt_span(error.text), rows[i].error);
	}
}

/* Cut anywhere, or with any byte wrong, it is never read beyond its end. */
static void
hostile_bytes(void)
{
	char		good[200];
	SmrtSpan	whole = array_of(good, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }", "\0\0\x80\x3f", 4);

	for (size_t len = 0; len < whole.len; len++)
	{
		char	   *copy = malloc(len ? len : 1);
		SmrtNpy		array;
		SmrtError	error;

		memcpy(copy, good, len);
		CHECK(!smrt_npy_read(smrt_span_of(copy, len), &array, &error));
		free(copy);
	}
	for (size_t i = 0; i < whole.len; i++)
		for (int c = 0; c < 256; c++)
		{
			char	   *copy = malloc(whole.len);
			size_t		place[SMRT_NPY_MAX_DIMENSIONS] = {0};
			SmrtNpy		array;
			SmrtError	error;

			memcpy(copy, good, whole.len);
			copy[i] = (char) c;
			if (smrt_npy_read(smrt_span_of(copy, whole.len), &array, &error) &&
				array.shape[0] > 0)
				(void) smrt_npy_element(&array, place);
			free(copy);
		}
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"writes a matrix", writes_a_matrix},
		{"reads every type of number", reads_every_type},
		{"reads both orders of elements", reads_both_orders},
		{"arrays that are none", arrays_that_are_none},
		{"hostile bytes", hostile_bytes},
	};

	return check_run(cases, COUNT_OF(cases));
}
