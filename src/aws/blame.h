/*
 * Whose failure it was: what a job over many rows has to know.
 */
#ifndef SMRT_AWS_BLAME_H
#define SMRT_AWS_BLAME_H

#include "aws/fault.h"

typedef enum SmrtBlame
{
	SMRT_BLAME_ENDPOINT,		/* any row would have failed now: stop, and hold
								 * it against none */
	SMRT_BLAME_MOMENT,			/* this row failed, another time it may not */
	SMRT_BLAME_ROW				/* this row fails whenever it is sent */
} SmrtBlame;

/* Of a fault whose kind is not NONE, and which is final. */
extern SmrtBlame smrt_blame(const SmrtFault *fault);

#endif							/* SMRT_AWS_BLAME_H */
