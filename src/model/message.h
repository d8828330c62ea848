/*
 * A chat's answer: the message of a language model, and whether it is what was
 * asked for.
 */
#ifndef SMRT_MODEL_MESSAGE_H
#define SMRT_MODEL_MESSAGE_H

#include "aws/buffer.h"
#include "model/answer.h"

/*
 * Fills in the answer to one row, in the current memory context.  False: there is
 * no message, and error says so, or the answer's fault tells what is wrong with it.
 */
extern bool smrt_message_read(const SmrtModel *model, Jsonb *body,
							  SmrtAnswer *answer, SmrtError *error);

/*
 * Appends to a chat's body what the model answered and what is wrong with it, so
 * that it may answer once more.  Its fault is OUTSIDE.
 */
extern void smrt_message_append_repair(const SmrtModel *model,
									   const SmrtAnswer *answer, SmrtBuf *body);

#endif							/* SMRT_MODEL_MESSAGE_H */
