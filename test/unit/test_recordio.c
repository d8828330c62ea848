/*
 * RecordIO-protobuf: what is written, and what is read out of good and bad records.
 */
#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "aws/recordio.h"

#define FRAME "\x0a\x23\xd7\xce"

/* A span over a literal that has zeros in it. */
#define BYTES(s) smrt_span_of(s, sizeof(s) - 1)

static void
writes_one_row(void)
{
	static const double values[] = {1.5, 2.5};
	SmrtBuf		out;

	smrt_buf_init(&out, &smrt_alloc_malloc, 1000);
	smrt_recordio_append(&out, values, 2);
	CHECK_SPAN(smrt_buf_span(&out),
			   BYTES(FRAME "\x18\x00\x00\x00"
					 "\x0a\x16\x0a\x06values\x12\x0c\x12\x0a\x0a\x08"
					 "\x00\x00\xc0\x3f\x00\x00\x20\x40"));
	smrt_buf_free(&out);
}

/* Lengths of one, two and three bytes, and every padding. */
static void
reads_what_it_writes(void)
{
	static const size_t sizes[] = {0, 1, 2, 3, 20, 28, 29, 30, 31, 32, 33, 100,
		4090, 4100};
	double		values[4100];

	for (size_t i = 0; i < COUNT_OF(values); i++)
		values[i] = (double) i / 4 - 1;
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
	{
		SmrtBuf		out;
		SmrtSpan	rest;
		SmrtSpan	record;
		SmrtError	error;

		smrt_buf_init(&out, &smrt_alloc_malloc, 100000);
		smrt_recordio_append(&out, values, sizes[i]);
		smrt_recordio_append(&out, values, 1);
		rest = smrt_buf_span(&out);
		CHECK_INT(rest.len % 4, 0);
		CHECK(smrt_recordio_next(&rest, &record, &error));
		/* Features are labels but for the number of the field. */
		if (record.len > 0)
		{
			SmrtRecordioLabel label;
			SmrtNumber	number;
			bool		found;
			char	   *copy = malloc(record.len);

			memcpy(copy, record.data, record.len);
			copy[0] = 0x12;
			record.data = copy;
			CHECK(smrt_recordio_label(&record, &label, &found, &error));
			CHECK(found);
			CHECK_TEXT(label.name, "values");
			for (size_t j = 0; j < sizes[i]; j++)
			{
				CHECK(smrt_recordio_number(&label, &number));
				CHECK(number.kind == SMRT_NUMBER_SINGLE &&
					  number.real == values[j]);
			}
			CHECK(!smrt_recordio_number(&label, &number));
			CHECK(smrt_recordio_label(&record, &label, &found, &error));
			CHECK(!found);
			free(copy);
		}
		CHECK(smrt_recordio_next(&rest, &record, &error));
		CHECK_INT(rest.len, 0);
		smrt_buf_free(&out);
	}
}

static void
survives_without_memory(void)
{
	static const double values[100] = {0};

	for (int left = 0; left < 6; left++)
	{
		CheckMemory memory;
		SmrtBuf		out;

		check_memory_init(&memory, left);
		smrt_buf_init(&out, &memory.alloc, 10000);
		smrt_recordio_append(&out, values, COUNT_OF(values));
		smrt_buf_free(&out);
		CHECK_INT(memory.live, 0);
	}
}

/* Two outputs, one of them of whole numbers, beside what is not for us. */
static const char answer[] =
	"\x0a\x05\x0a\x01x\x12\x00"	/* a feature */
	"\x12\x11\x0a\x05score\x12\x08\x12\x06\x0a\x04\xcd\xcc\xcc\x3e"
	"\x1a\x02id"				/* uid */
	"\x30\x96\x01"				/* a number that nobody knows */
	"\x12\x12\x12\x0a\x3a\x08\x0a\x03\x01\xac\x02\x1a\x01\x02\x0a\x04yhat"
	"\x12\x13\x0a\x01z\x12\x0e\x1a\x0c\x0a\x08\x00\x00\x00\x00\x00\x00\xf8\x3f\x1a\x00";

static bool
next(SmrtSpan *record, SmrtRecordioLabel *label)
{
	SmrtError	error;
	bool		found;

	return CHECK(smrt_recordio_label(record, label, &found, &error)) && found;
}

static void
reads_outputs_by_name(void)
{
	SmrtSpan	record = BYTES(answer);
	SmrtRecordioLabel label;
	SmrtNumber	number;

	CHECK(next(&record, &label));
	CHECK_TEXT(label.name, "score");
	CHECK(smrt_recordio_number(&label, &number));
	CHECK(number.kind == SMRT_NUMBER_SINGLE && number.real == 0.4f);
	CHECK(!smrt_recordio_number(&label, &number));
	CHECK(next(&record, &label));
	CHECK_TEXT(label.name, "yhat");
	CHECK(smrt_recordio_number(&label, &number));
	CHECK_INT(number.kind, SMRT_NUMBER_WHOLE);
	CHECK_INT(number.whole, 1);
	CHECK(smrt_recordio_number(&label, &number));
	CHECK_INT(number.whole, 300);
	CHECK(!smrt_recordio_number(&label, &number));
	CHECK(next(&record, &label));
	CHECK(smrt_recordio_number(&label, &number));
	CHECK(number.kind == SMRT_NUMBER_DOUBLE && number.real == 1.5);
	CHECK(!next(&record, &label));
}

/* Cut anywhere it is refused, or has fewer outputs, but is never read beyond. */
static void
cut_anywhere(void)
{
	for (size_t len = 0; len < sizeof(answer) - 1; len++)
	{
		char	   *copy = malloc(len ? len : 1);
		SmrtSpan	record = smrt_span_of(copy, len);
		SmrtRecordioLabel label;
		SmrtNumber	number;
		SmrtError	error;
		bool		found = true;
		int			n = 0;

		memcpy(copy, answer, len);
		while (smrt_recordio_label(&record, &label, &found, &error) && found)
			for (n++; smrt_recordio_number(&label, &number);)
				;
		CHECK(n < 3);
		free(copy);
	}
}

/* The same with each byte in turn being any other. */
static void
any_byte_wrong(void)
{
	char		copy[sizeof(answer) - 1];

	for (size_t i = 0; i < sizeof(copy); i++)
		for (int c = 0; c < 256; c++)
		{
			SmrtSpan	record = smrt_span_of(copy, sizeof(copy));
			SmrtRecordioLabel label;
			SmrtNumber	number;
			SmrtError	error;
			bool		found;

			memcpy(copy, answer, sizeof(copy));
			copy[i] = (char) c;
			while (smrt_recordio_label(&record, &label, &found, &error) && found)
				while (smrt_recordio_number(&label, &number))
					;
		}
	CHECK(true);
}

static void
frames_that_are_none(void)
{
	static const struct
	{
		SmrtSpan	bytes;
		const char *error;
	}			rows[] =
	{
		{SMRT_LITERAL("\x0a"), "no record begins where one should"},
		{SMRT_LITERAL("\x0a\x23\xd7\xce\x00\x00\x00"), "no record begins where one should"},
		{SMRT_LITERAL("\x0b\x23\xd7\xce\x00\x00\x00\x00"), "no record begins where one should"},
		{SMRT_LITERAL("{\"predictions\": []}"), "no record begins where one should"},
		{SMRT_LITERAL("\x0a\x23\xd7\xce\x05\x00\x00\x00"  "abcd"), "a record of 5 bytes ends after 4"},
		{SMRT_LITERAL("\x0a\x23\xd7\xce\xff\xff\xff\xff"  "abcd"), "a record of 4294967295 bytes ends after 4"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtSpan	rest = rows[i].bytes;
		SmrtSpan	record;
		SmrtError	error;

		CHECK(!smrt_recordio_next(&rest, &record, &error));
		CHECK_TEXT(smrt_span(error.text), rows[i].error);
	}
}

static void
labels_that_are_none(void)
{
	static const struct
	{
		SmrtSpan	bytes;
		const char *error;
	}			rows[] =
	{
		{SMRT_LITERAL("\x12\x05\x0a\x03" "a"), "a record is not protobuf"},
		{SMRT_LITERAL("\x13"), "a record is not protobuf"},
		{SMRT_LITERAL("\x12\x03\x0a\x01y"), "\"y\" has no numbers"},
		{SMRT_LITERAL("\x12\x08\x0a\x01y\x12\x03\x4a\x01x"), "\"y\" has no numbers"},
		{SMRT_LITERAL("\x12\x0a\x0a\x01y\x12\x05\x12\x03\x12\x01\x05"), "\"y\" is sparse"},
		{SMRT_LITERAL("\x12\x0c\x0a\x01y\x12\x07\x12\x05\x0d\x00\x00\x80\x3f"), "the numbers of \"y\" are not packed"},
		{SMRT_LITERAL("\x12\x0c\x0a\x01y\x12\x07\x12\x05\x0a\x03" "abc"), "the numbers of \"y\" are not packed"},
		{SMRT_LITERAL("\x12\x0a\x0a\x01y\x12\x05\x3a\x03\x0a\x01\x80"), "the numbers of \"y\" are not packed"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtSpan	record = rows[i].bytes;
		SmrtRecordioLabel label;
		SmrtError	error;
		bool		found;

		CHECK(!smrt_recordio_label(&record, &label, &found, &error));
		CHECK_TEXT(smrt_span(error.text), rows[i].error);
	}
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"writes one row, byte for byte", writes_one_row},
		{"reads what it writes, of any length", reads_what_it_writes},
		{"survives a lack of memory", survives_without_memory},
		{"reads outputs by their names", reads_outputs_by_name},
		{"a record that is cut anywhere", cut_anywhere},
		{"a record with any byte wrong", any_byte_wrong},
		{"frames that are none", frames_that_are_none},
		{"outputs that are none", labels_that_are_none},
	};

	return check_run(cases, COUNT_OF(cases));
}
