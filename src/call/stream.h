/*
 * InvokeEndpointWithResponseStream: one call whose answer is handed out part by
 * part as the model makes it.
 *
 * A stream lives in a memory context below the one current at its making.
 * Deleting that context, which an error does by itself, drops the transfer.  A
 * reader that takes its time holds the transfer back; no more than a fixed
 * amount is kept for it.
 */
#ifndef SMRT_CALL_STREAM_H
#define SMRT_CALL_STREAM_H

#include "call/callcount.h"
#include "call/operation.h"
#include "call/reply.h"
#include "pg/report.h"

typedef struct SmrtStream SmrtStream;

/*
 * Retains the target; copies limits and request but not what the request's spans
 * point to.  The request must have passed smrt_request_check(); its operation
 * is the caller's to set.
 */
extern SmrtStream *smrt_stream_open(SmrtTarget *target,
									const SmrtLimits *limits,
									const SmrtRequest *request);
extern void smrt_stream_close(SmrtStream *stream);

/*
 * Waits for the next part, which is valid until the next call here.  Absent: the
 * stream has ended, well or, if smrt_stream_fault() gives a fault, not.  Until
 * the first part is there the call is tried again as any other; the timeout of
 * the limits bounds each wait.  Interruptible.
 */
extern SmrtSpan smrt_stream_next(SmrtStream *stream);

/* Ends it: its reader found fault with what came.  Copies the text. */
extern void smrt_stream_fail(SmrtStream *stream, SmrtFaultKind kind,
							 SmrtSpan text);

/* As of a call: smrt_call_note_tokens(), smrt_call_check_tokens(). */
extern void smrt_stream_note_tokens(SmrtStream *stream, const SmrtTokens *tokens);
extern void smrt_stream_check_tokens(SmrtStream *stream);

/* Why the stream ended early, or NULL; as long as the stream is there. */
extern const SmrtFault *smrt_stream_fault(const SmrtStream *stream);
extern const SmrtReport *smrt_stream_report(const SmrtStream *stream);

/* The members of the answer but its body, once there was a part. */
extern const SmrtResponse *smrt_stream_response(const SmrtStream *stream);

#endif							/* SMRT_CALL_STREAM_H */
