/*
 * What language models are sent: a row as a prompt, alone or in a chat's messages.
 */
#ifndef SMRT_MODEL_PROMPT_H
#define SMRT_MODEL_PROMPT_H

#include "aws/buffer.h"
#include "model/model.h"

/*
 * Fills in what follows from a model's options for its prompts, once all are read.
 * Raises 22023 for what does not fit the format.
 */
extern void smrt_prompt_prepare(SmrtModel *model);

/* Appends the row of a model that has a prompt, in UTF-8. */
extern void smrt_prompt_write(const SmrtModel *model, const Datum *values,
							  const bool *nulls, SmrtBuf *body);

#endif							/* SMRT_MODEL_PROMPT_H */
