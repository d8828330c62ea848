/*
 * Declaring kept columns.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pg/compat.h"
#include "queue/keep.h"
#include "queue/owntable.h"
#include "queue/trigger.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

typedef struct TriggerRow
{
	const char *mode;
	const char *label;			/* ends its name */
	const char *when;
	const char *each;
	const char *function;
} TriggerRow;

/* Transition tables are of one event, so there is one trigger an event. */
static const TriggerRow triggers[] = {
	{"row", "row", "BEFORE INSERT OR UPDATE", "ROW", "sagemaker_predict_row"},
	{"statement", "new", "AFTER INSERT", "STATEMENT", "sagemaker_predict_rows"},
	{"statement", "changed", "AFTER UPDATE", "STATEMENT", "sagemaker_predict_rows"},
	{"queue", "queue", "AFTER INSERT OR UPDATE", "ROW", "sagemaker_enqueue_row"},
};

static bool is_mode(const char *mode);
static void require_owner(Oid relation);
static void drop_trigger(const SmrtBoundTable *binding, const TriggerRow *row);
static void make_trigger(Oid namespace, const SmrtKept *kept,
						 const SmrtBoundTable *binding, const TriggerRow *row);
static const char *trigger_name(const SmrtBoundTable *binding,
								const TriggerRow *row);
static void append_arguments(const SmrtKept *kept, const SmrtBoundTable *binding,
							 StringInfo sql);
static void record(Oid namespace, const SmrtKept *kept,
				   const SmrtBoundTable *binding);

void
smrt_keep(Oid namespace, const SmrtKept *kept)
{
	SmrtBoundTable *binding;

	if (!is_mode(kept->mode))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no mode \"%s\"", kept->mode),
				 errhint("Modes are: row, statement, queue, off.")));
	require_owner(kept->spec.relation);
	binding = smrt_boundtable_make(&kept->spec);
	SPI_connect();
	for (int i = 0; i < lengthof(triggers); i++)
		drop_trigger(binding, &triggers[i]);
	for (int i = 0; i < lengthof(triggers); i++)
		if (strcmp(triggers[i].mode, kept->mode) == 0)
			make_trigger(namespace, kept, binding, &triggers[i]);
	record(namespace, kept, binding);
	SPI_finish();
}

static bool
is_mode(const char *mode)
{
	for (int i = 0; i < lengthof(triggers); i++)
		if (strcmp(triggers[i].mode, mode) == 0)
			return true;
	return strcmp(mode, "off") == 0;
}

static void
require_owner(Oid relation)
{
	if (!smrt_owns_table(relation, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relation));
}

static void
drop_trigger(const SmrtBoundTable *binding, const TriggerRow *row)
{
	const char *name = trigger_name(binding, row);

	if (!OidIsValid(get_trigger_oid(binding->relation, name, true)))
		return;
	if (SPI_execute(psprintf("DROP TRIGGER %s ON %s", quote_identifier(name),
							 binding->relation_name), false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not drop a trigger");
}

static void
make_trigger(Oid namespace, const SmrtKept *kept, const SmrtBoundTable *binding,
			 const TriggerRow *row)
{
	bool		is_update = strcmp(row->when, "AFTER UPDATE") == 0;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TRIGGER %s %s ON %s",
					 quote_identifier(trigger_name(binding, row)), row->when,
					 binding->relation_name);
	if (strcmp(row->each, "STATEMENT") == 0)
		appendStringInfo(&sql, " REFERENCING NEW TABLE AS new_rows%s",
						 is_update ? " OLD TABLE AS old_rows" : "");
	appendStringInfo(&sql, " FOR EACH %s EXECUTE FUNCTION %s(", row->each,
					 quote_qualified_identifier(get_namespace_name(namespace),
												row->function));
	append_arguments(kept, binding, &sql);
	appendStringInfoChar(&sql, ')');
	if (SPI_execute(sql.data, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not make a trigger");
}

/*
 * Triggers fire in the order of their names: those that compute inputs before the
 * row is stored should come first.
 */
static const char *
trigger_name(const SmrtBoundTable *binding, const TriggerRow *row)
{
	return makeObjectName("zz_sagemaker", binding->written[0].name, row->label);
}

static void
append_arguments(const SmrtKept *kept, const SmrtBoundTable *binding,
				 StringInfo sql)
{
	appendStringInfoString(sql, quote_literal_cstr(binding->model_name));
	for (int i = 0; i < binding->n_targets; i++)
		appendStringInfo(sql, ", %s", quote_literal_cstr(binding->written[i].name));
	for (int i = 0; i < SMRT_STAMP_COUNT; i++)
		if (kept->spec.stamps[i] != NULL)
			appendStringInfo(sql, ", %s",
							 quote_literal_cstr(smrt_trigger_stamp(i, kept->spec.stamps[i])));
}

static void
record(Oid namespace, const SmrtKept *kept, const SmrtBoundTable *binding)
{
	const char *const texts[] = {
		binding->relation_name, binding->target_name, binding->model_name,
		kept->mode, kept->spec.stamps[SMRT_STAMP_MADE_AT],
		kept->spec.stamps[SMRT_STAMP_VARIANT],
		kept->spec.stamps[SMRT_STAMP_VERSION],
	};
	Oid			types[lengthof(texts)];
	Datum		values[lengthof(texts)];
	char		nulls[lengthof(texts)];
	SmrtOwnTable table;

	for (int i = 0; i < lengthof(texts); i++)
	{
		types[i] = TEXTOID;
		nulls[i] = texts[i] == NULL ? 'n' : ' ';
		values[i] = texts[i] != NULL ? CStringGetTextDatum(texts[i]) : (Datum) 0;
	}
	smrt_owntable_begin(&table, namespace, "sagemaker_kept_columns");
	if (SPI_execute_with_args(psprintf("INSERT INTO %s (relation, target, model, mode,"
									   " made_at, variant, version)"
									   " VALUES ($1, $2, $3, $4, $5, $6, $7)"
									   " ON CONFLICT (relation, target) DO UPDATE SET"
									   " model = excluded.model, mode = excluded.mode,"
									   " made_at = excluded.made_at,"
									   " variant = excluded.variant,"
									   " version = excluded.version", table.name),
							  lengthof(texts), types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not record a kept column");
	smrt_owntable_end(&table);
}
