/*
 * A set of calls under way at the same time, each tried again until it
 * succeeds, fails for good or runs out of time.
 *
 * The set lives in a memory context below the one current at its making.
 * Deleting that context, which an error does by itself, drops every transfer.
 */
#ifndef SMRT_CALL_CALLSET_H
#define SMRT_CALL_CALLSET_H

#include "call/callcount.h"
#include "call/operation.h"
#include "call/reply.h"
#include "pg/report.h"

typedef struct SmrtCallSet SmrtCallSet;

/* One call; read it when smrt_callset_wait() has handed it out. */
typedef struct SmrtCall
{
	dlist_node	node;			/* the set's */
	SmrtReply	reply;			/* response or fault */
	SmrtReport	report;			/* the circumstances, for an error */
} SmrtCall;

/* Retains the target; limits are copied. */
extern SmrtCallSet *smrt_callset_create(SmrtTarget *target,
										const SmrtLimits *limits);
extern void smrt_callset_delete(SmrtCallSet *set);

/*
 * Begins a call.  The request's spans must stay until the call is released; it
 * must have passed smrt_request_check().
 */
extern SmrtCall *smrt_callset_submit(SmrtCallSet *set,
									 const SmrtRequest *request);

/* Sends what is waiting to be sent, without waiting for anything. */
extern void smrt_callset_start(SmrtCallSet *set);

/*
 * Waits until any call of the set is finished and hands it out; NULL when there
 * is none left.  A call with a window is finished when its answer begins.
 * Interruptible.
 */
extern SmrtCall *smrt_callset_wait(SmrtCallSet *set);

/* Where a call with a window that succeeded goes on to be read. */
extern SmrtExchange *smrt_call_exchange(SmrtCall *call);

/*
 * A success that was handed out turned out to be none.  True: the call will be
 * tried again, wait for it; its answer is gone.  Otherwise, and if nothing more
 * may be tried, its reply is the fault, of which all words are copied.
 */
extern bool smrt_call_fail(SmrtCall *call, const SmrtFault *fault,
						   bool may_try_again);

/*
 * What a success that was handed out tells of its tokens, as far as it is read.  The
 * one place where they are counted.
 */
extern void smrt_call_note_tokens(SmrtCall *call, const SmrtTokens *tokens);

/*
 * That was all of it.  False: there is a limit on tokens that it has not told, and the
 * call has failed.
 */
extern bool smrt_call_check_tokens(SmrtCall *call);

/* Gives a finished call's memory and answer back. */
extern void smrt_call_release(SmrtCall *call);

#endif							/* SMRT_CALL_CALLSET_H */
