/*
 * The frames of application/vnd.amazon.eventstream, read as their bytes come.
 *
 *     total length   headers length   CRC-32 of these   headers   payload   CRC-32 of all
 *     4 bytes        4 bytes          4 bytes                               4 bytes
 *
 * Numbers are big-endian; a header is: length of its name (1 byte), name, type
 * (1 byte), value.  No length is believed before the checksum of the prelude
 * that holds it, and no byte is handed out before the checksum of its frame.
 */
#ifndef SMRT_AWS_EVENTSTREAM_H
#define SMRT_AWS_EVENTSTREAM_H

#include "aws/buffer.h"
#include "aws/error.h"

/* As the SDKs have it; both are bytes. */
#define SMRT_FRAME_MAX_HEADERS (128 * 1024)
#define SMRT_FRAME_MAX_PAYLOAD (24 * 1024 * 1024)

typedef enum SmrtFrameState
{
	SMRT_FRAME_PARTIAL,			/* more bytes are needed */
	SMRT_FRAME_WHOLE,
	SMRT_FRAME_BAD,				/* no frame, or one over a limit */
	SMRT_FRAME_NO_MEMORY
} SmrtFrameState;

/* Valid until the next call on the stream that it came from. */
typedef struct SmrtFrame
{
	SmrtSpan	headers;		/* well-formed; for smrt_frame_next_header() */
	SmrtSpan	payload;
} SmrtFrame;

/* The types of header values, by their numbers on the wire. */
typedef enum SmrtFrameValueType
{
	SMRT_FRAME_TRUE,
	SMRT_FRAME_FALSE,
	SMRT_FRAME_BYTE,
	SMRT_FRAME_INT16,
	SMRT_FRAME_INT32,
	SMRT_FRAME_INT64,
	SMRT_FRAME_BYTES,
	SMRT_FRAME_STRING,
	SMRT_FRAME_TIMESTAMP,		/* milliseconds from 1970 */
	SMRT_FRAME_UUID,
	SMRT_FRAME_VALUE_TYPES
} SmrtFrameValueType;

typedef struct SmrtFrameHeader
{
	SmrtSpan	name;
	SmrtFrameValueType type;
	SmrtSpan	value;			/* its bytes as they stand, without a length */
} SmrtFrameHeader;

typedef struct SmrtEventStream
{
	SmrtBuf		bytes;			/* of the frame under way */
	size_t		frame_len;		/* 0: its prelude has not been read */
	size_t		headers_len;
	SmrtFrameState state;		/* of the last call */
	SmrtError	error;			/* why it is bad */
} SmrtEventStream;

/* alloc must outlive the stream. */
extern void smrt_eventstream_init(SmrtEventStream *stream,
								  const SmrtAlloc *alloc);
extern void smrt_eventstream_free(SmrtEventStream *stream);

/*
 * Takes what belongs to the next frame off the front of bytes.  PARTIAL: all of
 * it was taken.  BAD and NO_MEMORY are for ever.
 */
extern SmrtFrameState smrt_eventstream_read(SmrtEventStream *stream,
											SmrtSpan *bytes, SmrtFrame *frame);

/* Whether the bytes so far end where a frame ends: a stream may end here. */
extern bool smrt_eventstream_is_between(const SmrtEventStream *stream);

/*
 * Takes the first header off *headers; false when none is left, or when what
 * is there is no header, which does not happen to those of a whole frame.
 */
extern bool smrt_frame_next_header(SmrtSpan *headers, SmrtFrameHeader *header);

/* The value of the string header of that name; absent: there is none. */
extern SmrtSpan smrt_frame_string(const SmrtFrame *frame, const char *name);

#endif							/* SMRT_AWS_EVENTSTREAM_H */
