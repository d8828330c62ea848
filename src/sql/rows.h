/*
 * The rows of a function that returns a set of them.
 */
#ifndef SMRT_SQL_ROWS_H
#define SMRT_SQL_ROWS_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "utils/tuplestore.h"

/*
 * Where to put them, for the caller of the function; tupdesc is copied.  Raises
 * 0A000 where no set can be taken.  The function then returns (Datum) 0.
 */
extern Tuplestorestate *smrt_rows_begin(FunctionCallInfo fcinfo,
										TupleDesc tupdesc);

#endif							/* SMRT_SQL_ROWS_H */
