/*
 * Events, exceptions and errors in a stream.
 */
#include "postgres.h"

#include "call/streamevent.h"
#include "pg/alloc.h"
#include "pg/json.h"
#include "utils/memutils.h"

static const SmrtSpan event_stream =
SMRT_LITERAL("application/vnd.amazon.eventstream");

static void read_exception(const SmrtFrame *frame, SmrtFault *fault);
static bool join(SmrtSpan body, SmrtBuf *joined, SmrtFault *fault);

bool
smrt_streamevent_is_stream(const SmrtResponse *response)
{
	return smrt_span_equal_nocase(smrt_span_up_to(response->framing, ';'),
								  event_stream);
}

/* Events that AWS may add are passed over. */
bool
smrt_streamevent_read(const SmrtFrame *frame, SmrtSpan *part,
					  SmrtFault *fault)
{
	SmrtSpan	type = smrt_frame_string(frame, ":message-type");

	if (smrt_span_equal(type, smrt_span("event")))
	{
		if (smrt_span_equal(smrt_frame_string(frame, ":event-type"),
							smrt_span("PayloadPart")))
			*part = frame->payload;
		return true;
	}
	if (smrt_span_equal(type, smrt_span("exception")))
		read_exception(frame, fault);
	else if (smrt_span_equal(type, smrt_span("error")))
	{
		fault->code = smrt_frame_string(frame, ":error-code");
		fault->text = smrt_frame_string(frame, ":error-message");
	}
	else
		fault->text = smrt_span("a frame has no type that is known");
	fault->kind = smrt_fault_kind(0, fault->code);
	if (fault->kind == SMRT_FAULT_REPLY)
		fault->kind = SMRT_FAULT_STREAM;
	return false;
}

/* ModelStreamError has a code of its own, which tells a timeout from a crash. */
static void
read_exception(const SmrtFrame *frame, SmrtFault *fault)
{
	SmrtJsonMember reason = {"ErrorCode"};

	fault->code = smrt_frame_string(frame, ":exception-type");
	smrt_reply_read_words(frame->payload, fault);
	if (!smrt_json_members(frame->payload, &reason, 1) || reason.value == NULL)
		return;
	fault->text = smrt_span(psprintf("%s: %.*s", reason.value,
									 (int) fault->text.len,
									 fault->text.len ? fault->text.data : ""));
}

/* A proxy's page, or a container's own error. */
void
smrt_streamevent_no_stream(SmrtSpan body, SmrtFault *fault)
{
	fault->kind = SMRT_FAULT_IN_ANSWER;
	smrt_reply_read_words(body, fault);
	fault->code = smrt_fault_code(fault->code);
	if (smrt_span_absent(fault->text))
		fault->text = body;
}

void
smrt_streamevent_join(SmrtReply *reply)
{
	SmrtResponse *response = &reply->response;
	SmrtFault	fault = {0};
	SmrtBuf		joined;

	/* Freed with the context; no longer than the body, which had its limit. */
	smrt_buf_init(&joined, &smrt_alloc_palloc, MaxAllocSize - 1);
	smrt_buf_append(&joined, NULL, 0);
	if (!smrt_streamevent_is_stream(response))
		smrt_streamevent_no_stream(response->body, &fault);
	else if (join(response->body, &joined, &fault))
	{
		response->body = smrt_buf_span(&joined);
		return;
	}
	fault.status = 200;
	fault.request_id = response->request_id;
	reply->fault = fault;
}

static bool
join(SmrtSpan body, SmrtBuf *joined, SmrtFault *fault)
{
	SmrtEventStream frames;
	SmrtFrame	frame;

	smrt_eventstream_init(&frames, &smrt_alloc_palloc);
	while (smrt_eventstream_read(&frames, &body, &frame) == SMRT_FRAME_WHOLE)
	{
		SmrtSpan	part = {0};

		if (!smrt_streamevent_read(&frame, &part, fault))
			return false;
		smrt_buf_append_span(joined, part);
	}
	if (smrt_eventstream_is_between(&frames))
		return true;
	fault->kind = SMRT_FAULT_STREAM;
	fault->text = smrt_span(frames.state == SMRT_FRAME_BAD ?
							pstrdup(frames.error.text) : "it ended within a frame");
	return false;
}
