/*
 * What an answer says of the tokens that it took.
 */
#ifndef SMRT_MODEL_TOKENS_H
#define SMRT_MODEL_TOKENS_H

#include "model/answer.h"

/*
 * Fills in the answer's tokens, by the model's paths or where servers of language
 * models are known to have them.  What is no number of tokens is not there.
 */
extern void smrt_tokens_read(const SmrtModel *model, Jsonb *body,
							 SmrtAnswer *answer);

#endif							/* SMRT_MODEL_TOKENS_H */
