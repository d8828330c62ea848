/*
 * What would happen if a call were made, step by step, for a person who wonders
 * why it does not work.
 */
#ifndef SMRT_CALL_CHECK_H
#define SMRT_CALL_CHECK_H

#include "aws/span.h"

/* All palloc'ed or static; found and hint may be NULL.  No secret is in any. */
typedef struct SmrtCheckStep
{
	const char *step;
	const char *outcome;		/* ok, failed, skipped */
	const char *found;
	const char *hint;
} SmrtCheckStep;

typedef void (*SmrtCheckTell) (void *context, const SmrtCheckStep *step);

/*
 * Tells each step in order; one that failed makes those that need it skipped.
 * server as smrt_target_get().  With send, a request goes to the endpoint that
 * its service answers without running a model.
 */
extern void smrt_check(SmrtSpan endpoint, const char *server, bool send,
					   SmrtCheckTell tell, void *context);

#endif							/* SMRT_CALL_CHECK_H */
