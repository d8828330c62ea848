/*
 * Calls of sagemaker_invoke and sagemaker_invoke_async: arguments go in, responses come out in the same
 * order, with several requests in flight between the two.
 */
#ifndef SMRT_MODEL_INVOCATION_H
#define SMRT_MODEL_INVOCATION_H

#include "access/tupdesc.h"
#include "model/engine.h"
#include "model/invokeform.h"

/* A place that calls one of these functions. */
typedef struct SmrtInvokeSite
{
	const SmrtInvokeForm *form;
	Oid			body_type;		/* bytea, text, json or jsonb */
	TupleDesc	tupdesc;		/* of its result */
	bool		warned_of_bytea;
} SmrtInvokeSite;

/* By the function's definition, in the current memory context. */
extern SmrtInvokeSite *smrt_invocation_site(Oid function);

typedef struct SmrtInvocations SmrtInvocations;

/*
 * In a memory context below the current one; deleting that drops everything.
 * Adds to counts, which must outlive it.
 */
extern SmrtInvocations *smrt_invocations_create(SmrtInvokeSite *site,
												SmrtEngineCounts *counts);
extern void smrt_invocations_delete(SmrtInvocations *invocations);

/*
 * Begins one more call, by the current role; waits when as many are in flight as
 * sagemaker_rt.concurrency permits.  The values, what they point to, and the
 * current memory context must stay until its response was handed out.  Where
 * an argument is missing that is needed, nothing is sent, and NULL is handed out.
 */
extern void smrt_invocations_send(SmrtInvocations *invocations,
								  const Datum *values, const bool *nulls);

/* The same for a row that is not to be sent. */
extern void smrt_invocations_skip(SmrtInvocations *invocations);

/* Whether as many were begun and not handed out as may be in flight. */
extern bool smrt_invocations_is_full(const SmrtInvocations *invocations);

/*
 * Waits for the oldest call that was not handed out: its response, in the current
 * memory context.  A failure is raised.
 */
extern Datum smrt_invocations_next(SmrtInvocations *invocations, bool *is_null);

#endif							/* SMRT_MODEL_INVOCATION_H */
