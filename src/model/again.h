/*
 * Whether rows are sent once more after an answer that was no use.
 */
#ifndef SMRT_MODEL_AGAIN_H
#define SMRT_MODEL_AGAIN_H

#include "model/batch.h"

typedef enum SmrtAgain
{
	SMRT_AGAIN_NOT,
	SMRT_AGAIN_PADDED,			/* with a copy of the last */
	SMRT_AGAIN_REPAIRED,		/* with the answer and what is wrong with it */
	SMRT_AGAIN_HALVED
} SmrtAgain;

/* Of a batch whose call is finished, and split if it was answered. */
extern SmrtAgain smrt_again_judge(const SmrtModel *model,
								  const SmrtBatch *batch);

/* Whether there was too much in it, so that later ones should have less. */
extern bool smrt_again_was_too_much(const SmrtBatch *batch);

#endif							/* SMRT_MODEL_AGAIN_H */
