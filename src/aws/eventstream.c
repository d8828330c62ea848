/*
 * Reading event-stream frames.
 */
#include "aws/eventstream.h"

#include <stdint.h>

#define PRELUDE_LEN 12
#define CRC_LEN 4
#define MIN_FRAME_LEN (PRELUDE_LEN + CRC_LEN)

#define MAX_FRAME_LEN \
	(MIN_FRAME_LEN + SMRT_FRAME_MAX_HEADERS + SMRT_FRAME_MAX_PAYLOAD)

/* The service sends three; names are compared each with each. */
#define MAX_HEADERS 64

static bool read_prelude(SmrtEventStream *stream);
static bool read_frame(SmrtEventStream *stream, SmrtFrame *frame);
static bool check_headers(SmrtSpan headers, SmrtError *error);
static bool take(SmrtSpan *bytes, size_t n, SmrtSpan *taken);
static SmrtFrameState fill(SmrtEventStream *stream, size_t len,
						   SmrtSpan *bytes);
static uint32_t number_at(const char *p);
static uint32_t crc32_of(const char *data, size_t len);

void
smrt_eventstream_init(SmrtEventStream *stream, const SmrtAlloc *alloc)
{
	memset(stream, 0, sizeof(*stream));
	smrt_buf_init(&stream->bytes, alloc, MAX_FRAME_LEN);
}

void
smrt_eventstream_free(SmrtEventStream *stream)
{
	smrt_buf_free(&stream->bytes);
}

bool
smrt_eventstream_is_between(const SmrtEventStream *stream)
{
	return stream->state == SMRT_FRAME_WHOLE ||
		(stream->state == SMRT_FRAME_PARTIAL && stream->bytes.len == 0);
}

SmrtFrameState
smrt_eventstream_read(SmrtEventStream *stream, SmrtSpan *bytes,
					  SmrtFrame *frame)
{
	if (stream->state >= SMRT_FRAME_BAD)
		return stream->state;
	if (stream->state == SMRT_FRAME_WHOLE)
	{
		smrt_buf_reset(&stream->bytes);
		stream->frame_len = 0;
	}
	if (stream->frame_len == 0)
	{
		stream->state = fill(stream, PRELUDE_LEN, bytes);
		if (stream->state != SMRT_FRAME_WHOLE)
			return stream->state;
		if (!read_prelude(stream))
			return stream->state = SMRT_FRAME_BAD;
	}
	stream->state = fill(stream, stream->frame_len, bytes);
	if (stream->state == SMRT_FRAME_WHOLE && !read_frame(stream, frame))
		stream->state = SMRT_FRAME_BAD;
	return stream->state;
}

/*
 * Memory follows the bytes that came, not the length that was announced.
 */
static SmrtFrameState
fill(SmrtEventStream *stream, size_t len, SmrtSpan *bytes)
{
	size_t		missing = len - stream->bytes.len;
	SmrtSpan	taken;

	if (!take(bytes, missing < bytes->len ? missing : bytes->len, &taken) ||
		!smrt_buf_append_span(&stream->bytes, taken))
		return SMRT_FRAME_NO_MEMORY;
	return taken.len == missing ? SMRT_FRAME_WHOLE : SMRT_FRAME_PARTIAL;
}

static bool
read_prelude(SmrtEventStream *stream)
{
	const char *p = stream->bytes.data;
	size_t		total = number_at(p);
	size_t		headers = number_at(p + 4);

	if (crc32_of(p, 8) != number_at(p + 8))
		return smrt_error_set(&stream->error, "the checksum of a frame's lengths is wrong");
	if (headers > SMRT_FRAME_MAX_HEADERS)
		return smrt_error_set(&stream->error, "a frame has %zu bytes of headers, %d are permitted",
							  headers, SMRT_FRAME_MAX_HEADERS);
	if (total < MIN_FRAME_LEN || total - MIN_FRAME_LEN < headers)
		return smrt_error_set(&stream->error, "a frame of %zu bytes has no room for %zu bytes of headers",
							  total, headers);
	if (total - MIN_FRAME_LEN - headers > SMRT_FRAME_MAX_PAYLOAD)
		return smrt_error_set(&stream->error, "a frame of %zu bytes is over the limit of %d",
							  total, SMRT_FRAME_MAX_PAYLOAD);
	stream->frame_len = total;
	stream->headers_len = headers;
	return true;
}

static bool
read_frame(SmrtEventStream *stream, SmrtFrame *frame)
{
	const char *p = stream->bytes.data;
	size_t		covered = stream->frame_len - CRC_LEN;

	if (crc32_of(p, covered) != number_at(p + covered))
		return smrt_error_set(&stream->error, "the checksum of a frame is wrong");
	frame->headers = smrt_span_of(p + PRELUDE_LEN, stream->headers_len);
	frame->payload = smrt_span_of(p + PRELUDE_LEN + stream->headers_len,
								  covered - PRELUDE_LEN - stream->headers_len);
	return check_headers(frame->headers, &stream->error);
}

static bool
check_headers(SmrtSpan headers, SmrtError *error)
{
	SmrtSpan	names[MAX_HEADERS];
	SmrtFrameHeader header;
	int			n = 0;

	while (smrt_frame_next_header(&headers, &header))
	{
		if (n == MAX_HEADERS)
			return smrt_error_set(error, "a frame has more than %d headers",
								  MAX_HEADERS);
		for (int i = 0; i < n; i++)
			if (smrt_span_equal(names[i], header.name))
				return smrt_error_set(error, "a frame has two headers of one name");
		names[n++] = header.name;
	}
	return headers.len == 0 ||
		smrt_error_set(error, "a frame's headers are malformed");
}

bool
smrt_frame_next_header(SmrtSpan *headers, SmrtFrameHeader *header)
{
	/* -1: two bytes in front of the value have its length. */
	static const int lengths[] = {
		[SMRT_FRAME_TRUE] = 0,
		[SMRT_FRAME_FALSE] = 0,
		[SMRT_FRAME_BYTE] = 1,
		[SMRT_FRAME_INT16] = 2,
		[SMRT_FRAME_INT32] = 4,
		[SMRT_FRAME_INT64] = 8,
		[SMRT_FRAME_BYTES] = -1,
		[SMRT_FRAME_STRING] = -1,
		[SMRT_FRAME_TIMESTAMP] = 8,
		[SMRT_FRAME_UUID] = 16,
	};
	SmrtSpan	rest = *headers;
	SmrtSpan	byte;
	SmrtSpan	length;
	size_t		len;

	_Static_assert(sizeof(lengths) / sizeof(lengths[0]) == SMRT_FRAME_VALUE_TYPES,
				   "every type needs a length");
	if (!take(&rest, 1, &byte) || byte.data[0] == 0 ||
		!take(&rest, (unsigned char) byte.data[0], &header->name) ||
		!take(&rest, 1, &byte) ||
		(unsigned char) byte.data[0] >= SMRT_FRAME_VALUE_TYPES)
		return false;
	header->type = (SmrtFrameValueType) byte.data[0];
	len = (size_t) lengths[header->type];
	if (lengths[header->type] < 0)
	{
		if (!take(&rest, 2, &length))
			return false;
		len = (size_t) (unsigned char) length.data[0] << 8 |
			(unsigned char) length.data[1];
	}
	if (!take(&rest, len, &header->value))
		return false;
	*headers = rest;
	return true;
}

SmrtSpan
smrt_frame_string(const SmrtFrame *frame, const char *name)
{
	SmrtSpan	rest = frame->headers;
	SmrtFrameHeader header;

	while (smrt_frame_next_header(&rest, &header))
		if (header.type == SMRT_FRAME_STRING &&
			smrt_span_equal(header.name, smrt_span(name)))
			return header.value;
	return smrt_span(NULL);
}

/* The first n bytes; false when there are fewer. */
static bool
take(SmrtSpan *bytes, size_t n, SmrtSpan *taken)
{
	if (bytes->len < n)
		return false;
	*taken = smrt_span_of(bytes->data, n);
	if (n > 0)
		*bytes = smrt_span_after(*bytes, n);
	return true;
}

static uint32_t
number_at(const char *p)
{
	const unsigned char *byte = (const unsigned char *) p;

	return (uint32_t) byte[0] << 24 | (uint32_t) byte[1] << 16 |
		(uint32_t) byte[2] << 8 | byte[3];
}

/*
 * CRC-32 as in zlib, half a byte at a time: frames are small and come over a
 * network.
 */
static uint32_t
crc32_of(const char *data, size_t len)
{
	static const uint32_t remainders[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t	crc = 0xffffffff;

	for (size_t i = 0; i < len; i++)
	{
		crc ^= (unsigned char) data[i];
		crc = remainders[crc & 15] ^ crc >> 4;
		crc = remainders[crc & 15] ^ crc >> 4;
	}
	return ~crc;
}
