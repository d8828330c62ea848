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
#include "model/model.h"
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
 * In the current memory context, where the stream and the paths must stay too: to
 * the text, and to numbers of tokens as a model has them.  Each may be NULL.
 */
extern SmrtDeltas *smrt_deltas_create(SmrtStream *stream, JsonPath *path,
									  const char *const *token_paths);

/*
 * Waits for the next delta, which is valid until the next call; tokens that it tells
 * are counted.  False: the stream has ended, well or with a fault, which may also be
 * an error that the model sent as a message, messages in which no text is found, or
 * that it has not told tokens on which there is a limit.  May raise
 * errors of data, such as one over a character that the database's encoding
 * lacks; it must not be called again then.  Interruptible.
 */
extern bool smrt_deltas_next(SmrtDeltas *deltas, SmrtDelta *delta);

/*
 * All text of a model's stream that was gathered, in the database's encoding and the
 * current memory context, and the tokens that it tells.  NULL: fault says why.  May
 * raise the same.
 */
extern char *smrt_deltas_join(const SmrtResponse *response,
							  const SmrtModel *model, SmrtTokens *tokens,
							  SmrtFault *fault);

#endif							/* SMRT_MODEL_DELTAS_H */
