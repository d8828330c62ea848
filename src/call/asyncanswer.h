/*
 * The answer to InvokeEndpointAsync: there is no operation that tells of it, so
 * it is looked for in S3, where one of two objects appears.
 */
#ifndef SMRT_CALL_ASYNCANSWER_H
#define SMRT_CALL_ASYNCANSWER_H

#include "call/callset.h"

typedef enum SmrtAsyncState
{
	SMRT_ASYNC_PENDING,			/* neither is there */
	SMRT_ASYNC_DONE,			/* the model's answer is */
	SMRT_ASYNC_FAILED,			/* the failure's text is */
	SMRT_ASYNC_STATE_COUNT
} SmrtAsyncState;

typedef struct SmrtAsyncQuestion
{
	SmrtSpan	output_location;
	SmrtSpan	failure_location;	/* absent: not looked at */
	int64		wait_ms;		/* how long to look again; 0: look once */
} SmrtAsyncQuestion;

/* In the current memory context; no response while pending. */
typedef struct SmrtAsyncAnswer
{
	SmrtAsyncState state;
	SmrtResponse response;
} SmrtAsyncAnswer;

/*
 * Looks, with pauses that grow, until one of the objects is there or the time
 * is over: that is no error, but PENDING.  Interruptible.  Errors: 22023 for a
 * location that is none; what else S3 says as smrt_report_fault(); 28000 may
 * mean that an object is not there and the key may not list the bucket.
 */
extern void smrt_asyncanswer_find(SmrtTarget *target, const SmrtLimits *limits,
								  const SmrtAsyncQuestion *question,
								  SmrtAsyncAnswer *answer);

#endif							/* SMRT_CALL_ASYNCANSWER_H */
