/*
 * What failed, summed up for one message.
 */
#ifndef SMRT_QUEUE_TALLY_H
#define SMRT_QUEUE_TALLY_H

#include "model/rowset.h"

#define SMRT_TALLY_MESSAGES 5

typedef struct SmrtTally
{
	MemoryContext context;		/* its own memory */
	List	   *counts;			/* by SQLSTATE */
	int			n_messages;
	char	   *messages[SMRT_TALLY_MESSAGES];	/* distinct ones, the first that came */
} SmrtTally;

/* In the current memory context, where it stays. */
extern void smrt_tally_init(SmrtTally *tally);
extern void smrt_tally_add(SmrtTally *tally, const SmrtFailure *failure);

/* "12 of 38000, 3 of 22003", palloc'ed; and the messages, a line each. */
extern char *smrt_tally_counts(const SmrtTally *tally);
extern char *smrt_tally_messages(const SmrtTally *tally);

#endif							/* SMRT_QUEUE_TALLY_H */
