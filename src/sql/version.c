/*
 * sagemaker_rt_version(): what a bug report should say.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "net/library.h"
#include "pg/compat.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(sagemaker_rt_version);

Datum
sagemaker_rt_version(PG_FUNCTION_ARGS)
{
	const char *const texts[] = {
		SMRT_VERSION,
		GetConfigOption("server_version", false, false),
		smrt_libcurl_built(),
		smrt_libcurl_running(),
		smrt_tls_library(),
	};
	Datum		values[lengthof(texts)];
	bool		nulls[lengthof(texts)];
	TupleDesc	tupdesc;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE ||
		tupdesc->natts != lengthof(texts))
		elog(ERROR, "function does not return the row it should");
	for (int i = 0; i < lengthof(texts); i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc),
													  values, nulls)));
}
