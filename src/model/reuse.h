/*
 * Which rows of a deterministic model are sent or answered already, so that equal
 * ones need not be sent again.
 */
#ifndef SMRT_MODEL_REUSE_H
#define SMRT_MODEL_REUSE_H

#include "model/batch.h"

typedef struct SmrtReuse SmrtReuse;

/* In the current memory context. */
extern SmrtReuse *smrt_reuse_create(void);

/* What rows are found by. */
extern uint32 smrt_reuse_hash(SmrtSpan shared, SmrtSpan row);

/*
 * The batch that has an equal row with the same shared part, and that row's
 * number in it; NULL: there is none.
 */
extern SmrtBatch *smrt_reuse_find(const SmrtReuse *reuse, uint32 hash,
								  SmrtSpan shared, SmrtSpan row, int *i);

/* Row i of the batch is to be found, or none of its rows any more. */
extern void smrt_reuse_enter(SmrtReuse *reuse, SmrtBatch *batch, int i);
extern void smrt_reuse_forget(SmrtReuse *reuse, SmrtBatch *batch);

/* Nobody waits for a row of the batch, which is done and in no list: it is kept. */
extern void smrt_reuse_keep(SmrtReuse *reuse, SmrtBatch *batch);

/*
 * The oldest of those kept, if they are more bytes than that; it is not kept any
 * more.  NULL: they are not.
 */
extern SmrtBatch *smrt_reuse_surplus(SmrtReuse *reuse, size_t permitted);

/* Somebody waits for it again. */
extern void smrt_reuse_take(SmrtReuse *reuse, SmrtBatch *batch);

#endif							/* SMRT_MODEL_REUSE_H */
