/*
 * Splitting a stream into messages.
 *
 * A line that begins as a field of server-sent events is one (WHATWG, server-sent
 * events, 9.2.6); data is what counts of them, and an empty line ends an event.
 * Any other line that is not blank is a message of its own.
 */
#include "aws/messages.h"

static const SmrtSpan data_field = SMRT_LITERAL("data:");

/* A comment has no name. */
static const SmrtSpan other_fields[] = {
	SMRT_LITERAL(":"),
	SMRT_LITERAL("event:"),
	SMRT_LITERAL("id:"),
	SMRT_LITERAL("retry:"),
};

static void drop_taken(SmrtMessages *messages);
static bool end_line(SmrtMessages *messages, SmrtSpan *message);
static bool end_event(SmrtMessages *messages, SmrtSpan *message);
static void add_data(SmrtMessages *messages, SmrtSpan value);
static bool is_ignored(SmrtSpan line);
static SmrtMessageState state_of(const SmrtMessages *messages);

void
smrt_messages_init(SmrtMessages *messages, const SmrtAlloc *alloc, size_t max)
{
	memset(messages, 0, sizeof(*messages));
	smrt_buf_init(&messages->line, alloc, max);
	smrt_buf_init(&messages->data, alloc, max);
}

void
smrt_messages_free(SmrtMessages *messages)
{
	smrt_buf_free(&messages->line);
	smrt_buf_free(&messages->data);
}

SmrtMessageState
smrt_messages_read(SmrtMessages *messages, SmrtSpan *bytes, SmrtSpan *message)
{
	drop_taken(messages);
	while (bytes->len > 0 && state_of(messages) == SMRT_MESSAGE_PARTIAL)
	{
		SmrtSpan	piece = smrt_span_up_to(*bytes, '\n');
		bool		ended = piece.len < bytes->len;

		smrt_buf_append_span(&messages->line, piece);
		*bytes = smrt_span_after(*bytes, piece.len + ended);
		if (ended && end_line(messages, message))
			return SMRT_MESSAGE_WHOLE;
	}
	return state_of(messages);
}

SmrtMessageState
smrt_messages_finish(SmrtMessages *messages, SmrtSpan *message)
{
	drop_taken(messages);
	if (state_of(messages) == SMRT_MESSAGE_PARTIAL &&
		(end_line(messages, message) || end_event(messages, message)))
		return SMRT_MESSAGE_WHOLE;
	return state_of(messages);
}

static void
drop_taken(SmrtMessages *messages)
{
	if (messages->line_is_taken)
		smrt_buf_reset(&messages->line);
	if (messages->data_is_taken)
		smrt_buf_reset(&messages->data);
	messages->line_is_taken = false;
	messages->data_is_taken = false;
}

/* Whether the line makes a message whole. */
static bool
end_line(SmrtMessages *messages, SmrtSpan *message)
{
	SmrtSpan	line = smrt_buf_span(&messages->line);

	if (!smrt_buf_ok(&messages->line))
		return false;
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	if (line.len > 0 && !is_ignored(line) &&
		!smrt_span_starts_with(line, data_field))
	{
		messages->line_is_taken = true;
		*message = line;
		return true;
	}
	if (smrt_span_starts_with(line, data_field))
		add_data(messages, smrt_span_after(line, data_field.len));
	smrt_buf_reset(&messages->line);
	return line.len == 0 && end_event(messages, message);
}

static bool
end_event(SmrtMessages *messages, SmrtSpan *message)
{
	if (!messages->in_event || !smrt_buf_ok(&messages->data))
		return false;
	messages->in_event = false;
	*message = smrt_buf_span(&messages->data);
	messages->data_is_taken = message->len > 0;
	return messages->data_is_taken;
}

static void
add_data(SmrtMessages *messages, SmrtSpan value)
{
	if (value.len > 0 && value.data[0] == ' ')
		value = smrt_span_after(value, 1);
	if (messages->in_event)
		smrt_buf_append_char(&messages->data, '\n');
	smrt_buf_append_span(&messages->data, value);
	messages->in_event = true;
}

static bool
is_ignored(SmrtSpan line)
{
	size_t		blanks = 0;

	for (size_t i = 0; i < sizeof(other_fields) / sizeof(other_fields[0]); i++)
		if (smrt_span_starts_with(line, other_fields[i]))
			return true;
	while (blanks < line.len &&
		   (line.data[blanks] == ' ' || line.data[blanks] == '\t'))
		blanks++;
	return blanks == line.len;
}

static SmrtMessageState
state_of(const SmrtMessages *messages)
{
	SmrtBufState line = messages->line.state;
	SmrtBufState data = messages->data.state;

	if (line == SMRT_BUF_NO_MEMORY || data == SMRT_BUF_NO_MEMORY)
		return SMRT_MESSAGE_NO_MEMORY;
	return line == SMRT_BUF_FULL || data == SMRT_BUF_FULL ?
		SMRT_MESSAGE_TOO_LARGE : SMRT_MESSAGE_PARTIAL;
}
