/*
 * Streams: a call of a set of its own, whose answer is read frame by frame.
 *
 *     waiting --answer begins--> reading --last frame--> ended
 *        ^                          |
 *        +--- to be tried again ----+--- failed --> ended, with a fault
 *             (no part handed out)
 */
#include "postgres.h"

#include "call/callset.h"
#include "call/stream.h"
#include "call/streamevent.h"
#include "utils/memutils.h"

/* What is kept for a reader; a part that is larger is not held back by it. */
#define WINDOW (64 * 1024)

/* How much is looked at of an answer that is no stream. */
#define MAX_WORDS 4096

struct SmrtStream
{
	MemoryContext context;
	MemoryContextCallback on_reset;
	SmrtCallSet *set;
	SmrtCall   *call;
	int			timeout_ms;		/* for each wait */
	bool		reading;		/* the answer has begun */
	bool		ended;
	bool		handed_out;		/* a part was: it is too late to try again */
	SmrtEventStream frames;
	SmrtSpan	unread;			/* of what the exchange gave last */
};

static void free_frames(void *arg);
static bool begin_answer(SmrtStream *stream);
static bool read_part(SmrtStream *stream, SmrtSpan *part, SmrtFault *fault);
static void judge_end(SmrtStream *stream, SmrtFault *fault);
static void read_other_answer(SmrtStream *stream, SmrtFault *fault);
static bool fail(SmrtStream *stream, SmrtFault *fault);

SmrtStream *
smrt_stream_open(SmrtTarget *target, const SmrtLimits *limits,
				 const SmrtRequest *request)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "sagemaker_rt stream",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	SmrtStream *stream = palloc0(sizeof(SmrtStream));
	SmrtRequest with_window = *request;

	stream->context = context;
	stream->timeout_ms = limits->timeout;
	smrt_eventstream_init(&stream->frames, &smrt_alloc_malloc);
	stream->on_reset.func = free_frames;
	stream->on_reset.arg = stream;
	MemoryContextRegisterResetCallback(context, &stream->on_reset);
	with_window.window = WINDOW;
	stream->set = smrt_callset_create(target, limits);
	stream->call = smrt_callset_submit(stream->set, &with_window);
	MemoryContextSwitchTo(before);
	return stream;
}

void
smrt_stream_close(SmrtStream *stream)
{
	MemoryContextDelete(stream->context);
}

static void
free_frames(void *arg)
{
	smrt_eventstream_free(&((SmrtStream *) arg)->frames);
}

const SmrtFault *
smrt_stream_fault(const SmrtStream *stream)
{
	const SmrtFault *fault = &stream->call->reply.fault;

	return fault->kind == SMRT_FAULT_NONE ? NULL : fault;
}

const SmrtReport *
smrt_stream_report(const SmrtStream *stream)
{
	return &stream->call->report;
}

const SmrtResponse *
smrt_stream_response(const SmrtStream *stream)
{
	return &stream->call->reply.response;
}

SmrtSpan
smrt_stream_next(SmrtStream *stream)
{
	MemoryContext before = MemoryContextSwitchTo(stream->context);
	SmrtSpan	part = {0};

	while (!stream->ended && smrt_span_absent(part))
	{
		SmrtFault	fault = {0};

		if (!stream->reading && !begin_answer(stream))
			break;
		if (!read_part(stream, &part, &fault) && fail(stream, &fault))
			break;
	}
	stream->handed_out |= !smrt_span_absent(part);
	stream->call->report.received += part.len;
	MemoryContextSwitchTo(before);
	return part;
}

/* False: there was none. */
static bool
begin_answer(SmrtStream *stream)
{
	(void) smrt_callset_wait(stream->set);
	stream->reading = true;
	stream->unread = smrt_span_of(NULL, 0);
	smrt_eventstream_free(&stream->frames);
	smrt_eventstream_init(&stream->frames, &smrt_alloc_malloc);
	stream->ended = smrt_stream_fault(stream) != NULL;
	return !stream->ended;
}

/*
 * Leaves part absent where the stream ends well, and where a frame means nothing
 * to us.
 */
static bool
read_part(SmrtStream *stream, SmrtSpan *part, SmrtFault *fault)
{
	SmrtFrame	frame;

	if (!smrt_streamevent_is_stream(smrt_stream_response(stream)))
	{
		read_other_answer(stream, fault);
		return false;
	}
	switch (smrt_eventstream_read(&stream->frames, &stream->unread, &frame))
	{
		case SMRT_FRAME_WHOLE:
			return smrt_streamevent_read(&frame, part, fault);
		case SMRT_FRAME_PARTIAL:
			stream->unread = smrt_exchange_read(smrt_call_exchange(stream->call),
												stream->timeout_ms);
			if (stream->unread.len > 0)
				return true;
			stream->ended = true;
			judge_end(stream, fault);
			break;
		case SMRT_FRAME_BAD:
			fault->kind = SMRT_FAULT_STREAM;
			fault->text = smrt_span(stream->frames.error.text);
			break;
		case SMRT_FRAME_NO_MEMORY:
			fault->kind = SMRT_FAULT_NO_MEMORY;
			break;
	}
	return fault->kind == SMRT_FAULT_NONE;
}

/* Nothing more comes: was that all? */
static void
judge_end(SmrtStream *stream, SmrtFault *fault)
{
	const SmrtExchange *exchange = smrt_call_exchange(stream->call);

	fault->kind = exchange->failure;
	fault->text = smrt_span(exchange->failure_text);
	/* Of a connection that had begun to answer, this is the stream's end. */
	if (fault->kind == SMRT_FAULT_CUT_OFF || fault->kind == SMRT_FAULT_REPLY)
		fault->kind = SMRT_FAULT_STREAM;
	if (fault->kind == SMRT_FAULT_NONE &&
		!smrt_eventstream_is_between(&stream->frames))
	{
		fault->kind = SMRT_FAULT_STREAM;
		fault->text = smrt_span("it ended within a frame");
	}
}

/* A success, and yet no stream. */
static void
read_other_answer(SmrtStream *stream, SmrtFault *fault)
{
	StringInfoData words;
	SmrtSpan	piece;

	initStringInfo(&words);
	while (words.len < MAX_WORDS &&
		   (piece = smrt_exchange_read(smrt_call_exchange(stream->call),
									   stream->timeout_ms)).len > 0)
		appendBinaryStringInfo(&words, piece.data, piece.len);
	smrt_streamevent_no_stream(smrt_span_of(words.data, words.len), fault);
}

void
smrt_stream_fail(SmrtStream *stream, SmrtFaultKind kind, SmrtSpan text)
{
	SmrtFault	fault = {.kind = kind,.text = text};

	(void) fail(stream, &fault);
}

void
smrt_stream_note_tokens(SmrtStream *stream, const SmrtTokens *tokens)
{
	smrt_call_note_tokens(stream->call, tokens);
}

void
smrt_stream_check_tokens(SmrtStream *stream)
{
	(void) smrt_call_check_tokens(stream->call);
}

/* True: that was the end.  False: it is tried again. */
static bool
fail(SmrtStream *stream, SmrtFault *fault)
{
	const SmrtResponse *response = smrt_stream_response(stream);

	fault->status = smrt_call_exchange(stream->call)->status;
	fault->request_id = response->request_id;
	stream->ended = !smrt_call_fail(stream->call, fault, !stream->handed_out);
	stream->reading = stream->ended;
	return stream->ended;
}
