/*
 * The text in a language model's stream, piece by piece.
 *
 * A stream of type text/plain is the text itself.  Any other is read as messages
 * (JSON lines or server-sent events), and each message's text is looked for
 * where the known model servers have it, or where a jsonpath says.
 */
#ifndef SMRT_MODEL_DELTAS_H
#define SMRT_MODEL_DELTAS_H

#include "call/stream.h"
#include "utils/jsonb.h"
#include "utils/jsonpath.h"

typedef struct SmrtDeltas SmrtDeltas;

/* At least one of them is there. */
typedef struct SmrtDelta
{
	const char *text;			/* in the database's encoding, or NULL */
	const char *finish_reason;	/* why the model stopped, or NULL */
	const Jsonb *usage;			/* what it counted, or NULL */
} SmrtDelta;

/* A jsonpath as text, palloc'ed; NULL stays NULL.  Raises what is wrong with it. */
extern JsonPath *smrt_deltas_path(const char *text);

/*
 * In the current memory context, where the stream and the path must stay too.
 * path may be NULL.
 */
extern SmrtDeltas *smrt_deltas_create(SmrtStream *stream, JsonPath *path);

/*
 * Waits for the next delta, which is valid until the next call.  False: the
 * stream has ended, well or with a fault, which may also be an error that the
 * model sent as a message, or messages in which no text is found.  May raise
 * errors of data, such as one over a character that the database's encoding
 * lacks; it must not be called again then.  Interruptible.
 */
extern bool smrt_deltas_next(SmrtDeltas *deltas, SmrtDelta *delta);

/*
 * All text of a stream that was gathered, in the database's encoding and the
 * current memory context.  NULL: fault says why.  May raise the same.
 */
extern char *smrt_deltas_join(const SmrtResponse *response, JsonPath *path,
							  SmrtFault *fault);

#endif							/* SMRT_MODEL_DELTAS_H */
