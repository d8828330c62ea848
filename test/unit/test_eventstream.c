/*
 * The event stream: published frames, frames cut at every byte, every bit
 * flipped, limits, and memory that ends.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/eventstream.h"
#include "check.h"
#include "frames.h"

#define MAX_VECTOR 512

/* One frame's bytes. */
typedef struct Bytes
{
	char		data[MAX_VECTOR];
	size_t		len;
} Bytes;

static void
decode_hex(const char *hex, Bytes *bytes)
{
	bytes->len = strlen(hex) / 2;
	for (size_t i = 0; i < bytes->len; i++)
	{
		unsigned	value;

		sscanf(hex + 2 * i, "%2x", &value);
		bytes->data[i] = (char) value;
	}
}

static void
put_number(char *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char) (value >> (24 - 8 * i));
}

/* Bit by bit, by the definition: not the decoder's way. */
static uint32_t
slow_crc32(const char *data, size_t len)
{
	uint32_t	crc = 0xffffffff;

	for (size_t i = 0; i < len; i++)
	{
		crc ^= (unsigned char) data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	}
	return ~crc;
}

/* A frame with right checksums around those headers and payload. */
static SmrtSpan
make_frame(SmrtSpan headers, SmrtSpan payload)
{
	size_t		len = 16 + headers.len + payload.len;
	char	   *frame = malloc(len);

	put_number(frame, (uint32_t) len);
	put_number(frame + 4, (uint32_t) headers.len);
	put_number(frame + 8, slow_crc32(frame, 8));
	if (headers.len > 0)
		memcpy(frame + 12, headers.data, headers.len);
	if (payload.len > 0)
		memcpy(frame + 12 + headers.len, payload.data, payload.len);
	put_number(frame + len - 4, slow_crc32(frame, len - 4));
	return smrt_span_of(frame, len);
}

/* What a frame holds, in the form of the vectors. */
static void
describe(const SmrtFrame *frame, SmrtBuf *text)
{
	SmrtSpan	rest = frame->headers;
	SmrtFrameHeader header;
	char		number[8];

	while (smrt_frame_next_header(&rest, &header))
	{
		if (rest.len + header.name.len < frame->headers.len && text->len > 0)
			smrt_buf_append_string(text, "; ");
		smrt_buf_append_span(text, header.name);
		snprintf(number, sizeof(number), ":%d=", header.type);
		smrt_buf_append_string(text, number);
		if (header.type == SMRT_FRAME_STRING)
		{
			smrt_buf_append_char(text, '\'');
			smrt_buf_append_span(text, header.value);
			smrt_buf_append_char(text, '\'');
			continue;
		}
		for (size_t i = 0; i < header.value.len; i++)
		{
			snprintf(number, sizeof(number), "%02x",
					 (unsigned char) header.value.data[i]);
			smrt_buf_append_string(text, number);
		}
	}
	CHECK_INT(rest.len, 0);
	smrt_buf_append_string(text, " | ");
	smrt_buf_append_span(text, frame->payload);
}

/* Feeds a copy that ends where the bytes end, so that a sanitizer sees more. */
static SmrtFrameState
feed(SmrtEventStream *stream, const char *data, size_t len, SmrtBuf *text)
{
	char	   *copy = malloc(len ? len : 1);
	SmrtSpan	bytes = smrt_span_of(copy, len);
	SmrtFrameState state;
	SmrtFrame	frame;

	if (len > 0)
		memcpy(copy, data, len);
	while ((state = smrt_eventstream_read(stream, &bytes, &frame)) == SMRT_FRAME_WHOLE)
		describe(&frame, text);
	if (state == SMRT_FRAME_PARTIAL)
		CHECK_INT(bytes.len, 0);
	free(copy);
	return state;
}

static void
published_frames_are_read(void)
{
	for (size_t i = 0; i < COUNT_OF(good_frames); i++)
	{
		SmrtEventStream stream;
		SmrtBuf		text;
		Bytes		frame;

		decode_hex(good_frames[i].hex, &frame);
		smrt_eventstream_init(&stream, &smrt_alloc_malloc);
		smrt_buf_init(&text, &smrt_alloc_malloc, 10000);
		CHECK_INT(feed(&stream, frame.data, frame.len, &text), SMRT_FRAME_PARTIAL);
		if (!CHECK_TEXT(smrt_buf_span(&text), good_frames[i].meaning))
			printf("# %s\n", good_frames[i].name);
		CHECK(smrt_eventstream_is_between(&stream));
		smrt_buf_free(&text);
		smrt_eventstream_free(&stream);
	}
}

static void
published_bad_frames_are_refused(void)
{
	for (size_t i = 0; i < COUNT_OF(bad_frames); i++)
	{
		SmrtEventStream stream;
		SmrtBuf		text;
		Bytes		frame;

		decode_hex(bad_frames[i].hex, &frame);
		smrt_eventstream_init(&stream, &smrt_alloc_malloc);
		smrt_buf_init(&text, &smrt_alloc_malloc, 10000);
		CHECK_INT(feed(&stream, frame.data, frame.len, &text), SMRT_FRAME_BAD);
		if (!CHECK_TEXT(smrt_span(stream.error.text), bad_frames[i].meaning))
			printf("# %s\n", bad_frames[i].name);
		CHECK(!smrt_eventstream_is_between(&stream));
		CHECK_INT(text.len, 0);
		/* For ever, even when a good frame follows. */
		decode_hex(good_frames[0].hex, &frame);
		CHECK_INT(feed(&stream, frame.data, frame.len, &text), SMRT_FRAME_BAD);
		smrt_buf_free(&text);
		smrt_eventstream_free(&stream);
	}
}

/* All frames, one after another, in up to three pieces. */
static void
cuts_change_nothing(void)
{
	char		all[COUNT_OF(good_frames) * MAX_VECTOR];
	size_t		ends[COUNT_OF(good_frames)];
	size_t		len = 0;
	SmrtBuf		whole;
	SmrtBuf		text;
	SmrtEventStream stream;

	smrt_buf_init(&whole, &smrt_alloc_malloc, 100000);
	smrt_buf_init(&text, &smrt_alloc_malloc, 100000);
	for (size_t i = 0; i < COUNT_OF(good_frames); i++)
	{
		Bytes		frame;

		decode_hex(good_frames[i].hex, &frame);
		memcpy(all + len, frame.data, frame.len);
		ends[i] = len += frame.len;
		smrt_eventstream_init(&stream, &smrt_alloc_malloc);
		feed(&stream, frame.data, frame.len, &whole);
		smrt_eventstream_free(&stream);
	}

	/* Byte by byte; the stream may end where a frame does, and only there. */
	smrt_eventstream_init(&stream, &smrt_alloc_malloc);
	for (size_t i = 0, n = 0; i < len; i++)
	{
		CHECK_INT(feed(&stream, all + i, 1, &text), SMRT_FRAME_PARTIAL);
		CHECK_INT(smrt_eventstream_is_between(&stream), i + 1 == ends[n]);
		n += i + 1 == ends[n];
	}
	CHECK_SPAN(smrt_buf_span(&text), smrt_buf_span(&whole));
	smrt_eventstream_free(&stream);

	for (size_t i = 0; i <= len; i++)
		for (size_t j = i; j <= len; j += i < 200 ? 1 : 37)
		{
			smrt_buf_reset(&text);
			smrt_eventstream_init(&stream, &smrt_alloc_malloc);
			feed(&stream, all, i, &text);
			feed(&stream, all + i, j - i, &text);
			feed(&stream, all + j, len - j, &text);
			if (!smrt_span_equal(smrt_buf_span(&text), smrt_buf_span(&whole)))
				CHECK_SPAN(smrt_buf_span(&text), smrt_buf_span(&whole));
			smrt_eventstream_free(&stream);
		}
	smrt_buf_free(&text);
	smrt_buf_free(&whole);
}

static void
every_flipped_bit_is_seen(void)
{
	size_t		flipped = 0;

	for (size_t i = 0; i < COUNT_OF(good_frames); i++)
	{
		Bytes		frame;

		decode_hex(good_frames[i].hex, &frame);
		for (size_t bit = 0; bit < frame.len * 8; bit++)
		{
			SmrtEventStream stream;
			SmrtBuf		text;

			frame.data[bit / 8] ^= (char) (1 << bit % 8);
			smrt_eventstream_init(&stream, &smrt_alloc_malloc);
			smrt_buf_init(&text, &smrt_alloc_malloc, 10000);
			CHECK_INT(feed(&stream, frame.data, frame.len, &text), SMRT_FRAME_BAD);
			CHECK_INT(text.len, 0);
			smrt_buf_free(&text);
			smrt_eventstream_free(&stream);
			frame.data[bit / 8] ^= (char) (1 << bit % 8);
		}
		flipped += frame.len * 8;
	}
	printf("# figure flipped bits: %zu bits of %zu frames, each seen\n", flipped,
		   COUNT_OF(good_frames));
}

/* With right checksums it is the parser that has to see them. */
static void
every_flipped_bit_of_headers_is_survived(void)
{
	for (size_t i = 0; i < COUNT_OF(good_frames); i++)
	{
		Bytes		frame;
		size_t		headers_len;

		decode_hex(good_frames[i].hex, &frame);
		headers_len = (unsigned char) frame.data[6] * 256u + (unsigned char) frame.data[7];
		for (size_t bit = 0; bit < headers_len * 8; bit++)
		{
			SmrtEventStream stream;
			SmrtBuf		text;
			SmrtFrameState state;

			frame.data[12 + bit / 8] ^= (char) (1 << bit % 8);
			put_number(frame.data + frame.len - 4,
					   slow_crc32(frame.data, frame.len - 4));
			smrt_eventstream_init(&stream, &smrt_alloc_malloc);
			smrt_buf_init(&text, &smrt_alloc_malloc, 10000);
			state = feed(&stream, frame.data, frame.len, &text);
			CHECK(state == SMRT_FRAME_PARTIAL || state == SMRT_FRAME_BAD);
			CHECK((state == SMRT_FRAME_BAD) == (text.len == 0));
			smrt_buf_free(&text);
			smrt_eventstream_free(&stream);
			frame.data[12 + bit / 8] ^= (char) (1 << bit % 8);
		}
	}
}

/* Gives why a frame with those headers is refused, or "". */
static const char *
refusal_of(SmrtSpan headers)
{
	static SmrtEventStream stream;
	SmrtSpan	frame = make_frame(headers, smrt_span("x"));
	SmrtBuf		text;

	smrt_eventstream_init(&stream, &smrt_alloc_malloc);
	smrt_buf_init(&text, &smrt_alloc_malloc, 1000000);
	feed(&stream, frame.data, frame.len, &text);
	smrt_buf_free(&text);
	smrt_eventstream_free(&stream);
	free((char *) frame.data);
	return stream.error.text;
}

#define REFUSAL_OF(literal) refusal_of(smrt_span_of((literal), sizeof(literal) - 1))

static void
headers_are_checked(void)
{
	char		many[65 * 4];

	CHECK_TEXT(smrt_span(REFUSAL_OF("\1a\0\1b\1")), "");
	CHECK_TEXT(smrt_span(REFUSAL_OF("\1a\0\1a\1")),
			   "a frame has two headers of one name");
	CHECK_TEXT(smrt_span(REFUSAL_OF("\0\0")), "a frame's headers are malformed");
	CHECK_TEXT(smrt_span(REFUSAL_OF("\1a\12")), "a frame's headers are malformed");
	CHECK_TEXT(smrt_span(REFUSAL_OF("\1a\377")), "a frame's headers are malformed");
	CHECK_TEXT(smrt_span(REFUSAL_OF("\1a")), "a frame's headers are malformed");
	CHECK_TEXT(smrt_span(REFUSAL_OF("\1a\7\0")), "a frame's headers are malformed");
	CHECK_TEXT(smrt_span(REFUSAL_OF("\1a\7\0\2b")), "a frame's headers are malformed");
	CHECK_TEXT(smrt_span(REFUSAL_OF("\1a\11" "0123456789abcde")),
			   "a frame's headers are malformed");
	for (int i = 0; i < 65; i++)
		memcpy(many + 4 * i, (char[]) {2, (char) ('a' + i / 8), (char) ('a' + i % 8), 0}, 4);
	CHECK_TEXT(smrt_span(refusal_of(smrt_span_of(many, 64 * 4))), "");
	CHECK_TEXT(smrt_span(refusal_of(smrt_span_of(many, 65 * 4))),
			   "a frame has more than 64 headers");
}

/* What a prelude alone leads to. */
static SmrtFrameState
prelude_state(uint32_t total, uint32_t headers)
{
	SmrtEventStream stream;
	SmrtBuf		text;
	SmrtFrameState state;
	char		prelude[12];

	put_number(prelude, total);
	put_number(prelude + 4, headers);
	put_number(prelude + 8, slow_crc32(prelude, 8));
	smrt_eventstream_init(&stream, &smrt_alloc_malloc);
	smrt_buf_init(&text, &smrt_alloc_malloc, 100);
	state = feed(&stream, prelude, sizeof(prelude), &text);
	/* Nothing was set aside for what was only announced. */
	CHECK(stream.bytes.size < 4096);
	smrt_eventstream_free(&stream);
	return state;
}

static void
lengths_are_limited_before_memory_is_taken(void)
{
	uint32_t	payload = SMRT_FRAME_MAX_PAYLOAD;
	uint32_t	headers = SMRT_FRAME_MAX_HEADERS;

	CHECK_INT(prelude_state(16 + payload, 0), SMRT_FRAME_PARTIAL);
	CHECK_INT(prelude_state(16 + payload + 1, 0), SMRT_FRAME_BAD);
	CHECK_INT(prelude_state(16 + headers + payload, headers), SMRT_FRAME_PARTIAL);
	CHECK_INT(prelude_state(16 + headers + payload + 1, headers), SMRT_FRAME_BAD);
	CHECK_INT(prelude_state(16 + headers + 1, headers + 1), SMRT_FRAME_BAD);
	CHECK_INT(prelude_state(15, 0), SMRT_FRAME_BAD);
	CHECK_INT(prelude_state(0, 0), SMRT_FRAME_BAD);
	CHECK_INT(prelude_state(16, 1), SMRT_FRAME_BAD);
	CHECK_INT(prelude_state(0xffffffff, 0), SMRT_FRAME_BAD);
	CHECK_INT(prelude_state(0xffffffff, 0xffffffff), SMRT_FRAME_BAD);
	CHECK_INT(prelude_state(16, 0xffffffff), SMRT_FRAME_BAD);
}

static void
largest_payload_is_read(void)
{
	char	   *payload = malloc(SMRT_FRAME_MAX_PAYLOAD);
	SmrtSpan	frame;
	SmrtSpan	bytes;
	SmrtFrame	read;
	SmrtEventStream stream;

	memset(payload, 'p', SMRT_FRAME_MAX_PAYLOAD);
	bytes = frame = make_frame(smrt_span(""), smrt_span_of(payload, SMRT_FRAME_MAX_PAYLOAD));
	smrt_eventstream_init(&stream, &smrt_alloc_malloc);
	CHECK_INT(smrt_eventstream_read(&stream, &bytes, &read), SMRT_FRAME_WHOLE);
	CHECK_SPAN(read.payload, smrt_span_of(payload, SMRT_FRAME_MAX_PAYLOAD));
	smrt_eventstream_free(&stream);
	free((char *) frame.data);
	free(payload);
}

static void
memory_may_end_anywhere(void)
{
	Bytes		frame;
	int			left = 0;
	SmrtFrameState state;

	decode_hex(good_frames[COUNT_OF(good_frames) - 1].hex, &frame);
	do
	{
		CheckMemory memory;
		SmrtEventStream stream;
		SmrtBuf		text;

		check_memory_init(&memory, left++);
		smrt_buf_init(&text, &smrt_alloc_malloc, 10000);
		smrt_eventstream_init(&stream, &memory.alloc);
		state = feed(&stream, frame.data, frame.len, &text);
		CHECK_INT(text.len > 0, state == SMRT_FRAME_PARTIAL);
		if (state == SMRT_FRAME_NO_MEMORY)
			CHECK_INT(feed(&stream, frame.data, frame.len, &text),
					  SMRT_FRAME_NO_MEMORY);
		smrt_eventstream_free(&stream);
		CHECK_INT(memory.live, 0);
		smrt_buf_free(&text);
	} while (state == SMRT_FRAME_NO_MEMORY);
	CHECK(left > 1);
}

static void
string_headers_are_found_by_name(void)
{
	SmrtFrame	frame = {.headers = smrt_span_of("\1a\7\0\1x\1b\6\0\1y", 12)};

	CHECK_TEXT(smrt_frame_string(&frame, "a"), "x");
	CHECK(smrt_span_absent(smrt_frame_string(&frame, "b")));
	CHECK(smrt_span_absent(smrt_frame_string(&frame, "c")));
}

static const CheckCase cases[] = {
	{"published frames are read", published_frames_are_read},
	{"published bad frames are refused", published_bad_frames_are_refused},
	{"cuts change nothing", cuts_change_nothing},
	{"every flipped bit is seen", every_flipped_bit_is_seen},
	{"every flipped bit of headers is survived",
	every_flipped_bit_of_headers_is_survived},
	{"headers are checked", headers_are_checked},
	{"lengths are limited before memory is taken",
	lengths_are_limited_before_memory_is_taken},
	{"the largest payload is read", largest_payload_is_read},
	{"memory may end anywhere", memory_may_end_anywhere},
	{"string headers are found by name", string_headers_are_found_by_name},
};

int
main(void)
{
	return check_run(cases, COUNT_OF(cases));
}
