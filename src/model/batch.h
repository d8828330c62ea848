/*
 * A request of the engine's: its rows, and what came of them.  For the engine and
 * for what keeps answers only.
 */
#ifndef SMRT_MODEL_BATCH_H
#define SMRT_MODEL_BATCH_H

#include "call/callset.h"
#include "model/answer.h"
#include "model/engine.h"
#include "model/pack.h"

typedef struct SmrtBatch
{
	dlist_node	node;			/* the engine's, or of those that are kept */
	MemoryContext context;		/* all of this is in it */
	SmrtPack	pack;
	SmrtSpan	body;			/* once it is closed: what is sent */
	SmrtCall   *call;			/* in flight or failed; else NULL */
	bool		done;
	bool		is_second;		/* sent once more after a stumble */
	bool		is_unread;		/* closed, and none has all of it yet */
	bool		is_kept;		/* for rows that may come, see reuse.h */
	size_t		kept_bytes;		/* then */
	SmrtResponse response;		/* once there is one */
	bool		fits;			/* it is split */
	SmrtAnswer	answer;
	SmrtError	error;			/* why it does not fit */
	int			n_waiting;		/* rows that were not handed out */
} SmrtBatch;

/* What became of row i of it, once it is done; NULL: of a row that was not sent. */
extern void smrt_batch_outcome(SmrtBatch *batch, int i, SmrtOutcome *outcome);

/* Gives back its call, if it has one: that is for the next one then. */
extern void smrt_batch_release_call(SmrtBatch *batch);

#endif							/* SMRT_MODEL_BATCH_H */
