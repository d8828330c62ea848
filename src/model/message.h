/*
 * A chat's answer: the message of a language model, and whether it is what was
 * asked for.
 */
#ifndef SMRT_MODEL_MESSAGE_H
#define SMRT_MODEL_MESSAGE_H

#include "model/answer.h"

/*
 * Fills in the answer to one row, in the current memory context.  False: there is
 * no message, and error says so, or the answer's fault tells what is wrong with it.
 */
extern bool smrt_message_read(const SmrtModel *model, Jsonb *body,
							  SmrtAnswer *answer, SmrtError *error);

/*
 * A chat's body with what the model answered to it and what is wrong with that, so
 * that it may answer once more; the answer's fault is OUTSIDE.  In the current
 * memory context.
 */
extern SmrtSpan smrt_message_repair(const SmrtModel *model,
									const SmrtAnswer *answer, SmrtSpan body);

#endif							/* SMRT_MODEL_MESSAGE_H */
