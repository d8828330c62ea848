/*
 * How well columns are kept.
 *
 * Declarations and failures are read as the extension's owner.  A table's rows are
 * counted as its owner, in a restricted operation: nothing that he may have put
 * there runs with the rights of who only looks.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "model/model.h"
#include "pg/compat.h"
#include "queue/coverage.h"
#include "queue/owntable.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

/* Columns of what is read of a declaration. */
enum
{
	COLUMN_RELATION = 1,
	COLUMN_TARGET,
	COLUMN_MODEL,
	COLUMN_MODE,
	COLUMN_VERSION,				/* the column with the label, or NULL */
	COLUMN_FIRST_TARGET,		/* quoted */
	COLUMN_RELATION_OID,
	COLUMN_MODEL_OID,
	COLUMN_FAILED,
	COLUMN_WAITING
};

typedef struct Declaration
{
	SmrtCoverage coverage;
	const char *version_column;
	const char *first_target;
	Oid			relation;		/* or InvalidOid: they are gone */
	Oid			model;
} Declaration;

static Declaration *read_declarations(Oid namespace, int *n);
static bool is_countable(Oid relation);
static void count_rows(Declaration *declaration);

void
smrt_coverage_tell(Oid namespace,
				   void (*tell) (void *arg, const SmrtCoverage *coverage),
				   void *arg)
{
	Declaration *declarations;
	int			n;

	SPI_connect();
	declarations = read_declarations(namespace, &n);
	for (int i = 0; i < n; i++)
	{
		Declaration *declaration = &declarations[i];

		if (!OidIsValid(declaration->relation) || !OidIsValid(declaration->model) ||
			!is_countable(declaration->relation))
			continue;
		declaration->coverage.version = smrt_model_read(declaration->model)->version;
		count_rows(declaration);
		tell(arg, &declaration->coverage);
	}
	SPI_finish();
}

static Declaration *
read_declarations(Oid namespace, int *n)
{
	Declaration *declarations;
	SmrtOwnTable kept;
	SmrtOwnTable failed;
	SmrtOwnTable queue;

	smrt_owntable_begin(&kept, namespace, "sagemaker_kept_columns");
	smrt_owntable_begin(&failed, namespace, "sagemaker_failed_rows");
	smrt_owntable_begin(&queue, namespace, "sagemaker_queue");
	if (SPI_execute(psprintf("SELECT k.relation, k.target, k.model, k.mode, quote_ident(k.version),"
							 " quote_ident((parse_ident(k.target, false))[1]),"
							 " to_regclass(k.relation)::oid, to_regprocedure(k.model)::oid,"
							 " (SELECT count(*) FROM %s f WHERE f.relation = k.relation"
							 "  AND f.model = k.model AND f.target = k.target),"
							 " (SELECT clock_timestamp() - min(q.enqueued_at) FROM %s q"
							 "  WHERE q.state IN ('waiting', 'running', 'failed')"
							 "  AND q.relation = k.relation AND q.model = k.model"
							 "  AND (SELECT string_agg(quote_ident(c), ', ' ORDER BY n)"
							 "   FROM unnest(q.columns) WITH ORDINALITY AS u(c, n)) = k.target)"
							 " FROM %s k ORDER BY 1, 2",
							 failed.name, queue.name, kept.name),
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read kept columns");
	smrt_owntable_end(&queue);
	smrt_owntable_end(&failed);
	smrt_owntable_end(&kept);
	*n = (int) SPI_processed;
	declarations = palloc0((*n + 1) * sizeof(Declaration));
	for (int i = 0; i < *n; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Declaration *declaration = &declarations[i];
		SmrtCoverage *coverage = &declaration->coverage;
		bool		is_null;

		coverage->relation = SPI_getvalue(tuple, desc, COLUMN_RELATION);
		coverage->target = SPI_getvalue(tuple, desc, COLUMN_TARGET);
		coverage->model = SPI_getvalue(tuple, desc, COLUMN_MODEL);
		coverage->mode = SPI_getvalue(tuple, desc, COLUMN_MODE);
		declaration->version_column = SPI_getvalue(tuple, desc, COLUMN_VERSION);
		declaration->first_target = SPI_getvalue(tuple, desc, COLUMN_FIRST_TARGET);
		declaration->relation = DatumGetObjectId(SPI_getbinval(tuple, desc, COLUMN_RELATION_OID, &is_null));
		declaration->model = DatumGetObjectId(SPI_getbinval(tuple, desc, COLUMN_MODEL_OID, &is_null));
		coverage->failed = DatumGetInt64(SPI_getbinval(tuple, desc, COLUMN_FAILED, &is_null));
		coverage->waiting = DatumGetIntervalP(SPI_getbinval(tuple, desc, COLUMN_WAITING, &is_null));
		if (is_null)
			coverage->waiting = NULL;
	}
	return declarations;
}

/*
 * All of it, and not a view, which has code of its own.  Numbers of rows are
 * statistics: who may see everybody's need not read the table.
 */
static bool
is_countable(Oid relation)
{
	char		kind = get_rel_relkind(relation);

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		return false;
	return smrt_may_read_all_stats(GetUserId()) ||
		(pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		 check_enable_rls(relation, InvalidOid, true) != RLS_ENABLED);
}

static void
count_rows(Declaration *declaration)
{
	SmrtCoverage *coverage = &declaration->coverage;
	int64	   *const counts[] = {&coverage->scored, &coverage->missing, &coverage->stale};
	const char *is_stale = "false";
	Oid			role;
	int			flags;

	if (coverage->version != NULL && declaration->version_column != NULL)
		is_stale = psprintf("%s IS DISTINCT FROM %s", declaration->version_column,
							quote_literal_cstr(coverage->version));
	GetUserIdAndSecContext(&role, &flags);
	SetUserIdAndSecContext(smrt_table_owner(declaration->relation),
						   flags | SECURITY_RESTRICTED_OPERATION);
	if (SPI_execute(psprintf("SELECT count(*) FILTER (WHERE %s IS NOT NULL AND NOT (%s)),"
							 " count(*) FILTER (WHERE %s IS NULL),"
							 " count(*) FILTER (WHERE %s IS NOT NULL AND %s) FROM %s%s",
							 declaration->first_target, is_stale,
							 declaration->first_target, declaration->first_target,
							 is_stale,
							 get_rel_relkind(declaration->relation) == RELKIND_RELATION ?
							 "ONLY " : "", coverage->relation),
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not count rows");
	SetUserIdAndSecContext(role, flags);
	for (int i = 0; i < lengthof(counts); i++)
	{
		bool		is_null;

		*counts[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
												 SPI_tuptable->tupdesc, i + 1,
												 &is_null));
	}
}
