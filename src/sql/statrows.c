/*
 * sagemaker_stat_endpoints(), sagemaker_stat_governor(),
 * sagemaker_stat_connections(), sagemaker_stat_reset().
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "net/connection.h"
#include "net/pump.h"
#include "pg/compat.h"
#include "pg/governor.h"
#include "pg/statistics.h"
#include "sql/rows.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(sagemaker_stat_endpoints);
PG_FUNCTION_INFO_V1(sagemaker_stat_governor);
PG_FUNCTION_INFO_V1(sagemaker_stat_connections);
PG_FUNCTION_INFO_V1(sagemaker_stat_reset);

/* Columns of sagemaker_stat_endpoints(); counters up to the time stand in SmrtStat's
 * order. */
enum
{
	COLUMN_DATABASE,
	COLUMN_ROLE,
	COLUMN_SERVER,
	COLUMN_ENDPOINT,
	COLUMN_MODEL,
	COLUMN_FIRST_COUNTER,
	COLUMN_TIME = COLUMN_FIRST_COUNTER + SMRT_STAT_TIME_US,
	COLUMN_P50,
	COLUMN_P95,
	COLUMN_P99,
	COLUMN_HISTOGRAM,
	COLUMN_LAST_SQLSTATE,
	COLUMN_LAST_ERROR,
	COLUMN_LAST_ERROR_AT,
	COLUMN_SINCE,
	COLUMN_COUNT
};

/* Of sagemaker_stat_governor(). */
enum
{
	GOVERNOR_HOST,
	GOVERNOR_ENDPOINT,
	GOVERNOR_IN_FLIGHT,
	GOVERNOR_FAILURES,
	GOVERNOR_BREAKER_OPEN,
	GOVERNOR_RATE,
	GOVERNOR_RETRY_TOKENS,
	GOVERNOR_COUNT
};

/* Of sagemaker_stat_connections(). */
enum
{
	CONNECTION_ADDRESS,
	CONNECTION_PORT,
	CONNECTION_OPENED_AT,
	CONNECTION_USED_AT,
	CONNECTION_REQUESTS,
	CONNECTION_COUNT
};

static void put_stat(const SmrtStat *stat, Datum *values, bool *nulls);
static void put_text(const char *text, Datum *value, bool *is_null);
static void put_quantile(const SmrtHistogram *times, double q, Datum *value,
						 bool *is_null);
static Datum histogram_array(const SmrtHistogram *times);
static Datum wall_clock(time_t time);

Datum
sagemaker_stat_endpoints(PG_FUNCTION_ARGS)
{
	bool		sees_all = smrt_may_read_all_stats(GetUserId());
	TupleDesc	tupdesc;
	Tuplestorestate *store;
	SmrtStat   *stats;
	int			n;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE ||
		tupdesc->natts != COLUMN_COUNT)
		elog(ERROR, "function does not return the row it should");
	store = smrt_rows_begin(fcinfo, tupdesc);
	stats = smrt_statistics_read(&n);
	for (int i = 0; i < n; i++)
	{
		Datum		values[COLUMN_COUNT];
		bool		nulls[COLUMN_COUNT] = {0};

		if (!sees_all && stats[i].key.role != GetUserId())
			continue;
		put_stat(&stats[i], values, nulls);
		tuplestore_putvalues(store, tupdesc, values, nulls);
	}
	return (Datum) 0;
}

static void
put_stat(const SmrtStat *stat, Datum *values, bool *nulls)
{
	values[COLUMN_DATABASE] = ObjectIdGetDatum(stat->key.database);
	values[COLUMN_ROLE] = ObjectIdGetDatum(stat->key.role);
	put_text(stat->key.server, &values[COLUMN_SERVER], &nulls[COLUMN_SERVER]);
	values[COLUMN_ENDPOINT] = CStringGetTextDatum(stat->key.endpoint);
	put_text(stat->key.model, &values[COLUMN_MODEL], &nulls[COLUMN_MODEL]);
	for (int i = 0; i < SMRT_STAT_TIME_US; i++)
		values[COLUMN_FIRST_COUNTER + i] = Int64GetDatum(stat->counts[i]);
	/* No answer told them: that is not none. */
	nulls[COLUMN_FIRST_COUNTER + SMRT_STAT_INPUT_TOKENS] =
		stat->counts[SMRT_STAT_INPUT_TOLD] == 0;
	nulls[COLUMN_FIRST_COUNTER + SMRT_STAT_OUTPUT_TOKENS] =
		stat->counts[SMRT_STAT_OUTPUT_TOLD] == 0;
	values[COLUMN_TIME] = Float8GetDatum(stat->counts[SMRT_STAT_TIME_US] / 1000.0);
	put_quantile(&stat->times, 0.50, &values[COLUMN_P50], &nulls[COLUMN_P50]);
	put_quantile(&stat->times, 0.95, &values[COLUMN_P95], &nulls[COLUMN_P95]);
	put_quantile(&stat->times, 0.99, &values[COLUMN_P99], &nulls[COLUMN_P99]);
	values[COLUMN_HISTOGRAM] = histogram_array(&stat->times);
	nulls[COLUMN_LAST_SQLSTATE] = stat->last_error_at == 0;
	if (stat->last_error_at != 0)
		values[COLUMN_LAST_SQLSTATE] =
			CStringGetTextDatum(unpack_sql_state(stat->last_sqlstate));
	put_text(stat->last_error, &values[COLUMN_LAST_ERROR], &nulls[COLUMN_LAST_ERROR]);
	nulls[COLUMN_LAST_ERROR_AT] = stat->last_error_at == 0;
	values[COLUMN_LAST_ERROR_AT] = TimestampTzGetDatum(stat->last_error_at);
	values[COLUMN_SINCE] = TimestampTzGetDatum(stat->since);
}

static void
put_text(const char *text, Datum *value, bool *is_null)
{
	*is_null = text[0] == '\0';
	*value = *is_null ? (Datum) 0 : CStringGetTextDatum(text);
}

static void
put_quantile(const SmrtHistogram *times, double q, Datum *value, bool *is_null)
{
	double		us = smrt_histogram_quantile_us(times, q);

	*is_null = us < 0;
	*value = Float8GetDatum(us / 1000.0);
}

/* Without the empty buckets at the end. */
static Datum
histogram_array(const SmrtHistogram *times)
{
	Datum		counts[SMRT_HISTOGRAM_BUCKETS];
	int			n = 0;

	for (int i = 0; i < SMRT_HISTOGRAM_BUCKETS; i++)
	{
		counts[i] = Int64GetDatum(times->counts[i]);
		if (times->counts[i] > 0)
			n = i + 1;
	}
	return PointerGetDatum(construct_array(counts, n, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* A row for each endpoint, and one for each host. */
Datum
sagemaker_stat_governor(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	Tuplestorestate *store;
	SmrtGovernorState *states;
	int			n;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE ||
		tupdesc->natts != GOVERNOR_COUNT)
		elog(ERROR, "function does not return the row it should");
	store = smrt_rows_begin(fcinfo, tupdesc);
	states = smrt_governor_read(smrt_pump_now_ms(), &n);
	for (int i = 0; i < n; i++)
	{
		SmrtGovernorState *state = &states[i];
		bool		is_host = state->key.endpoint[0] == '\0';
		Datum		values[GOVERNOR_COUNT];
		bool		nulls[GOVERNOR_COUNT] = {0};

		values[GOVERNOR_HOST] = CStringGetTextDatum(state->key.host);
		put_text(state->key.endpoint, &values[GOVERNOR_ENDPOINT],
				 &nulls[GOVERNOR_ENDPOINT]);
		nulls[GOVERNOR_IN_FLIGHT] = is_host;
		values[GOVERNOR_IN_FLIGHT] = Int32GetDatum(state->in_flight);
		nulls[GOVERNOR_FAILURES] = is_host;
		values[GOVERNOR_FAILURES] = Int32GetDatum(state->breaker.failures);
		nulls[GOVERNOR_BREAKER_OPEN] = is_host;
		values[GOVERNOR_BREAKER_OPEN] = BoolGetDatum(state->breaker.open);
		nulls[GOVERNOR_RATE] = !state->rate.limited;
		values[GOVERNOR_RATE] = Float8GetDatum(state->rate.per_s);
		nulls[GOVERNOR_RETRY_TOKENS] = !is_host;
		values[GOVERNOR_RETRY_TOKENS] = Int32GetDatum(state->bucket.tokens);
		tuplestore_putvalues(store, tupdesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
sagemaker_stat_reset(PG_FUNCTION_ARGS)
{
	smrt_statistics_reset();
	PG_RETURN_VOID();
}

Datum
sagemaker_stat_connections(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	Tuplestorestate *store;
	const SmrtConnection *connection = NULL;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE ||
		tupdesc->natts != CONNECTION_COUNT)
		elog(ERROR, "function does not return the row it should");
	store = smrt_rows_begin(fcinfo, tupdesc);
	while ((connection = smrt_connection_next(connection)) != NULL)
	{
		Datum		values[CONNECTION_COUNT];
		bool		nulls[CONNECTION_COUNT] = {0};

		values[CONNECTION_ADDRESS] = CStringGetTextDatum(connection->address);
		values[CONNECTION_PORT] = Int32GetDatum(connection->port);
		values[CONNECTION_OPENED_AT] = wall_clock(connection->opened_at);
		nulls[CONNECTION_USED_AT] = connection->used_at == 0;
		values[CONNECTION_USED_AT] = wall_clock(connection->used_at);
		values[CONNECTION_REQUESTS] = Int64GetDatum(connection->requests);
		tuplestore_putvalues(store, tupdesc, values, nulls);
	}
	return (Datum) 0;
}

static Datum
wall_clock(time_t time)
{
	return TimestampTzGetDatum(time_t_to_timestamptz((pg_time_t) time));
}
