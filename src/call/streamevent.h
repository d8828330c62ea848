/*
 * What the frames of InvokeEndpointWithResponseStream mean.
 */
#ifndef SMRT_CALL_STREAMEVENT_H
#define SMRT_CALL_STREAMEVENT_H

#include "aws/eventstream.h"
#include "call/reply.h"

/* Whether a response is a stream at all. */
extern bool smrt_streamevent_is_stream(const SmrtResponse *response);

/*
 * True: part is what the frame holds, or stays as it is if that means nothing to
 * us.  False: it ends the stream with a fault, whose words point into the frame
 * or the current memory context.
 */
extern bool smrt_streamevent_read(const SmrtFrame *frame, SmrtSpan *part,
								  SmrtFault *fault);

/* The fault of an answer that is no stream although it is a success. */
extern void smrt_streamevent_no_stream(SmrtSpan body, SmrtFault *fault);

/*
 * Puts the parts of a whole stream, joined, in the place of the response's body,
 * or a fault in that of the response.  In the current memory context.
 */
extern void smrt_streamevent_join(SmrtReply *reply);

#endif							/* SMRT_CALL_STREAMEVENT_H */
