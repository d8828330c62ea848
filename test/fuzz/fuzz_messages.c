/*
 * Messages in a stream.  The first byte of an input says in which pieces the rest
 * comes, the second how long a message may be.
 *
 * A stream read in pieces gives what it gives as a whole.
 */
#include "aws/messages.h"
#include "fuzz.h"

static Digest read_all(const uint8_t *data, size_t size, size_t max,
					   size_t piece_size);
static Digest read_piece(void *reader, const char *piece, size_t len,
						 Digest so_far);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t		max;

	if (size < 3)
		return 0;
	max = data[1] < 128 ? 1000000 : data[1] - 128u;
	hold(read_all(data + 2, size - 2, max, size) ==
		 read_all(data + 2, size - 2, max, data[0] + 1u));
	return 0;
}

static Digest
read_all(const uint8_t *data, size_t size, size_t max, size_t piece_size)
{
	SmrtMessages messages;
	SmrtMessageState state;
	SmrtSpan	message;
	Digest		found;

	smrt_messages_init(&messages, &smrt_alloc_malloc, max);
	found = read_in_pieces(read_piece, &messages, data, size, piece_size);
	while ((state = smrt_messages_finish(&messages, &message)) == SMRT_MESSAGE_WHOLE)
		found = digest(found, message.data, message.len);
	found = digest(found, &state, sizeof(state));
	smrt_messages_free(&messages);
	return found;
}

static Digest
read_piece(void *reader, const char *piece, size_t len, Digest so_far)
{
	SmrtSpan	bytes = smrt_span_of(piece, len);
	SmrtSpan	message;

	while (smrt_messages_read(reader, &bytes, &message) == SMRT_MESSAGE_WHOLE)
	{
		if (message.len == 0)
			abort();
		so_far = digest(so_far, message.data, message.len);
	}
	return so_far;
}
