/*
 * The composite type sagemaker_response.
 */
#ifndef SMRT_SQL_RESPONSE_H
#define SMRT_SQL_RESPONSE_H

#include "access/tupdesc.h"
#include "call/reply.h"
#include "fmgr.h"

/* The row type that the function returns, in the current memory context. */
extern TupleDesc smrt_response_tupdesc(FunctionCallInfo fcinfo);

/* A row of it, copied into the current memory context. */
extern Datum smrt_response_datum(TupleDesc tupdesc,
								 const SmrtResponse *response);

#endif							/* SMRT_SQL_RESPONSE_H */
