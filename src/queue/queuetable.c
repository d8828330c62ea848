/*
 * Statements over sagemaker_queue.
 *
 * The worker's run with search_path pinned.  What users' transactions run does
 * without, for speed, and so names every operator and function with its schema.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pg/settings.h"
#include "queue/owntable.h"
#include "queue/queuetable.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/timestamp.h"

/* Rows that are deleted at a time. */
#define CLEAN_ROWS 10000

/* Longest pause between two attempts at a row. */
#define MAX_RETRY_DELAY_S 600

/* Bytes of a message that are kept: what raises it may be anybody's trigger. */
#define MAX_MESSAGE 2000

/* An argument of a statement. */
typedef struct Argument
{
	Oid			type;
	Datum		value;
	bool		is_null;
} Argument;

static const char *const other_scans[] = {"enable_seqscan", "enable_bitmapscan",
"enable_hashjoin", "enable_mergejoin"};

#define ARGUMENT(oid, datum) ((Argument) {(oid), (datum), false})

static void run(const char *sql, int n, const Argument *arguments);
static void prepare(const char *table);
static void require_room(void);
static int64 count_waiting(int64 most);
static int64 put_row(const SmrtQueueEntry *entry, Oid user);
static int64 find_waiting(const Argument *arguments);
static int64 execute(SPIPlanPtr plan, const Argument *arguments);
static Datum text_array(List *strings);
static Argument stamps_argument(const char *const *stamps);
static SmrtQueueBatch *read_batch(MemoryContext context);
static void read_row(struct SmrtQueueRow *row, HeapTuple tuple,
					 TupleDesc desc);
static List *strings_at(HeapTuple tuple, TupleDesc desc, const char *column);
static char *text_at(HeapTuple tuple, TupleDesc desc, const char *column);
static Datum value_at(HeapTuple tuple, TupleDesc desc, const char *column,
					  bool *is_null);
static char *as_json(const SmrtQueueBatch *batch, int from, int to,
					 const SmrtVerdict *verdicts);
static void append_member(StringInfo json, const char *name, const char *text);

char *
smrt_queuetable_find(void)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *name = NULL;

	SPI_connect();
	run("SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)"
		" FROM pg_catalog.pg_extension e"
		" JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::regclass"
		"  AND d.refobjid = e.oid AND d.classid = 'pg_catalog.pg_class'::regclass"
		" JOIN pg_catalog.pg_class c ON c.oid = d.objid"
		" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		" WHERE e.extname = 'sagemaker_rt' AND c.relname = 'sagemaker_queue'",
		0, NULL);
	if (SPI_processed > 0)
		name = MemoryContextStrdup(context,
								   SPI_getvalue(SPI_tuptable->vals[0],
												SPI_tuptable->tupdesc, 1));
	SPI_finish();
	return name;
}

/*
 * Within SPI.  Planned for the indexes: statistics that were gathered while the
 * queue was empty have the planner take all that waits to be a few rows.
 */
static void
run(const char *sql, int n, const Argument *arguments)
{
	Oid		   *types = palloc(Max(n, 1) * sizeof(Oid));
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));
	char	   *nulls = palloc(Max(n, 1));
	int			level = NewGUCNestLevel();
	int			result;

	for (int i = 0; i < lengthof(other_scans); i++)
		(void) set_config_option(other_scans[i], "off", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	for (int i = 0; i < n; i++)
	{
		types[i] = arguments[i].type;
		values[i] = arguments[i].value;
		nulls[i] = arguments[i].is_null ? 'n' : ' ';
	}
	result = SPI_execute_with_args(sql, n, types, values, nulls, false, 0);
	AtEOXact_GUC(true, level);
	if (result < 0)
		elog(ERROR, "could not execute a statement over the queue: %s",
			 SPI_result_code_string(result));
}

/*
 * In users' transactions.
 */

#define WAITS "state OPERATOR(pg_catalog.=) 'waiting' AND columns IS NOT NULL"

static Oid	prepared_for;		/* namespace of the plans */
static SPIPlanPtr put_plan;
static SPIPlanPtr find_plan;
static SPIPlanPtr count_plan;
static int64 room;				/* rows to put until they are counted again */

int64
smrt_queuetable_put(Oid namespace, const SmrtQueueEntry *entry)
{
	SmrtOwnTable own;
	int64		id;

	SPI_connect();
	smrt_owntable_begin(&own, namespace, "sagemaker_queue");
	if (prepared_for != namespace)
		prepare(own.name);
	prepared_for = namespace;
	require_room();
	id = put_row(entry, own.role);
	smrt_owntable_end(&own);
	SPI_finish();
	return id;
}

static void
prepare(const char *table)
{
	Oid			put_types[] = {NAMEOID, TEXTOID, TEXTOID, TEXTARRAYOID,
	TEXTARRAYOID, TEXTARRAYOID};
	Oid			count_types[] = {INT8OID};

	put_plan = SPI_prepare(psprintf(
		"INSERT INTO %s AS q (role, model, relation, key, columns, stamps)"
		" VALUES ($1, $2, $3, $4, $5, $6)"
		" ON CONFLICT (role, relation, key, model, columns)"
		"  WHERE " WAITS
		/* It is locked, which is all that is wanted. */
		" DO UPDATE SET id = q.id WHERE false"
		" RETURNING id", table), lengthof(put_types), put_types);
	find_plan = SPI_prepare(psprintf(
		"SELECT id FROM %s"
		" WHERE " WAITS
		"  AND role OPERATOR(pg_catalog.=) $1 AND model OPERATOR(pg_catalog.=) $2"
		"  AND relation OPERATOR(pg_catalog.=) $3"
		"  AND key OPERATOR(pg_catalog.=) $4"
		"  AND columns OPERATOR(pg_catalog.=) $5", table),
							lengthof(put_types) - 1, put_types);
	count_plan = SPI_prepare(psprintf(
		"SELECT pg_catalog.count(*) FROM (SELECT FROM %s"
		" WHERE state OPERATOR(pg_catalog.=) ANY ('{waiting,failed}') LIMIT $1) AS r",
		table), lengthof(count_types), count_types);
	if (put_plan == NULL || find_plan == NULL || count_plan == NULL)
		elog(ERROR, "could not prepare a statement over the queue: %s",
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(put_plan);
	SPI_keepplan(find_plan);
	SPI_keepplan(count_plan);
	room = 0;
}

/*
 * Counting costs as many steps as there are rows, so it is done again only after
 * a small part of the room that was found has been used up.
 */
static void
require_room(void)
{
	int64		most = smrt_settings.queue.max_rows;

	if (room == 0)
	{
		int64		free_rows = most - count_waiting(most);

		if (free_rows <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the queue is full"),
					 errdetail("The setting sagemaker_rt.queue_max_rows permits " INT64_FORMAT " rows that are not answered.",
							   most),
					 errhint("See in sagemaker_queue whether a worker takes its rows, and what it says of those that failed.")));
		room = 1 + free_rows / 64;
	}
	room--;
}

static int64
count_waiting(int64 most)
{
	Argument	argument = ARGUMENT(INT8OID, Int64GetDatum(most));

	return execute(count_plan, &argument);
}

static int64
put_row(const SmrtQueueEntry *entry, Oid user)
{
	Argument	arguments[] = {
		ARGUMENT(NAMEOID, (Datum) 0),
		ARGUMENT(TEXTOID, CStringGetTextDatum(entry->model)),
		ARGUMENT(TEXTOID, CStringGetTextDatum(entry->relation)),
		ARGUMENT(TEXTARRAYOID, PointerGetDatum(entry->key)),
		ARGUMENT(TEXTARRAYOID, text_array(entry->columns)),
		stamps_argument(entry->stamps),
	};
	NameData	role;

	namestrcpy(&role, GetUserNameFromId(user, false));
	arguments[0].value = NameGetDatum(&role);
	arguments[4].is_null = entry->columns == NIL;
	/* Between finding a row that waits and looking at it, it may be taken. */
	for (;;)
	{
		int64		id = execute(put_plan, arguments);

		if (id == 0)
			id = find_waiting(arguments);
		if (id != 0)
			return id;
	}
}

static int64
find_waiting(const Argument *arguments)
{
	/* What the queue keeps the result of is never equal to another. */
	return arguments[4].is_null ? 0 : execute(find_plan, arguments);
}

/* The one value that a plan gives, or 0. */
static int64
execute(SPIPlanPtr plan, const Argument *arguments)
{
	int			n = SPI_getargcount(plan);
	Datum	   *values = palloc(n * sizeof(Datum));
	char	   *nulls = palloc(n);
	int			result;
	bool		is_null;

	for (int i = 0; i < n; i++)
	{
		values[i] = arguments[i].value;
		nulls[i] = arguments[i].is_null ? 'n' : ' ';
	}
	result = SPI_execute_plan(plan, values, nulls, false, 1);
	if (result < 0)
		elog(ERROR, "could not execute a statement over the queue: %s",
			 SPI_result_code_string(result));
	return SPI_processed == 0 ? 0 :
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
									SPI_tuptable->tupdesc, 1, &is_null));
}

static Datum
text_array(List *strings)
{
	Datum	   *elements = palloc(Max(list_length(strings), 1) * sizeof(Datum));
	ListCell   *cell;

	foreach(cell, strings)
		elements[foreach_current_index(cell)] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(elements, list_length(strings),
										   TEXTOID, -1, false, TYPALIGN_INT));
}

bool
smrt_queuetable_revive(Oid namespace, int64 id)
{
	Argument	arguments[] = {
		ARGUMENT(INT8OID, Int64GetDatum(id)),
		ARGUMENT(OIDOID, ObjectIdGetDatum(GetUserId())),
	};
	SmrtOwnTable own;
	bool		revived;

	SPI_connect();
	smrt_owntable_begin(&own, namespace, "sagemaker_queue");
	run(psprintf("UPDATE %s q SET state = 'failed', attempts = 0, due_at = now()"
				 " WHERE id = $1 AND state = 'dead'"
				 " AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = q.role"
				 "  AND pg_has_role($2, r.oid, 'USAGE'))", own.name),
		lengthof(arguments), arguments);
	revived = SPI_processed > 0;
	smrt_owntable_end(&own);
	SPI_finish();
	return revived;
}

/* NULL when there is none. */
static Argument
stamps_argument(const char *const *stamps)
{
	Datum		elements[SMRT_STAMP_COUNT];
	bool		nulls[SMRT_STAMP_COUNT];
	int			dims[] = {SMRT_STAMP_COUNT};
	int			lower_bounds[] = {1};
	Argument	argument = {TEXTARRAYOID, (Datum) 0, true};

	for (int i = 0; i < SMRT_STAMP_COUNT; i++)
	{
		nulls[i] = stamps[i] == NULL;
		elements[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(stamps[i]);
		argument.is_null = argument.is_null && nulls[i];
	}
	argument.value = PointerGetDatum(construct_md_array(elements, nulls, 1, dims,
														lower_bounds, TEXTOID,
														-1, false, TYPALIGN_INT));
	return argument;
}

/*
 * Of the worker.
 */

/*
 * The oldest that are due decide; of these, the rows that go with the oldest one.
 * So a claim costs the same however long the queue is, and however many
 * models share it.
 */
SmrtQueueBatch *
smrt_queuetable_take(const char *table, bool leased, TimestampTz from,
					 int max_rows)
{
	MemoryContext context = CurrentMemoryContext;
	Argument	arguments[] = {
		ARGUMENT(INT4OID, Int32GetDatum(max_rows)),
		ARGUMENT(FLOAT8OID, Float8GetDatum(smrt_settings.queue.lease)),
		ARGUMENT(TIMESTAMPTZOID, TimestampTzGetDatum(from)),
	};
	SmrtQueueBatch *batch = NULL;

	SPI_connect();
	run(psprintf("WITH due AS MATERIALIZED ("
				 " SELECT id, role, model, relation, columns, stamps, due_at FROM %s"
				 " WHERE %s AND due_at >= $3 AND due_at <= now()"
				 " ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED"
				 "), oldest AS (SELECT * FROM due LIMIT 1), taken AS ("
				 " UPDATE %s SET state = 'running', attempts = attempts + 1,"
				 "  due_at = now() + make_interval(secs => $2)"
				 " WHERE id = ANY (ARRAY(SELECT d.id FROM due d, oldest o"
				 "  WHERE ROW(d.role, d.model, d.relation, d.columns, d.stamps)"
				 "   IS NOT DISTINCT FROM ROW(o.role, o.model, o.relation, o.columns, o.stamps)))"
				 " RETURNING id, role, model, relation, key, columns, stamps, inference_id, attempts"
				 ") SELECT t.*, o.due_at FROM taken t, oldest o ORDER BY id",
				 table,
				 leased ? "state = 'running'" : "state IN ('waiting', 'failed')",
				 table),
		lengthof(arguments), arguments);
	if (SPI_processed > 0)
		batch = read_batch(context);
	SPI_finish();
	return batch;
}

static SmrtQueueBatch *
read_batch(MemoryContext context)
{
	MemoryContext before = MemoryContextSwitchTo(context);
	SmrtQueueBatch *batch = palloc0(sizeof(SmrtQueueBatch));
	HeapTuple  *tuples = SPI_tuptable->vals;
	TupleDesc	desc = SPI_tuptable->tupdesc;
	ListCell   *cell;
	bool		is_null;

	batch->role = text_at(tuples[0], desc, "role");
	batch->model = text_at(tuples[0], desc, "model");
	batch->relation = text_at(tuples[0], desc, "relation");
	batch->columns = strings_at(tuples[0], desc, "columns");
	foreach(cell, strings_at(tuples[0], desc, "stamps"))
		if (foreach_current_index(cell) < SMRT_STAMP_COUNT)
			batch->stamps[foreach_current_index(cell)] = lfirst(cell);
	batch->oldest = DatumGetTimestampTz(value_at(tuples[0], desc, "due_at",
												 &is_null));
	batch->n_rows = SPI_processed;
	batch->rows = palloc(SPI_processed * sizeof(*batch->rows));
	for (int i = 0; i < batch->n_rows; i++)
		read_row(&batch->rows[i], tuples[i], desc);
	MemoryContextSwitchTo(before);
	return batch;
}

static void
read_row(struct SmrtQueueRow *row, HeapTuple tuple, TupleDesc desc)
{
	bool		is_null;

	row->id = DatumGetInt64(value_at(tuple, desc, "id", &is_null));
	row->key = DatumGetArrayTypePCopy(value_at(tuple, desc, "key", &is_null));
	row->inference_id = text_at(tuple, desc, "inference_id");
	row->attempts = DatumGetInt32(value_at(tuple, desc, "attempts", &is_null));
}

/* A text[] as a list of char *, NULL for a null; a null is an empty list. */
static List *
strings_at(HeapTuple tuple, TupleDesc desc, const char *column)
{
	List	   *strings = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	bool		is_null;
	Datum		array = value_at(tuple, desc, column, &is_null);

	if (is_null)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		strings = lappend(strings, nulls[i] ? NULL :
						  TextDatumGetCString(elements[i]));
	return strings;
}

static char *
text_at(HeapTuple tuple, TupleDesc desc, const char *column)
{
	return SPI_getvalue(tuple, desc, SPI_fnumber(desc, column));
}

static Datum
value_at(HeapTuple tuple, TupleDesc desc, const char *column, bool *is_null)
{
	return SPI_getbinval(tuple, desc, SPI_fnumber(desc, column), is_null);
}

void
smrt_queuetable_end_leases(const char *table)
{
	SPI_connect();
	run(psprintf("UPDATE %s SET due_at = now() WHERE state = 'running' AND due_at > now()",
				 table), 0, NULL);
	SPI_finish();
}

void
smrt_queuetable_bury(const char *table)
{
	Argument	most = ARGUMENT(INT4OID, Int32GetDatum(smrt_settings.queue.max_attempts));

	SPI_connect();
	run(psprintf("UPDATE %s SET state = 'dead', due_at = NULL, finished_at = now(),"
				 " sqlstate = '58000', message = 'the worker ended each time that it had this row'"
				 " WHERE state = 'running' AND due_at <= now() AND attempts >= $1",
				 table), 1, &most);
	SPI_finish();
}

void
smrt_queuetable_record(const char *table, const SmrtQueueBatch *batch,
					   int from, int to, const SmrtVerdict *verdicts)
{
	Argument	arguments[] = {
		ARGUMENT(FLOAT8OID, Float8GetDatum(smrt_settings.queue.retry_delay)),
		ARGUMENT(FLOAT8OID, Float8GetDatum(MAX_RETRY_DELAY_S)),
		ARGUMENT(TEXTOID, CStringGetTextDatum(as_json(batch, from, to, verdicts))),
	};

	SPI_connect();
	/*
	 * A row whose lease has ended may be with another worker by now.  State and id
	 * are compared so that there is no way to a row but by its id: there is an index
	 * of leased rows, too, and where statistics were gathered when the queue was
	 * empty all of the index of ids seems to be little, and either would be read as
	 * a whole each time, with all that an old snapshot may still see.
	 */
	run(psprintf("UPDATE %s q SET state = r.state, attempts = q.attempts - r.uncounted,"
				 " due_at = CASE r.state WHEN 'failed' THEN clock_timestamp() +"
				 "  least(make_interval(secs => $2), greatest(make_interval(secs => $1), clock_timestamp() - q.enqueued_at)) END,"
				 " sent_at = timestamptz '2000-01-01 00:00:00+00' + r.sent * interval '1 us',"
				 " finished_at = clock_timestamp(), sqlstate = r.sqlstate,"
				 " message = r.message, result = r.result"
				 " FROM json_to_recordset($3::json) AS r(id bigint, state text, attempts int,"
				 "  uncounted int, sent bigint, sqlstate text, message text, result json)"
				 " WHERE q.id = ANY (ARRAY[r.id]) AND q.attempts = r.attempts"
				 "  AND q.state IS NOT DISTINCT FROM 'running'",
				 table), lengthof(arguments), arguments);
	SPI_finish();
}

static char *
as_json(const SmrtQueueBatch *batch, int from, int to,
		const SmrtVerdict *verdicts)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (int i = from; i < to; i++)
	{
		const SmrtVerdict *verdict = &verdicts[i];

		if (verdict->state == NULL || verdict->is_recorded)
			continue;
		appendStringInfo(&json, "%s{\"id\":" INT64_FORMAT ",\"attempts\":%d,\"uncounted\":%d",
						 json.len > 1 ? "," : "", batch->rows[i].id,
						 batch->rows[i].attempts, verdict->is_free ? 1 : 0);
		/* As the server has times: microseconds since 2000. */
		if (verdict->sent_at != 0)
			appendStringInfo(&json, ",\"sent\":" INT64_FORMAT, verdict->sent_at);
		append_member(&json, "state", verdict->state);
		append_member(&json, "sqlstate", verdict->sqlstate == 0 ? NULL :
					  unpack_sql_state(verdict->sqlstate));
		append_member(&json, "message", verdict->message);
		if (verdict->result != NULL)
			appendStringInfo(&json, ",\"result\":%s", verdict->result);
		appendStringInfoChar(&json, '}');
	}
	appendStringInfoChar(&json, ']');
	return json.data;
}

static void
append_member(StringInfo json, const char *name, const char *text)
{
	if (text == NULL)
		return;
	appendStringInfo(json, ",\"%s\":", name);
	escape_json(json, pnstrdup(text, pg_mbcliplen(text, strlen(text), MAX_MESSAGE)));
}

TimestampTz
smrt_queuetable_next(const char *table)
{
	TimestampTz next = DT_NOEND;
	bool		is_null;

	SPI_connect();
	run(psprintf("SELECT least((SELECT due_at FROM %s WHERE state IN ('waiting', 'failed')"
				 "  ORDER BY due_at, id LIMIT 1),"
				 " (SELECT due_at FROM %s WHERE state = 'running' ORDER BY due_at, id LIMIT 1))",
				 table, table), 0, NULL);
	next = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0],
											 SPI_tuptable->tupdesc, 1, &is_null));
	SPI_finish();
	return is_null ? DT_NOEND : next;
}

bool
smrt_queuetable_clean(const char *table)
{
	Argument	arguments[] = {
		ARGUMENT(FLOAT8OID, Float8GetDatum(smrt_settings.queue.retention)),
		ARGUMENT(INT4OID, Int32GetDatum(CLEAN_ROWS)),
	};
	uint64		n;

	SPI_connect();
	run(psprintf("DELETE FROM %s WHERE id = ANY (ARRAY(SELECT id FROM %s"
				 " WHERE state IN ('done', 'dead') AND finished_at < now() - make_interval(secs => $1)"
				 " ORDER BY finished_at LIMIT $2))", table, table),
		lengthof(arguments), arguments);
	n = SPI_processed;
	SPI_finish();
	return n == CLEAN_ROWS;
}
