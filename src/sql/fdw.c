/*
 * The validator of the foreign-data wrapper sagemaker, which has no handler:
 * servers and user mappings are what it is for, there are no tables.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "fmgr.h"
#include "pg/option.h"

PG_FUNCTION_INFO_V1(sagemaker_fdw_validator);

Datum
sagemaker_fdw_validator(PG_FUNCTION_ARGS)
{
	smrt_option_validate(untransformRelOptions(PG_GETARG_DATUM(0)),
						 PG_GETARG_OID(1));
	PG_RETURN_VOID();
}
