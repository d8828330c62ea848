/*
 * Messages in a stream: the forms that model servers send, cut at every byte.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/messages.h"
#include "check.h"

typedef struct Sample
{
	const char *name;
	const char *stream;
	const char *messages;		/* each followed by | */
} Sample;

static const Sample samples[] = {
	{"nothing", "", ""},
	{"blank lines", "\n \t\r\n\r\n", ""},
	{"lines", "{\"a\":1}\n{\"b\":2}\n", "{\"a\":1}|{\"b\":2}|"},
	{"lines with CR LF", "{\"a\":1}\r\n{\"b\":2}\r\n", "{\"a\":1}|{\"b\":2}|"},
	{"last line without an end", "{\"a\":1}\n{\"b\":2}", "{\"a\":1}|{\"b\":2}|"},
	{"characters of several bytes", "\"\303\251\360\237\230\200\"\n",
	"\"\303\251\360\237\230\200\"|"},
	{"events", "data: {\"a\":1}\n\ndata: [DONE]\n\n", "{\"a\":1}|[DONE]|"},
	{"events without the blank", "data:{\"a\":1}\n\ndata:{\"b\":2}\n\n",
	"{\"a\":1}|{\"b\":2}|"},
	{"only one blank is taken", "data:  x\n\n", " x|"},
	{"events with CR LF", "data: a\r\n\r\ndata: b\r\n\r\n", "a|b|"},
	{"data over several lines", "data: {\ndata: \"a\":1}\n\n", "{\n\"a\":1}|"},
	{"empty data", "data:\n\ndata\n", "data|"},
	{"empty data, then some", "data:\n\ndata: a\n\n", "a|"},
	{"an empty line of data", "data:\ndata: x\n\n", "\nx|"},
	{"other fields and comments", ": hi\nevent: message\nid: 7\nretry: 10\ndata: a\n\n:\n\n",
	"a|"},
	{"last event without an end", "data: a\n\ndata: b\n", "a|b|"},
	{"last event within its line", "data: a\n\ndata: b", "a|b|"},
	{"a line and an event left over", "data: a\n{}", "{}|a|"},
	{"lines among events", "data: a\n\n{\"b\":2}\ndata: c\n\n", "a|{\"b\":2}|c|"},
	{"a line that only looks like a field", "database: x\n", "database: x|"},
};

/* Appends each message and a |; the last state. */
static SmrtMessageState
feed(SmrtMessages *messages, const char *data, size_t len, SmrtBuf *found)
{
	char	   *copy = malloc(len ? len : 1);
	SmrtSpan	bytes = smrt_span_of(copy, len);
	SmrtSpan	message;
	SmrtMessageState state;

	memcpy(copy, data, len);
	while ((state = smrt_messages_read(messages, &bytes, &message)) == SMRT_MESSAGE_WHOLE)
	{
		CHECK(message.len > 0);
		smrt_buf_append_span(found, message);
		smrt_buf_append_char(found, '|');
	}
	free(copy);
	return state;
}

static SmrtMessageState
finish(SmrtMessages *messages, SmrtBuf *found)
{
	SmrtSpan	message;
	SmrtMessageState state;

	while ((state = smrt_messages_finish(messages, &message)) == SMRT_MESSAGE_WHOLE)
	{
		smrt_buf_append_span(found, message);
		smrt_buf_append_char(found, '|');
	}
	return state;
}

static void
every_form_cut_anywhere(void)
{
	for (size_t n = 0; n < COUNT_OF(samples); n++)
	{
		const char *stream = samples[n].stream;
		size_t		len = strlen(stream);

		for (size_t i = 0; i <= len; i++)
			for (size_t j = i; j <= len; j++)
			{
				SmrtMessages messages;
				SmrtBuf		found;

				smrt_messages_init(&messages, &smrt_alloc_malloc, 100);
				smrt_buf_init(&found, &smrt_alloc_malloc, 1000);
				feed(&messages, stream, i, &found);
				feed(&messages, stream + i, j - i, &found);
				feed(&messages, stream + j, len - j, &found);
				CHECK_INT(finish(&messages, &found), SMRT_MESSAGE_PARTIAL);
				if (!smrt_span_equal(smrt_buf_span(&found),
									 smrt_span(samples[n].messages)))
				{
					CHECK_TEXT(smrt_buf_span(&found), samples[n].messages);
					printf("# %s, cut at %zu and %zu\n", samples[n].name, i, j);
				}
				smrt_buf_free(&found);
				smrt_messages_free(&messages);
			}
	}
}

static void
byte_by_byte(void)
{
	for (size_t n = 0; n < COUNT_OF(samples); n++)
	{
		SmrtMessages messages;
		SmrtBuf		found;

		smrt_messages_init(&messages, &smrt_alloc_malloc, 100);
		smrt_buf_init(&found, &smrt_alloc_malloc, 1000);
		for (const char *c = samples[n].stream; *c; c++)
			feed(&messages, c, 1, &found);
		finish(&messages, &found);
		if (!CHECK_TEXT(smrt_buf_span(&found), samples[n].messages))
			printf("# %s\n", samples[n].name);
		smrt_buf_free(&found);
		smrt_messages_free(&messages);
	}
}

static SmrtMessageState
state_after(const char *stream, size_t max)
{
	SmrtMessages messages;
	SmrtBuf		found;
	SmrtMessageState state;

	smrt_messages_init(&messages, &smrt_alloc_malloc, max);
	smrt_buf_init(&found, &smrt_alloc_malloc, 1000);
	state = feed(&messages, stream, strlen(stream), &found);
	if (state > SMRT_MESSAGE_WHOLE)
	{
		/* For ever. */
		CHECK_INT(feed(&messages, "\n\n{}\n", 5, &found), state);
		CHECK_INT(finish(&messages, &found), state);
	}
	smrt_buf_free(&found);
	smrt_messages_free(&messages);
	return state;
}

static void
a_message_is_limited(void)
{
	CHECK_INT(state_after("1234567890\n", 10), SMRT_MESSAGE_PARTIAL);
	CHECK_INT(state_after("12345678901\n", 10), SMRT_MESSAGE_TOO_LARGE);
	CHECK_INT(state_after("12345678901", 10), SMRT_MESSAGE_TOO_LARGE);
	CHECK_INT(state_after("data: 12\ndata: 34\ndata: 56\n", 10), SMRT_MESSAGE_PARTIAL);
	CHECK_INT(state_after("data: 12\ndata: 34\ndata: 56\ndata: 78\n", 10),
			  SMRT_MESSAGE_TOO_LARGE);
}

static void
memory_may_end_anywhere(void)
{
	static const char stream[] = "{\"a\":1}\ndata: b\ndata: c\n\n";
	int			left = 0;
	SmrtMessageState state;

	do
	{
		CheckMemory memory;
		SmrtMessages messages;
		SmrtBuf		found;

		check_memory_init(&memory, left++);
		smrt_buf_init(&found, &smrt_alloc_malloc, 1000);
		smrt_messages_init(&messages, &memory.alloc, 100);
		state = feed(&messages, stream, strlen(stream), &found);
		if (state == SMRT_MESSAGE_NO_MEMORY)
			CHECK_INT(finish(&messages, &found), SMRT_MESSAGE_NO_MEMORY);
		smrt_messages_free(&messages);
		CHECK_INT(memory.live, 0);
		smrt_buf_free(&found);
	} while (state == SMRT_MESSAGE_NO_MEMORY);
	CHECK(left > 1);
}

static const CheckCase cases[] = {
	{"every form, cut anywhere", every_form_cut_anywhere},
	{"every form, byte by byte", byte_by_byte},
	{"a message is limited", a_message_is_limited},
	{"memory may end anywhere", memory_may_end_anywhere},
};

int
main(void)
{
	return check_run(cases, COUNT_OF(cases));
}
