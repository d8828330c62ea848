/*
 * The messages in a language model's stream: lines of JSON, or the data of
 * server-sent events, told apart line by line.  Where the bytes are cut, and
 * whether the last line is ended, means nothing.
 */
#ifndef SMRT_AWS_MESSAGES_H
#define SMRT_AWS_MESSAGES_H

#include "aws/buffer.h"

typedef enum SmrtMessageState
{
	SMRT_MESSAGE_PARTIAL,		/* more bytes are needed */
	SMRT_MESSAGE_WHOLE,
	SMRT_MESSAGE_TOO_LARGE,
	SMRT_MESSAGE_NO_MEMORY
} SmrtMessageState;

typedef struct SmrtMessages
{
	SmrtBuf		line;			/* under way */
	SmrtBuf		data;			/* of the event under way */
	bool		in_event;		/* it has data, if only an empty line of it */
	bool		line_is_taken;	/* the next call begins a new line */
	bool		data_is_taken;
} SmrtMessages;

/* max: bytes of one message.  alloc must outlive the messages. */
extern void smrt_messages_init(SmrtMessages *messages, const SmrtAlloc *alloc,
							   size_t max);
extern void smrt_messages_free(SmrtMessages *messages);

/*
 * Takes bytes off the front of *bytes until a message is whole; it is never
 * empty, and valid until the next call here.  PARTIAL: all bytes were taken.
 * The last two states are for ever.
 */
extern SmrtMessageState smrt_messages_read(SmrtMessages *messages,
										   SmrtSpan *bytes, SmrtSpan *message);

/*
 * After the last byte: what its end makes whole, call by call.  PARTIAL: nothing
 * is left.
 */
extern SmrtMessageState smrt_messages_finish(SmrtMessages *messages,
											 SmrtSpan *message);

#endif							/* SMRT_AWS_MESSAGES_H */
