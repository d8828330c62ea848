/*
 * A container's answer to a request of many rows, taken apart into one piece a
 * row.
 */
#ifndef SMRT_MODEL_ANSWER_H
#define SMRT_MODEL_ANSWER_H

#include "aws/error.h"
#include "call/callcount.h"
#include "call/reply.h"
#include "model/model.h"
#include "utils/jsonb.h"

/* Either texts or a list. */
typedef struct SmrtAnswer
{
	bool		json;			/* texts are JSON, else records of CSV */
	SmrtSpan   *texts;			/* a row each */
	JsonbContainer *list;		/* an array that has an element for each row */
	JsonbValue	whole;			/* or it is the only row's prediction */
	int		   *order;			/* where in the list a row's is; NULL: as rows are */
	SmrtTokens	tokens;			/* that it tells, be it fit or not */
	SmrtFault	fault;			/* if it does not fit, perhaps more than a reason */
	char	   *message;		/* of a chat, or NULL */
	const char *problem;		/* with it, if the fault is OUTSIDE */
} SmrtAnswer;

/* A row's part of it, in the database's encoding. */
typedef struct SmrtPiece
{
	bool		json;			/* else a record of CSV */
	SmrtSpan	text;			/* absent: value has it */
	JsonbValue *value;			/* JSON that is parsed */
} SmrtPiece;

/*
 * Splits a response to n_rows rows by the content type that it has.  What comes
 * of it points into the response or into the current memory context.  False, with
 * the reason, when it is not what its type promises or has another number of
 * predictions.
 */
extern bool smrt_answer_split(const SmrtModel *model,
							  const SmrtResponse *response, int n_rows,
							  SmrtAnswer *answer, SmrtError *error);

/* What there is for a row; as long as the answer, and the current context. */
extern SmrtPiece smrt_answer_piece(const SmrtAnswer *answer, int row);

/* A piece as text, perhaps in the current memory context. */
extern SmrtSpan smrt_piece_text(const SmrtPiece *piece);

#endif							/* SMRT_MODEL_ANSWER_H */
