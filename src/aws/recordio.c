/*
 * RecordIO-protobuf.
 *
 *     frame   magic (4), length (4), message, zeros up to a multiple of 4
 *     Record  features (1) and label (2): maps from a name to a Value
 *     Value   float32_tensor (2), float64_tensor (3) or int32_tensor (7)
 *     tensor  values (1), packed; keys (2) of a sparse one; shape (3)
 *
 * A map is repeated messages of key (1) and value (2).  All numbers are
 * little-endian.
 */
#include "aws/recordio.h"

#include <string.h>

#define MAGIC 0xCED7230A
#define FRAME_HEADER 8

/* Protobuf's wire types, but for the groups, which nobody writes any more. */
typedef enum WireType
{
	WIRE_VARINT = 0,
	WIRE_64 = 1,
	WIRE_BYTES = 2,
	WIRE_32 = 5
} WireType;

typedef struct Field
{
	uint32_t	number;
	WireType	type;
	SmrtSpan	bytes;			/* BYTES only */
} Field;

static const struct
{
	uint32_t	field;			/* of Value */
	SmrtNumberKind kind;
	size_t		size;			/* of a number; 0: it varies */
}			tensors[] = {
	{2, SMRT_NUMBER_SINGLE, 4},
	{3, SMRT_NUMBER_DOUBLE, 8},
	{7, SMRT_NUMBER_WHOLE, 0},
};

static void append_head(SmrtBuf *out, uint32_t number, size_t len);
static size_t head_len(size_t len);
static void append_u32(SmrtBuf *out, uint32_t value);
static uint32_t read_u32(const char *data);
static uint64_t read_u64(const char *data);
static bool next_field(SmrtSpan *message, Field *field);
static bool take_varint(SmrtSpan *bytes, uint64_t *value);
static bool take_bytes(SmrtSpan *bytes, uint64_t n, SmrtSpan *taken);
static bool read_entry(SmrtSpan entry, SmrtRecordioLabel *label,
					   SmrtError *error);
static bool read_tensor(SmrtSpan tensor, int type, SmrtRecordioLabel *label,
						SmrtError *error);
static bool fits(SmrtSpan values, int type);

void
smrt_recordio_append(SmrtBuf *out, const double *values, size_t n)
{
	static const SmrtSpan name = SMRT_LITERAL("values");
	size_t		packed = 4 * n;
	size_t		tensor = head_len(packed) + packed;
	size_t		value = head_len(tensor) + tensor;
	size_t		entry = head_len(name.len) + name.len + head_len(value) + value;
	size_t		record = head_len(entry) + entry;

	append_u32(out, MAGIC);
	append_u32(out, (uint32_t) record);
	append_head(out, 1, entry);
	append_head(out, 1, name.len);
	smrt_buf_append_span(out, name);
	append_head(out, 2, value);
	append_head(out, 2, tensor);
	append_head(out, 1, packed);
	for (size_t i = 0; i < n; i++)
	{
		float		single = (float) values[i];
		uint32_t	bits;

		memcpy(&bits, &single, sizeof(bits));
		append_u32(out, bits);
	}
	for (size_t i = record; i % 4 != 0; i++)
		smrt_buf_append_char(out, '\0');
}

/* The tag and length before len bytes. */
static void
append_head(SmrtBuf *out, uint32_t number, size_t len)
{
	smrt_buf_append_char(out, (char) (number << 3 | WIRE_BYTES));
	for (; len > 0x7f; len >>= 7)
		smrt_buf_append_char(out, (char) (0x80 | (len & 0x7f)));
	smrt_buf_append_char(out, (char) len);
}

static size_t
head_len(size_t len)
{
	size_t		n = 2;

	for (; len > 0x7f; len >>= 7)
		n++;
	return n;
}

static void
append_u32(SmrtBuf *out, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		smrt_buf_append_char(out, (char) (value >> 8 * i & 0xff));
}

static uint32_t
read_u32(const char *data)
{
	const unsigned char *c = (const unsigned char *) data;

	return c[0] | (uint32_t) c[1] << 8 | (uint32_t) c[2] << 16 |
		(uint32_t) c[3] << 24;
}

static uint64_t
read_u64(const char *data)
{
	return read_u32(data) | (uint64_t) read_u32(data + 4) << 32;
}

bool
smrt_recordio_next(SmrtSpan *rest, SmrtSpan *record, SmrtError *error)
{
	uint32_t	len;
	size_t		padded;

	if (rest->len < FRAME_HEADER || read_u32(rest->data) != MAGIC)
		return smrt_error_set(error, "no record begins where one should");
	len = read_u32(rest->data + 4);
	if (len > rest->len - FRAME_HEADER)
		return smrt_error_set(error, "a record of %u bytes ends after %zu",
							  (unsigned) len, rest->len - FRAME_HEADER);
	*record = smrt_span_of(rest->data + FRAME_HEADER, len);
	padded = FRAME_HEADER + (size_t) len + (4 - len % 4) % 4;
	/* The last one's zeros may be left out. */
	*rest = smrt_span_after(*rest, padded < rest->len ? padded : rest->len);
	return true;
}

bool
smrt_recordio_label(SmrtSpan *record, SmrtRecordioLabel *label, bool *found,
					SmrtError *error)
{
	Field		field;

	*found = false;
	while (record->len > 0)
	{
		if (!next_field(record, &field))
			return smrt_error_set(error, "a record is not protobuf");
		if (field.number != 2 || field.type != WIRE_BYTES)
			continue;
		*found = true;
		return read_entry(field.bytes, label, error);
	}
	return true;
}

/* Takes a field off the front; its value only if that is bytes. */
static bool
next_field(SmrtSpan *message, Field *field)
{
	uint64_t	tag;
	uint64_t	value;

	if (!take_varint(message, &tag) || tag >> 3 > UINT32_MAX)
		return false;
	field->number = (uint32_t) (tag >> 3);
	field->type = tag & 7;
	switch (field->type)
	{
		case WIRE_VARINT:
			return take_varint(message, &value);
		case WIRE_64:
			return take_bytes(message, 8, &field->bytes);
		case WIRE_32:
			return take_bytes(message, 4, &field->bytes);
		case WIRE_BYTES:
			return take_varint(message, &value) &&
				take_bytes(message, value, &field->bytes);
	}
	return false;
}

static bool
take_varint(SmrtSpan *bytes, uint64_t *value)
{
	*value = 0;
	for (int shift = 0; shift < 64 && bytes->len > 0; shift += 7)
	{
		unsigned char c = (unsigned char) bytes->data[0];

		*bytes = smrt_span_after(*bytes, 1);
		*value |= (uint64_t) (c & 0x7f) << shift;
		if (c < 0x80)
			return true;
	}
	return false;
}

static bool
take_bytes(SmrtSpan *bytes, uint64_t n, SmrtSpan *taken)
{
	if (n > bytes->len)
		return false;
	*taken = smrt_span_of(bytes->data, (size_t) n);
	*bytes = smrt_span_after(*bytes, (size_t) n);
	return true;
}

/* An entry of the map: a name and its tensor. */
static bool
read_entry(SmrtSpan entry, SmrtRecordioLabel *label, SmrtError *error)
{
	SmrtSpan	value = smrt_span("");
	Field		field;

	label->name = smrt_span("");
	while (entry.len > 0)
	{
		if (!next_field(&entry, &field))
			return smrt_error_set(error, "a record is not protobuf");
		if (field.type == WIRE_BYTES && field.number == 1)
			label->name = field.bytes;
		if (field.type == WIRE_BYTES && field.number == 2)
			value = field.bytes;
	}
	while (value.len > 0)
	{
		if (!next_field(&value, &field))
			return smrt_error_set(error, "a record is not protobuf");
		for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++)
			if (field.type == WIRE_BYTES && field.number == tensors[i].field)
				return read_tensor(field.bytes, (int) i, label, error);
	}
	return smrt_error_set(error, "\"%.*s\" has no numbers",
						  (int) label->name.len, label->name.data);
}

static bool
read_tensor(SmrtSpan tensor, int type, SmrtRecordioLabel *label,
			SmrtError *error)
{
	Field		field;

	label->kind = tensors[type].kind;
	label->values = smrt_span("");
	while (tensor.len > 0)
	{
		if (!next_field(&tensor, &field))
			return smrt_error_set(error, "a record is not protobuf");
		if (field.number == 2)
			return smrt_error_set(error, "\"%.*s\" is sparse",
								  (int) label->name.len, label->name.data);
		if (field.number != 1)
			continue;
		if (field.type != WIRE_BYTES || !fits(field.bytes, type))
			return smrt_error_set(error, "the numbers of \"%.*s\" are not packed",
								  (int) label->name.len, label->name.data);
		label->values = field.bytes;
	}
	return true;
}

/* Whether they are whole numbers of that type, all of them. */
static bool
fits(SmrtSpan values, int type)
{
	uint64_t	value;

	if (tensors[type].size > 0)
		return values.len % tensors[type].size == 0;
	while (values.len > 0)
		if (!take_varint(&values, &value))
			return false;
	return true;
}

bool
smrt_recordio_number(SmrtRecordioLabel *label, SmrtNumber *number)
{
	SmrtSpan	bytes;
	uint64_t	bits;

	number->kind = label->kind;
	switch (label->kind)
	{
		case SMRT_NUMBER_SINGLE:
			{
				uint32_t	half;
				float		single;

				if (!take_bytes(&label->values, 4, &bytes))
					return false;
				half = read_u32(bytes.data);
				memcpy(&single, &half, sizeof(single));
				number->real = single;
				return true;
			}
		case SMRT_NUMBER_DOUBLE:
			if (!take_bytes(&label->values, 8, &bytes))
				return false;
			bits = read_u64(bytes.data);
			memcpy(&number->real, &bits, sizeof(bits));
			return true;
		case SMRT_NUMBER_WHOLE:
			if (!take_varint(&label->values, &bits))
				return false;
			number->whole = (int32_t) bits;
			return true;
	}
	return false;
}
