/*
 * Event-stream frames.  The first byte of an input says in which pieces the rest
 * comes, and whether checksums are put right first: without that hardly anything
 * would come past them.
 *
 * A stream read in pieces gives what it gives as a whole.
 */
#include "aws/eventstream.h"
#include "fuzz.h"

#define MIN_FRAME_LEN 16

static Digest read_all(const uint8_t *data, size_t size, size_t piece_size);
static Digest read_piece(void *reader, const char *piece, size_t len,
						 Digest so_far);
static void put_checksums_right(uint8_t *data, size_t size);
static uint32_t crc32_of(const uint8_t *data, size_t len);
static uint32_t get_number(const uint8_t *p);
static void put_number(uint8_t *p, uint32_t value);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t    *copy;
	size_t		piece_size;

	if (size < 2)
		return 0;
	copy = malloc(size - 1);
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 1)
		put_checksums_right(copy, size - 1);
	piece_size = 1 + data[0] / 2;
	hold(read_all(copy, size - 1, size) == read_all(copy, size - 1, piece_size));
	free(copy);
	return 0;
}

static Digest
read_all(const uint8_t *data, size_t size, size_t piece_size)
{
	SmrtEventStream stream;
	Digest		found;
	unsigned char end;

	smrt_eventstream_init(&stream, &smrt_alloc_malloc);
	found = read_in_pieces(read_piece, &stream, data, size, piece_size);
	end = smrt_eventstream_is_between(&stream);
	found = digest(found, &end, 1);
	found = digest(found, stream.error.text, strlen(stream.error.text));
	smrt_eventstream_free(&stream);
	return found;
}

static Digest
read_piece(void *reader, const char *piece, size_t len, Digest so_far)
{
	SmrtSpan	bytes = smrt_span_of(piece, len);
	SmrtFrame	frame;
	SmrtFrameHeader header;

	while (smrt_eventstream_read(reader, &bytes, &frame) == SMRT_FRAME_WHOLE)
	{
		so_far = digest(so_far, frame.payload.data, frame.payload.len);
		(void) smrt_frame_string(&frame, ":event-type");
		while (smrt_frame_next_header(&frame.headers, &header))
		{
			so_far = digest(so_far, header.name.data, header.name.len);
			so_far = digest(so_far, header.value.data, header.value.len);
		}
		if (frame.headers.len > 0)
			abort();
	}
	return so_far;
}

/* Frame after frame, where the lengths leave room for one. */
static void
put_checksums_right(uint8_t *data, size_t size)
{
	while (size >= MIN_FRAME_LEN)
	{
		size_t		total = get_number(data);

		put_number(data + 8, crc32_of(data, 8));
		if (total < MIN_FRAME_LEN || total > size)
			return;
		put_number(data + total - 4, crc32_of(data, total - 4));
		data += total;
		size -= total;
	}
}

static uint32_t
crc32_of(const uint8_t *data, size_t len)
{
	uint32_t	crc = 0xffffffff;

	for (size_t i = 0; i < len; i++)
	{
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	}
	return ~crc;
}

static uint32_t
get_number(const uint8_t *p)
{
	return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 |
		(uint32_t) p[2] << 8 | p[3];
}

static void
put_number(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t) (value >> (24 - 8 * i));
}
