/*
 * What the functions that stream share: their arguments, read once, and the
 * stream that lives from the first row to the last.
 */
#ifndef SMRT_SQL_STREAMCALL_H
#define SMRT_SQL_STREAMCALL_H

#include "call/stream.h"
#include "fmgr.h"

/* Positions of the arguments that they begin with. */
typedef enum SmrtStreamArgument
{
	SMRT_STREAM_ENDPOINT,
	SMRT_STREAM_BODY,
	SMRT_STREAM_FIRST_MEMBER,
	SMRT_STREAM_OWN_ARGUMENTS = SMRT_STREAM_FIRST_MEMBER + 9
} SmrtStreamArgument;

/*
 * Opens a stream in the current memory context, with n_own arguments between the
 * members and the last two, server and options; tells_tokens as in SmrtRequest.
 * NULL: endpoint or body is.  Raises what is wrong with an argument.
 */
extern SmrtStream *smrt_streamcall_open(FunctionCallInfo fcinfo, int n_own,
										bool tells_tokens);

/* The row type that the function returns, kept in the current memory context. */
extern TupleDesc smrt_streamcall_tupdesc(FunctionCallInfo fcinfo,
										 int n_columns);

#endif							/* SMRT_SQL_STREAMCALL_H */
