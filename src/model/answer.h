/*
 * A container's answer to a request of many rows, taken apart into one piece a
 * row.
 */
#ifndef SMRT_MODEL_ANSWER_H
#define SMRT_MODEL_ANSWER_H

#include "aws/error.h"
#include "call/reply.h"
#include "model/model.h"

typedef struct SmrtAnswer
{
	bool		json;			/* pieces are JSON values, else CSV records */
	int			n_pieces;
	SmrtSpan   *pieces;
} SmrtAnswer;

/*
 * Splits a response to n_rows rows by the content type that it has.  The pieces
 * are in the database's encoding; they point into the response or into the
 * current memory context.  False, with the
 * reason, when it is not what its type promises or has another number of
 * predictions.
 */
extern bool smrt_answer_split(const SmrtModel *model,
							  const SmrtResponse *response, int n_rows,
							  SmrtAnswer *answer, SmrtError *error);

#endif							/* SMRT_MODEL_ANSWER_H */
