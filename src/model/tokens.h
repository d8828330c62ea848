/*
 * What an answer tells of the tokens that it took.
 */
#ifndef SMRT_MODEL_TOKENS_H
#define SMRT_MODEL_TOKENS_H

#include "model/model.h"
#include "utils/jsonb.h"

/* Whether its answers may: others are not searched for what they do not have. */
extern bool smrt_tokens_are_told(const SmrtModel *model);

/*
 * Fills in what body tells, by a model's own paths (NULL: there is no model) or where
 * servers of language models are known to have it; the rest stays as it was.  What is
 * no number of tokens is not there.
 */
extern void smrt_tokens_read(const char *const *own_paths, Jsonb *body,
							 SmrtTokens *tokens);

/* What own paths tell where there is no JSON: those that are a number. */
extern void smrt_tokens_of_none(const char *const *own_paths, SmrtTokens *tokens);

#endif							/* SMRT_MODEL_TOKENS_H */
