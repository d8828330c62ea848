/*
 * Rows in hand, and writing their predictions.
 *
 * What we have in hand goes into statements as a relation of its own: no type has
 * to become text, and rows are joined by their key's own operator.
 */
#include "postgres.h"

#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pg/compat.h"
#include "queue/boundrows.h"
#include "queue/inhand.h"
#include "queue/key.h"
#include "queue/resultrow.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

#define FETCHED_AT_ONCE 100
#define MANY_BYTES (64 * 1024 * 1024)

/* One write, of ranges of rows. */
typedef struct Write
{
	const SmrtBoundTable *binding;
	const SmrtBoundRows *rows;
	const SmrtWriting *writing;
	SmrtPrediction *predictions;
	bool	   *written;
	bool	   *wanted;			/* rows that are to be written */
	TupleDesc	desc;			/* of rows as statements see them */
	const char *sql;
	const char *lock_sql;		/* NULL: rows are waited for */
	MemoryContext context;		/* for failures */
	int64		n_written;
} Write;

static void take(SmrtBoundRows *rows);
static int	width_of_selected(const SmrtBoundTable *binding);
static void add_key(const SmrtBoundTable *binding, int i, TupleDesc desc,
					AttrNumber number);
static TupleDesc desc_in_hand(const SmrtBoundTable *binding,
							  const SmrtBoundRows *rows);
static const char *same_sql(const SmrtBoundTable *binding,
							const SmrtWriting *writing);
static const char *lock_sql(const SmrtBoundTable *binding, const char *same);
static const char *update_sql(const SmrtBoundTable *binding, const char *same);
static const char *insert_sql(const SmrtBoundTable *binding);
static void write_range(Write *write, int from, int to);
static void write_rows(Write *write, int from, int to);
static void keep_free_rows(Write *write, int from, int to);
static int64 run_over_rows(Write *write, const char *sql, int from, int to,
						   bool *came);
static Tuplestorestate *store_in_hand(const Write *write, int from, int to,
									  int *n);
static SPIPlanPtr plan_by_key(const char *sql);

SmrtBoundRows *
smrt_boundrows_fetch(Portal cursor, int max)
{
	SmrtBoundRows *rows = palloc0(sizeof(SmrtBoundRows));
	uint64		wanted;

	rows->context = CurrentMemoryContext;
	do
	{
		wanted = Min(FETCHED_AT_ONCE, max - rows->n);
		SPI_cursor_fetch(cursor, true, (long) wanted);
		take(rows);
	} while (SPI_processed == wanted && rows->n < max &&
			 rows->bytes < MANY_BYTES);
	/* SPI has left us in memory of its own. */
	MemoryContextSwitchTo(rows->context);
	return rows;
}

/* What SPI has just selected. */
static void
take(SmrtBoundRows *rows)
{
	SPITupleTable *table = SPI_tuptable;
	int			n = rows->n + (int) SPI_processed;
	MemoryContext before = MemoryContextSwitchTo(rows->context);

	if (rows->desc == NULL)
		rows->desc = CreateTupleDescCopy(table->tupdesc);
	if (n > rows->size)
	{
		rows->size = Max(n, 2 * rows->size);
		rows->tuples = rows->tuples == NULL ?
			palloc(rows->size * sizeof(HeapTuple)) :
			repalloc_huge(rows->tuples, rows->size * sizeof(HeapTuple));
	}
	/* What lies out of line may be gone with the next transaction. */
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = table->vals[i];

		tuple = HeapTupleHasExternal(tuple) ?
			toast_flatten_tuple(tuple, table->tupdesc) : heap_copytuple(tuple);
		rows->tuples[rows->n++] = tuple;
		rows->bytes += tuple->t_len;
	}
	MemoryContextSwitchTo(before);
	SPI_freetuptable(table);
}

SmrtBoundRows *
smrt_boundrows_read(const SmrtBoundTable *binding, int n, ArrayType *const *keys)
{
	TupleDesc	desc = CreateTemplateTupleDesc(1 + binding->n_keys);
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
	Datum	   *values = palloc((1 + binding->n_keys) * sizeof(Datum));
	bool	   *nulls = palloc0((1 + binding->n_keys) * sizeof(bool));
	SmrtBoundRows *rows = palloc0(sizeof(SmrtBoundRows));
	StringInfoData sql;

	rows->context = CurrentMemoryContext;
	TupleDescInitEntry(desc, 1, "n", INT4OID, -1, 0);
	for (int i = 0; i < binding->n_keys; i++)
		add_key(binding, i, desc, i + 2);
	for (int i = 0; i < n; i++)
	{
		values[0] = Int32GetDatum(i);
		smrt_key_from_text(binding, keys[i], values + 1);
		tuplestore_putvalues(store, desc, values, nulls);
	}
	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	smrt_boundtable_select(binding, &sql);
	appendStringInfo(&sql, ", s.n FROM " SMRT_IN_HAND " s JOIN %s t ON ",
					 binding->scanned);
	smrt_boundtable_same_key(binding, &sql);

	SPI_connect();
	smrt_inhand_show(desc, store, n);
	if (SPI_execute_plan(plan_by_key(sql.data), NULL, NULL, true,
						 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read rows by key");
	take(rows);
	rows->numbers = MemoryContextAlloc(rows->context,
									   Max(rows->n, 1) * sizeof(int));
	for (int i = 0; i < rows->n; i++)
	{
		bool		is_null;

		rows->numbers[i] = DatumGetInt32(heap_getattr(rows->tuples[i],
													  rows->desc->natts,
													  rows->desc, &is_null));
	}
	SPI_finish();
	tuplestore_end(store);
	return rows;
}

void
smrt_boundrows_feed(const SmrtBoundTable *binding, const SmrtBoundRows *rows,
					SmrtRowset *set)
{
	int			n = rows->desc->natts;
	Datum	   *values = palloc(n * sizeof(Datum));
	bool	   *nulls = palloc(n * sizeof(bool));

	for (int i = 0; i < rows->n; i++)
	{
		heap_deform_tuple(rows->tuples[i], rows->desc, values, nulls);
		smrt_rowset_add(set, values + binding->n_keys, nulls + binding->n_keys);
	}
	pfree(values);
	pfree(nulls);
}

ArrayType *
smrt_boundrows_key(const SmrtBoundTable *binding, const SmrtBoundRows *rows,
				   int i)
{
	int			n = rows->desc->natts;
	Datum	   *values = palloc(n * sizeof(Datum));
	bool	   *nulls = palloc(n * sizeof(bool));

	heap_deform_tuple(rows->tuples[i], rows->desc, values, nulls);
	return smrt_key_to_text(binding, values, nulls);
}

int64
smrt_boundrows_write(const SmrtBoundTable *binding, const SmrtBoundRows *rows,
					 SmrtPrediction *predictions, bool *written,
					 const SmrtWriting *writing)
{
	const char *same = same_sql(binding, writing);
	Write		write = {binding, rows, writing, predictions, written,
		.wanted = palloc(Max(rows->n, 1) * sizeof(bool)),
		.desc = desc_in_hand(binding, rows),
		.sql = writing->insert ? insert_sql(binding) : update_sql(binding, same),
		.lock_sql = writing->skip_locked && !writing->insert ?
		lock_sql(binding, same) : NULL,
		.context = CurrentMemoryContext,
	};

	memset(written, 0, rows->n * sizeof(bool));
	for (int i = 0; i < rows->n; i++)
		write.wanted[i] = predictions[i].failure == NULL;
	if (rows->n > 0)
		write_range(&write, 0, rows->n - 1);
	return write.n_written;
}

/*
 * n, then the row as it was selected, with key, inputs and perhaps targets, then
 * what is written as r1, r2, ...
 */
static TupleDesc
desc_in_hand(const SmrtBoundTable *binding, const SmrtBoundRows *rows)
{
	int			n_selected = width_of_selected(binding);
	TupleDesc	desc = CreateTemplateTupleDesc(1 + n_selected +
											   smrt_resultrow_width(binding));

	TupleDescInitEntry(desc, 1, "n", INT4OID, -1, 0);
	for (int i = 0; i < n_selected; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(rows->desc, i);

		if (i < binding->n_keys)
			add_key(binding, i, desc, i + 2);
		else
			TupleDescInitEntry(desc, i + 2, NameStr(attribute->attname),
							   attribute->atttypid, -1, 0);
	}
	smrt_resultrow_describe(binding, desc, n_selected + 2);
	return desc;
}

/* Without what smrt_boundrows_read() adds. */
static int
width_of_selected(const SmrtBoundTable *binding)
{
	return binding->n_keys + binding->n_inputs +
		(binding->has_source ? 0 : binding->n_targets);
}

/* With the column's collation: else the two would be compared by none. */
static void
add_key(const SmrtBoundTable *binding, int i, TupleDesc desc, AttrNumber number)
{
	const SmrtColumn *key = &binding->keys[i];

	TupleDescInitEntry(desc, number, psprintf("k%d", i + 1), key->type,
					   key->typmod, 0);
	TupleDescInitEntryCollation(desc, number, key->collation);
}

/* What must still hold of a row t: it is the one that was read as s. */
static const char *
same_sql(const SmrtBoundTable *binding, const SmrtWriting *writing)
{
	StringInfoData sql;

	initStringInfo(&sql);
	smrt_boundtable_same_key(binding, &sql);
	if (!binding->has_source)
	{
		appendStringInfoString(&sql, " AND ");
		smrt_boundtable_same_inputs(binding, &sql);
		appendStringInfoString(&sql, " AND ");
		smrt_boundtable_same_targets(binding, &sql);
	}
	else if (writing->only_unscored)
		smrt_boundtable_unscored(binding, "t", &sql);
	return sql.data;
}

/* Which rows can be had without waiting. */
static const char *
lock_sql(const SmrtBoundTable *binding, const char *same)
{
	return psprintf("SELECT s.n FROM " SMRT_IN_HAND " s JOIN %s t ON %s FOR NO KEY UPDATE OF t SKIP LOCKED",
					binding->scanned, same);
}

static const char *
update_sql(const SmrtBoundTable *binding, const char *same)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s AS t SET ", binding->scanned);
	for (int i = 0; i < binding->n_written; i++)
		appendStringInfo(&sql, "%s%s = s.r%d", i > 0 ? ", " : "",
						 quote_identifier(binding->written[i].name),
						 binding->written[i].source + 1);
	appendStringInfo(&sql, " FROM " SMRT_IN_HAND " s WHERE %s RETURNING s.n", same);
	return sql.data;
}

/* A table without a unique key may have been given the row meanwhile. */
static const char *
insert_sql(const SmrtBoundTable *binding)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s (", binding->relation_name);
	for (int i = 0; i < binding->n_keys; i++)
		appendStringInfo(&sql, "%s, ", quote_identifier(binding->keys[i].name));
	for (int i = 0; i < binding->n_written; i++)
		appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(binding->written[i].name));
	appendStringInfoString(&sql, ") SELECT ");
	for (int i = 0; i < binding->n_keys; i++)
		appendStringInfo(&sql, "s.k%d, ", i + 1);
	for (int i = 0; i < binding->n_written; i++)
		appendStringInfo(&sql, "%ss.r%d", i > 0 ? ", " : "",
						 binding->written[i].source + 1);
	appendStringInfo(&sql, " FROM " SMRT_IN_HAND " s WHERE NOT EXISTS (SELECT FROM %s t WHERE ",
					 binding->scanned);
	smrt_boundtable_same_key(binding, &sql);
	appendStringInfoString(&sql, ") ON CONFLICT DO NOTHING");
	return sql.data;
}

/*
 * A row that a constraint, a trigger or a policy objects to is found by halving,
 * so that the others are written.
 */
static void
write_range(Write *write, int from, int to)
{
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext context = CurrentMemoryContext;
	int			middle = from + (to - from) / 2;
	volatile bool objected = false;

	if (!write->writing->isolate)
	{
		write_rows(write, from, to);
		return;
	}
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		write_rows(write, from, to);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(write->context);
		error = CopyErrorData();
		FlushErrorState();
		/* Whatever it is: the server takes what is left open for a savepoint. */
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(write->context);
		CurrentResourceOwner = owner;
		if (!smrt_report_is_of_row(error->sqlerrcode))
			ReThrowError(error);
		if (from == to)
			write->predictions[from].failure =
				smrt_failure_of_error(SMRT_BLAME_ROW, error);
		objected = true;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (!objected || from == to)
		return;
	write_range(write, from, middle);
	write_range(write, middle + 1, to);
}

static void
write_rows(Write *write, int from, int to)
{
	bool	   *came = palloc0(write->rows->n * sizeof(bool));

	if (write->lock_sql != NULL)
		keep_free_rows(write, from, to);
	write->n_written += run_over_rows(write, write->sql, from, to, came);
	for (int i = from; i <= to; i++)
		write->written[i] = write->writing->insert ? write->wanted[i] : came[i];
	pfree(came);
}

/* What others hold is not wanted any more. */
static void
keep_free_rows(Write *write, int from, int to)
{
	bool	   *came = palloc0(write->rows->n * sizeof(bool));

	(void) run_over_rows(write, write->lock_sql, from, to, came);
	for (int i = from; i <= to; i++)
		write->wanted[i] = came[i];
	pfree(came);
}

/* Runs a statement over the wanted rows; those whose numbers it returns came. */
static int64
run_over_rows(Write *write, const char *sql, int from, int to, bool *came)
{
	int			n;
	Tuplestorestate *store = store_in_hand(write, from, to, &n);
	int64		n_processed;

	SPI_connect();
	smrt_inhand_show(write->desc, store, n);
	if (SPI_execute_plan(plan_by_key(sql), NULL, NULL, false, 0) < 0)
		elog(ERROR, "could not execute \"%s\"", sql);
	n_processed = (int64) SPI_processed;
	for (int64 i = 0; SPI_tuptable != NULL && i < n_processed; i++)
	{
		bool		is_null;

		came[DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i],
										 SPI_tuptable->tupdesc, 1, &is_null))] = true;
	}
	SPI_finish();
	tuplestore_end(store);
	return n_processed;
}

static Tuplestorestate *
store_in_hand(const Write *write, int from, int to, int *n)
{
	const SmrtBoundTable *binding = write->binding;
	const SmrtBoundRows *rows = write->rows;
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);

	/* A row that was read by key has its number, too. */
	Datum	   *values = palloc((write->desc->natts + 1) * sizeof(Datum));
	bool	   *nulls = palloc((write->desc->natts + 1) * sizeof(bool));
	int			n_before = 1 + width_of_selected(binding);

	*n = 0;
	for (int i = from; i <= to; i++)
	{
		if (!write->wanted[i])
			continue;
		values[0] = Int32GetDatum(i);
		nulls[0] = false;
		heap_deform_tuple(rows->tuples[i], rows->desc, values + 1, nulls + 1);
		smrt_resultrow_fill(binding, &write->predictions[i], values + n_before,
							nulls + n_before);
		tuplestore_putvalues(store, write->desc, values, nulls);
		(*n)++;
	}
	return store;
}

/*
 * Without sequential scans: we have a key for each row, and a large table would be
 * read again for every handful.  Triggers of the table are planned as they would
 * be.
 */
static SPIPlanPtr
plan_by_key(const char *sql)
{
	SPIPlanPtr	plan = SPI_prepare(sql, 0, NULL);
	int			level = NewGUCNestLevel();
	CachedPlan *planned;

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql,
			 SPI_result_code_string(SPI_result));
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	planned = SPI_plan_get_cached_plan(plan);
	AtEOXact_GUC(true, level);
	if (planned != NULL)
		smrt_plan_release(planned);
	return plan;
}
