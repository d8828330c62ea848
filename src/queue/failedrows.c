/*
 * Failed rows, as statements.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "queue/failedrows.h"
#include "queue/inhand.h"
#include "queue/owntable.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rls.h"
#include "utils/varlena.h"

#define TABLE "sagemaker_failed_rows"

/* Columns of the rows in hand. */
enum
{
	COLUMN_N,
	COLUMN_KEY,
	COLUMN_DIGEST,
	COLUMN_SETTLED,
	COLUMN_PERMANENT,
	COLUMN_SQLSTATE,
	COLUMN_MESSAGE,
	COLUMN_REQUEST_ID,
	COLUMN_COUNT
};

static const struct
{
	const char *name;
	Oid			type;
}			columns[] = {
	[COLUMN_N] = {"n", INT4OID},
	[COLUMN_KEY] = {"key", TEXTARRAYOID},
	[COLUMN_DIGEST] = {"digest", BYTEAOID},
	[COLUMN_SETTLED] = {"settled", BOOLOID},
	[COLUMN_PERMANENT] = {"permanent", BOOLOID},
	[COLUMN_SQLSTATE] = {"sqlstate", TEXTOID},
	[COLUMN_MESSAGE] = {"message", TEXTOID},
	[COLUMN_REQUEST_ID] = {"request_id", TEXTOID},
};

StaticAssertDecl(lengthof(columns) == COLUMN_COUNT,
				 "every column needs a name");

static TupleDesc desc_of_rows(void);
static Tuplestorestate *store_rows(TupleDesc desc, const SmrtJobRow *rows,
								   int n);
static void put(Datum *values, bool *nulls, int column, const char *text);
static uint64 run(const SmrtBoundTable *binding, const char *sql, int expected);
static void take_found(SmrtJobRow *rows);

void
smrt_failedrows_find(Oid namespace, const SmrtBoundTable *binding,
					 SmrtJobRow *rows, int n)
{
	TupleDesc	desc = desc_of_rows();
	Tuplestorestate *store = store_rows(desc, rows, n);
	SmrtOwnTable table;

	smrt_owntable_begin(&table, namespace, TABLE);
	SPI_connect();
	smrt_inhand_show(desc, store, n);
	run(binding,
		psprintf("SELECT s.n, f.input_digest = s.digest, f.permanent, f.attempts"
				 " FROM " SMRT_IN_HAND " s JOIN %s f ON f.key = s.key"
				 " WHERE f.relation = $1 AND f.model = $2 AND f.target = $3",
				 table.name), SPI_OK_SELECT);
	take_found(rows);
	SPI_finish();
	smrt_owntable_end(&table);
	tuplestore_end(store);
}

static void
take_found(SmrtJobRow *rows)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		is_null;
		SmrtJobRow *row = &rows[DatumGetInt32(SPI_getbinval(tuple, desc, 1, &is_null))];

		row->is_known = true;
		row->is_same = DatumGetBool(SPI_getbinval(tuple, desc, 2, &is_null));
		row->is_permanent = DatumGetBool(SPI_getbinval(tuple, desc, 3, &is_null));
		row->attempts = DatumGetInt32(SPI_getbinval(tuple, desc, 4, &is_null));
	}
}

/* Another input begins to count anew. */
void
smrt_failedrows_record(Oid namespace, const SmrtBoundTable *binding,
					   const SmrtJobRow *rows, int n)
{
	TupleDesc	desc = desc_of_rows();
	Tuplestorestate *store = store_rows(desc, rows, n);
	SmrtOwnTable table;

	smrt_owntable_begin(&table, namespace, TABLE);
	SPI_connect();
	smrt_inhand_show(desc, store, n);
	run(binding,
		psprintf("DELETE FROM %s f USING " SMRT_IN_HAND " s WHERE s.settled AND f.key = s.key"
				 " AND f.relation = $1 AND f.model = $2 AND f.target = $3",
				 table.name), SPI_OK_DELETE);
	run(binding,
		psprintf("INSERT INTO %s AS f (relation, model, target, key, permanent, sqlstate,"
				 " message, request_id, attempts, failed_at, input_digest)"
				 " SELECT $1, $2, $3, s.key, s.permanent, s.sqlstate, s.message,"
				 " s.request_id, 1, clock_timestamp(), s.digest"
				 " FROM " SMRT_IN_HAND " s WHERE s.sqlstate IS NOT NULL"
				 " ON CONFLICT (relation, model, target, key) DO UPDATE SET"
				 " permanent = excluded.permanent, sqlstate = excluded.sqlstate,"
				 " message = excluded.message, request_id = excluded.request_id,"
				 " attempts = CASE WHEN f.input_digest = excluded.input_digest"
				 " THEN f.attempts + 1 ELSE 1 END,"
				 " failed_at = excluded.failed_at, input_digest = excluded.input_digest",
				 table.name), SPI_OK_INSERT);
	SPI_finish();
	smrt_owntable_end(&table);
	tuplestore_end(store);
}

/* $1, $2, $3: relation, model, target */
static uint64
run(const SmrtBoundTable *binding, const char *sql, int expected)
{
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[] = {
		CStringGetTextDatum(binding->relation_name),
		CStringGetTextDatum(binding->model_name),
		CStringGetTextDatum(binding->target_name),
	};

	if (SPI_execute_with_args(sql, lengthof(types), types, values, NULL, false, 0) != expected)
		elog(ERROR, "could not use the table of failed rows");
	return SPI_processed;
}

static TupleDesc
desc_of_rows(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(COLUMN_COUNT);

	for (int i = 0; i < COLUMN_COUNT; i++)
		TupleDescInitEntry(desc, i + 1, columns[i].name, columns[i].type, -1, 0);
	return desc;
}

static Tuplestorestate *
store_rows(TupleDesc desc, const SmrtJobRow *rows, int n)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
	Datum		values[COLUMN_COUNT];
	bool		nulls[COLUMN_COUNT];

	for (int i = 0; i < n; i++)
	{
		const SmrtJobRow *row = &rows[i];
		const SmrtFailure *failure = row->failure;

		memset(nulls, false, sizeof(nulls));
		values[COLUMN_N] = Int32GetDatum(i);
		values[COLUMN_KEY] = PointerGetDatum(row->key);
		values[COLUMN_DIGEST] =
			PointerGetDatum(cstring_to_text_with_len((const char *) row->digest,
													 SMRT_SHA256_LEN));
		values[COLUMN_SETTLED] = BoolGetDatum(row->is_settled);
		values[COLUMN_PERMANENT] = BoolGetDatum(failure != NULL &&
												failure->blame == SMRT_BLAME_ROW);
		put(values, nulls, COLUMN_SQLSTATE,
			failure ? unpack_sql_state(failure->sqlstate) : NULL);
		put(values, nulls, COLUMN_MESSAGE, failure ? failure->message : NULL);
		put(values, nulls, COLUMN_REQUEST_ID, failure ? failure->request_id : NULL);
		tuplestore_putvalues(store, desc, values, nulls);
	}
	return store;
}

static void
put(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text != NULL ? CStringGetTextDatum(text) : (Datum) 0;
}

int64
smrt_failedrows_forget(Oid namespace, Oid relation, Oid model, ArrayType *key)
{
	Oid			types[] = {TEXTOID, TEXTOID, TEXTARRAYOID};
	Datum		values[3];
	char		nulls[3] = {' ', ' ', ' '};
	SmrtOwnTable table;
	int64		n;

	if (pg_class_aclcheck(relation, GetUserId(), ACL_INSERT | ACL_UPDATE) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(relation, GetUserId(), ACL_INSERT | ACL_UPDATE,
								  ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(relation));
	values[0] = CStringGetTextDatum(quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
															   get_rel_name(relation)));
	if (OidIsValid(model))
		values[1] = CStringGetTextDatum(format_procedure_qualified(model));
	else
		nulls[1] = 'n';
	values[2] = PointerGetDatum(key);
	if (key == NULL)
		nulls[2] = 'n';
	smrt_owntable_begin(&table, namespace, TABLE);
	SPI_connect();
	if (SPI_execute_with_args(psprintf("DELETE FROM %s WHERE relation = $1"
									   " AND (model = $2 OR $2 IS NULL)"
									   " AND (key = $3 OR $3 IS NULL)", table.name),
							  lengthof(types), types, values, nulls, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not use the table of failed rows");
	n = (int64) SPI_processed;
	SPI_finish();
	smrt_owntable_end(&table);
	return n;
}

/*
 * What a model says of a row may show its inputs, so all of the table must be
 * readable.  To ask row-level security for the row would run the policies of
 * whoever made the table, with the rights of who only looks here.
 */
bool
smrt_failedrows_may_read(const char *relation)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(relation));
	Oid			oid = RangeVarGetRelid(makeRangeVarFromNameList(names),
									   AccessShareLock, true);

	return OidIsValid(oid) &&
		pg_class_aclcheck(oid, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(oid, InvalidOid, true) != RLS_ENABLED;
}
