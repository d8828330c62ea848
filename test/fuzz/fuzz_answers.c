/*
 * Binary answers of models.  The first byte of an input says what the rest is: an
 * array of NumPy's, records of recordio-protobuf, or numbers to write and read.
 */
#include "aws/npy.h"
#include "aws/recordio.h"
#include "fuzz.h"

static void read_npy(SmrtSpan bytes);
static size_t read_records(SmrtSpan bytes);
static void write_and_read(SmrtSpan bytes);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *copy;
	SmrtSpan	bytes;

	if (size < 2)
		return 0;
	copy = malloc(size - 1);
	memcpy(copy, data + 1, size - 1);
	bytes = smrt_span_of(copy, size - 1);
	switch (data[0] % 3)
	{
		case 0:
			read_npy(bytes);
			break;
		case 1:
			(void) read_records(bytes);
			break;
		default:
			if (bytes.len >= sizeof(double))
				write_and_read(bytes);
	}
	free(copy);
	return 0;
}

/* The first element and the last. */
static void
read_npy(SmrtSpan bytes)
{
	size_t		place[SMRT_NPY_MAX_DIMENSIONS] = {0};
	SmrtNpy		array;
	SmrtError	error;
	size_t		n = 1;

	if (!smrt_npy_read(bytes, &array, &error))
		return;
	for (int i = 0; i < array.n_dimensions; i++)
		n *= array.shape[i];
	hold(array.n_dimensions > 0 && n * array.size <= bytes.len);
	if (n == 0)
		return;
	(void) smrt_npy_element(&array, place);
	for (int i = 0; i < array.n_dimensions; i++)
		place[i] = array.shape[i] - 1;
	(void) smrt_npy_element(&array, place);
}

/* How many numbers there are. */
static size_t
read_records(SmrtSpan bytes)
{
	SmrtSpan	record;
	SmrtRecordioLabel label;
	SmrtNumber	number;
	SmrtError	error;
	size_t		n = 0;
	bool		found;

	while (bytes.len > 0 && smrt_recordio_next(&bytes, &record, &error))
		while (smrt_recordio_label(&record, &label, &found, &error) && found)
			while (smrt_recordio_number(&label, &number))
				n++;
	return n;
}

/* What is written can be read: a record is a whole one, an array has its values. */
static void
write_and_read(SmrtSpan bytes)
{
	size_t		n = bytes.len / sizeof(double);
	double	   *values = malloc(n * sizeof(double) + 1);
	char		header[SMRT_NPY_HEADER];
	SmrtBuf		out;
	SmrtSpan	rest;
	SmrtSpan	record;
	SmrtNpy		array;
	SmrtError	error;

	memcpy(values, bytes.data, n * sizeof(double));
	smrt_buf_init(&out, &smrt_alloc_malloc, 1024 * 1024);
	smrt_recordio_append(&out, values, n);
	if (smrt_buf_ok(&out))
	{
		rest = smrt_buf_span(&out);
		hold(smrt_recordio_next(&rest, &record, &error) && rest.len == 0);
	}

	smrt_buf_reset(&out);
	smrt_npy_write_header(header, n, 1);
	smrt_buf_append(&out, header, sizeof(header));
	for (size_t i = 0; i < n; i++)
		smrt_npy_append(&out, values[i]);
	if (smrt_buf_ok(&out))
		hold(smrt_npy_read(smrt_buf_span(&out), &array, &error) &&
			 array.shape[0] == n && array.data.len == n * sizeof(double) &&
			 memcmp(array.data.data, values, array.data.len) == 0);
	smrt_buf_free(&out);
	free(values);
}
