/*
 * The statement by which a table job reads its next rows, with search_path pinned.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "pg/compat.h"
#include "queue/jobquery.h"
#include "utils/builtins.h"

static Portal open_by_index(const char *sql, int n_values, Oid *types,
							Datum *values);
static void append_source(const SmrtJobQuery *query, StringInfo sql);
static void append_wanted(const SmrtJobQuery *query, StringInfo sql);
static void append_same_key(const SmrtBoundTable *binding, StringInfo sql);
static void append_share(const SmrtShare *share, const SmrtBoundTable *binding,
						 StringInfo sql);
static void append_key(const SmrtBoundTable *binding, StringInfo sql);
static void append_beyond_last(const SmrtBoundTable *binding, StringInfo sql);

Portal
smrt_jobquery_open(const SmrtJobQuery *query)
{
	const SmrtBoundTable *binding = query->binding;
	Oid		   *types = palloc(binding->n_keys * sizeof(Oid));
	Datum	   *values = palloc(binding->n_keys * sizeof(Datum));
	int			n_values = 0;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	smrt_boundtable_select(binding, &sql);
	append_source(query, &sql);
	append_wanted(query, &sql);
	if (query->share->n_jobs > 1)
		append_share(query->share, binding, &sql);
	if (query->last != NULL)
	{
		append_beyond_last(binding, &sql);
		for (; n_values < binding->n_keys; n_values++)
		{
			bool		is_null;

			types[n_values] = binding->keys[n_values].type;
			values[n_values] = heap_getattr(query->last, n_values + 1,
											query->last_desc, &is_null);
		}
	}
	appendStringInfoString(&sql, " ORDER BY ");
	append_key(binding, &sql);
	appendStringInfo(&sql, " LIMIT %d", query->max_rows);
	if (binding->has_source)
		return SPI_cursor_open_with_args(NULL, sql.data, n_values, types,
										 values, NULL, false, 0);
	appendStringInfoString(&sql, " FOR SHARE OF t SKIP LOCKED");
	return open_by_index(sql.data, n_values, types, values);
}

/*
 * In the order of an index: to sort what is left for every round would read all of
 * it each time, and how many rows lack a prediction is what nobody has counted.
 */
static Portal
open_by_index(const char *sql, int n_values, Oid *types, Datum *values)
{
	static const char *const others[] = {"enable_seqscan", "enable_bitmapscan",
	"enable_sort"};
	int			level = NewGUCNestLevel();
	Portal		cursor;

	for (int i = 0; i < lengthof(others); i++)
		(void) set_config_option(others[i], "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	cursor = SPI_cursor_open_with_args(NULL, sql, n_values, types, values, NULL,
									   false, 0);
	AtEOXact_GUC(true, level);
	return cursor;
}

/* The line ends, should the query or the condition end with a comment. */
static void
append_source(const SmrtJobQuery *query, StringInfo sql)
{
	if (query->job->source != NULL)
		appendStringInfo(sql, " FROM (%s\n) t", query->job->source);
	else
		appendStringInfo(sql, " FROM %s t", query->binding->scanned);
}

/* Which rows: s is the table, t that or the source. */
static void
append_wanted(const SmrtJobQuery *query, StringInfo sql)
{
	const SmrtBoundTable *binding = query->binding;
	const SmrtTableJob *job = query->job;

	if (job->rows != NULL)
		appendStringInfo(sql, " WHERE (%s\n)", job->rows);
	else
		appendStringInfoString(sql, " WHERE true");
	if (job->insert)
	{
		appendStringInfo(sql, " AND NOT EXISTS (SELECT FROM %s s WHERE ",
						 binding->scanned);
		append_same_key(binding, sql);
		appendStringInfoString(sql, ")");
	}
	else if (job->rows == NULL && job->source != NULL)
	{
		appendStringInfo(sql, " AND EXISTS (SELECT FROM %s s WHERE ",
						 binding->scanned);
		append_same_key(binding, sql);
		smrt_boundtable_unscored(binding, "s", sql);
		appendStringInfoString(sql, ")");
	}
	else if (job->rows == NULL)
		smrt_boundtable_unscored(binding, "t", sql);
	if (job->rows == NULL)
		smrt_boundtable_predictable(binding, sql);
}

static void
append_same_key(const SmrtBoundTable *binding, StringInfo sql)
{
	for (int i = 0; i < binding->n_keys; i++)
	{
		const char *name = quote_identifier(binding->keys[i].name);

		appendStringInfo(sql, "%ss.%s %s t.%s", i > 0 ? " AND " : "", name,
						 binding->keys[i].equal, name);
	}
}

static void
append_share(const SmrtShare *share, const SmrtBoundTable *binding,
			 StringInfo sql)
{
	appendStringInfoString(sql, " AND (hashtext(ROW(");
	append_key(binding, sql);
	appendStringInfo(sql, ")::text) & 2147483647) %% %d = %d", share->n_jobs,
					 share->rank);
}

static void
append_key(const SmrtBoundTable *binding, StringInfo sql)
{
	for (int i = 0; i < binding->n_keys; i++)
		appendStringInfo(sql, "%st.%s", i > 0 ? ", " : "",
						 quote_identifier(binding->keys[i].name));
}

/*
 * Rows with a key greater than $1, $2, ...  A comparison of rows, which an index
 * serves, asks for operators by name, so only PostgreSQL's own can be meant.
 */
static void
append_beyond_last(const SmrtBoundTable *binding, StringInfo sql)
{
	bool		as_rows = true;

	for (int i = 0; i < binding->n_keys; i++)
		as_rows = as_rows &&
			strcmp(binding->keys[i].greater, "OPERATOR(pg_catalog.>)") == 0;
	if (as_rows)
	{
		appendStringInfoString(sql, " AND ROW(");
		append_key(binding, sql);
		appendStringInfoString(sql, ") > ROW(");
		for (int i = 0; i < binding->n_keys; i++)
			appendStringInfo(sql, "%s$%d", i > 0 ? ", " : "", i + 1);
		appendStringInfoString(sql, ")");
		return;
	}
	appendStringInfoString(sql, " AND (false");
	for (int i = 0; i < binding->n_keys; i++)
	{
		appendStringInfoString(sql, " OR (true");
		for (int j = 0; j <= i; j++)
			appendStringInfo(sql, " AND t.%s %s $%d",
							 quote_identifier(binding->keys[j].name),
							 j < i ? binding->keys[j].equal : binding->keys[j].greater,
							 j + 1);
		appendStringInfoString(sql, ")");
	}
	appendStringInfoString(sql, ")");
}
