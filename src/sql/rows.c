/*
 * Sets, all at once.  InitMaterializedSRF() is not in all servers.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "sql/rows.h"

Tuplestorestate *
smrt_rows_begin(FunctionCallInfo fcinfo, TupleDesc tupdesc)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext before;

	if (result == NULL || !IsA(result, ReturnSetInfo) ||
		!(result->allowedModes & SFRM_Materialize))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	before = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	result->returnMode = SFRM_Materialize;
	result->setResult = tuplestore_begin_heap(result->allowedModes & SFRM_Materialize_Random,
											  false, work_mem);
	result->setDesc = CreateTupleDescCopy(tupdesc);
	MemoryContextSwitchTo(before);
	return result->setResult;
}
