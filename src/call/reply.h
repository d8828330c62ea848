/*
 * An HTTP answer read as what the API promises: a response, or a fault.
 */
#ifndef SMRT_CALL_REPLY_H
#define SMRT_CALL_REPLY_H

#include "aws/fault.h"
#include "call/operation.h"
#include "net/exchange.h"

/* The members of an operation's answer; absent ones were not there. */
typedef struct SmrtResponse
{
	SmrtSpan	body;			/* never absent; of a stream: its parts, joined */
	SmrtSpan	content_type;	/* what the model says */
	SmrtSpan	framing;		/* a stream's own content type; absent: no stream */
	SmrtSpan	invoked_production_variant;
	SmrtSpan	custom_attributes;
	SmrtSpan	new_session_id; /* without its expiry */
	SmrtSpan	closed_session_id;
	SmrtSpan	output_location;	/* InvokeEndpointAsync's, as the next */
	SmrtSpan	failure_location;
	SmrtSpan	request_id;
} SmrtResponse;

typedef struct SmrtReply
{
	SmrtResponse response;		/* valid when fault.kind is NONE */
	SmrtFault	fault;
	int64_t		retry_hint_ms;	/* the server's wish; -1: none */
	bool		has_date;
	int64_t		skew_s;			/* its clock minus ours, if it has a date */
} SmrtReply;

/*
 * Reads a finished exchange.  Spans point into the exchange, or into the
 * current memory context for what was written in JSON.
 */
extern void smrt_reply_read(const SmrtExchange *exchange,
							SmrtOperation operation, SmrtReply *reply);

/* With spans of its own, in the current memory context. */
extern SmrtResponse smrt_response_copy(SmrtResponse response);
extern SmrtFault smrt_fault_copy(SmrtFault fault);

/*
 * Reads an error's body: text and the other words of fault, and code if that is
 * absent.  A body that is no JSON object becomes the text.  Spans as above.
 */
extern void smrt_reply_read_words(SmrtSpan body, SmrtFault *fault);

#endif							/* SMRT_CALL_REPLY_H */
