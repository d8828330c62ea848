/*
 * Binding, and the parts of statements that follow from it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/proclang.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "pg/compat.h"
#include "queue/boundtable.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static const SmrtModel *read_model(Oid function);
static void name_relation(SmrtBoundTable *binding, Relation relation);
static void bind_named_keys(SmrtBoundTable *binding, Relation relation,
							List *names);
static void bind_primary_key(SmrtBoundTable *binding, Relation relation);
static void bind_operators(SmrtColumn *column, Oid family, Oid type);
static const char *operator_sql(Oid operator);
static void bind_inputs(SmrtBoundTable *binding, Relation relation);
static void bind_targets(SmrtBoundTable *binding, Relation relation,
						 List *targets);
static void bind_stamps(SmrtBoundTable *binding, Relation relation,
						const char *const *columns);
static void bind_written(SmrtBoundTable *binding, Relation relation,
						 const char *name, Oid value, int source);
static bool find_column(SmrtColumn *column, Relation relation,
						const char *name);
static void append_input(const SmrtBoundTable *binding, int i, StringInfo sql);
pg_noreturn static void no_column(Relation relation, const char *name,
								  const char *wanted_by);

SmrtBoundTable *
smrt_boundtable_make(const SmrtTableSpec *spec)
{
	SmrtBoundTable *binding = palloc0(sizeof(SmrtBoundTable));
	Relation	relation = table_open(spec->relation, AccessShareLock);

	name_relation(binding, relation);
	if (spec->key != NIL)
		bind_named_keys(binding, relation, spec->key);
	else if (spec->needs_key)
		bind_primary_key(binding, relation);
	binding->model = read_model(spec->function);
	binding->model_name = format_procedure_qualified(spec->function);
	binding->has_source = spec->has_source;
	bind_inputs(binding, relation);
	if (!spec->has_no_targets)
	{
		bind_targets(binding, relation, spec->targets);
		bind_stamps(binding, relation, spec->stamps);
	}
	/* Not unlocked: what was found holds until the transaction ends. */
	table_close(relation, NoLock);
	return binding;
}

/* What fmgr does before a call is ours to do here. */
static const SmrtModel *
read_model(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	AclResult	may_execute = smrt_function_aclcheck(function, GetUserId());
	Form_pg_proc proc;
	bool		has_no_settings;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	if (proc->prolang != get_language_oid("sagemaker", true))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function %s is not a model: its language is not sagemaker",
						format_procedure_qualified(function))));
	if (may_execute != ACLCHECK_OK)
		aclcheck_error(may_execute, OBJECT_FUNCTION, NameStr(proc->proname));
	InvokeFunctionExecuteHook(function);
	(void) SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig,
						   &has_no_settings);
	if (!has_no_settings)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model %s has SET clauses", format_procedure_qualified(function)),
				 errdetail("They would not hold for predictions that are made many at a time.")));
	ReleaseSysCache(tuple);
	return smrt_model_read(function);
}

static void
name_relation(SmrtBoundTable *binding, Relation relation)
{
	char		kind = relation->rd_rel->relkind;

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", RelationGetRelationName(relation)),
				 errdetail("Predictions are written into tables and partitioned tables.")));
	binding->relation = RelationGetRelid(relation);
	binding->relation_name =
		quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
								   RelationGetRelationName(relation));
	/* Keys are unique within a table, not among those that inherit from it. */
	binding->scanned = kind == RELKIND_RELATION && relation->rd_rel->relhassubclass ?
		psprintf("ONLY %s", binding->relation_name) : binding->relation_name;
}

static void
bind_primary_key(SmrtBoundTable *binding, Relation relation)
{
	Relation	index = NULL;

	list_free(RelationGetIndexList(relation));
	if (OidIsValid(relation->rd_pkindex))
		index = index_open(relation->rd_pkindex, AccessShareLock);
	/* A deferrable key is none until the transaction's end. */
	if (index == NULL || index->rd_rel->relam != BTREE_AM_OID ||
		!index->rd_index->indimmediate)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("table %s has no primary key", binding->relation_name),
				 errdetail("Predictions are written back by primary key, which must not be deferrable.")));
	binding->n_keys = IndexRelationGetNumberOfKeyAttributes(index);
	binding->keys = palloc0(binding->n_keys * sizeof(SmrtColumn));
	for (int i = 0; i < binding->n_keys; i++)
	{
		AttrNumber	number = index->rd_index->indkey.values[i];

		(void) find_column(&binding->keys[i], relation,
						   NameStr(TupleDescAttr(RelationGetDescr(relation),
												 number - 1)->attname));
		bind_operators(&binding->keys[i], index->rd_opfamily[i],
					   index->rd_opcintype[i]);
	}
	index_close(index, NoLock);
}

static void
bind_named_keys(SmrtBoundTable *binding, Relation relation, List *names)
{
	binding->n_keys = list_length(names);
	binding->keys = palloc0(binding->n_keys * sizeof(SmrtColumn));
	for (int i = 0; i < binding->n_keys; i++)
	{
		SmrtColumn *column = &binding->keys[i];
		TypeCacheEntry *type;

		if (!find_column(column, relation, list_nth(names, i)))
			no_column(relation, list_nth(names, i), "which is to be the key");
		type = lookup_type_cache(column->type, TYPECACHE_BTREE_OPFAMILY);
		if (!OidIsValid(type->btree_opf))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					 errmsg("column \"%s\" cannot be a key: its type %s has no order",
							column->name, format_type_be(column->type))));
		bind_operators(column, type->btree_opf, type->btree_opintype);
	}
}

/* The key's own: there may be several called "=". */
static void
bind_operators(SmrtColumn *column, Oid family, Oid type)
{
	column->equal = operator_sql(get_opfamily_member(family, type, type,
													 BTEqualStrategyNumber));
	column->greater = operator_sql(get_opfamily_member(family, type, type,
													   BTGreaterStrategyNumber));
}

static const char *
operator_sql(Oid operator)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;
	const char *sql;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	sql = psprintf("OPERATOR(%s.%s)",
				   quote_identifier(get_namespace_name(form->oprnamespace)),
				   NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return sql;
}

static void
bind_inputs(SmrtBoundTable *binding, Relation relation)
{
	const SmrtModel *model = binding->model;

	binding->n_inputs = model->n_arguments;
	binding->inputs = palloc0(model->n_arguments * sizeof(SmrtColumn));
	for (int i = 0; i < model->n_arguments; i++)
	{
		const SmrtModelArgument *argument = &model->arguments[i];
		SmrtColumn *column = &binding->inputs[i];

		if (argument->name == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("argument %d of model %s has no name", i + 1,
							model->name),
					 errdetail("Inputs are the columns that have the names of the model's arguments.")));
		if (binding->has_source)
		{
			column->name = argument->name;
			continue;
		}
		if (!find_column(column, relation, argument->name))
			no_column(relation, argument->name,
					  psprintf("argument of model %s", model->name));
		if (!can_coerce_type(1, &column->type, &argument->declared,
							 COERCION_IMPLICIT))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" is of type %s, the argument of model %s is of type %s",
							column->name, format_type_be(column->type),
							model->name, format_type_be(argument->declared))));
	}
}

static void
bind_targets(SmrtBoundTable *binding, Relation relation, List *targets)
{
	const SmrtModel *model = binding->model;
	bool		whole = list_length(targets) == 1;
	StringInfoData names;

	if (!whole && (model->result != SMRT_RESULT_COMPOSITE ||
				   list_length(targets) != model->n_columns))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("there are %d columns for the result of model %s, which has %d",
						list_length(targets), model->name,
						model->result == SMRT_RESULT_COMPOSITE ? model->n_columns : 1)));
	binding->n_targets = list_length(targets);
	binding->written = palloc0((binding->n_targets + SMRT_STAMP_COUNT) *
							   sizeof(SmrtColumn));
	initStringInfo(&names);
	for (int i = 0; i < binding->n_targets; i++)
	{
		bind_written(binding, relation, list_nth(targets, i),
					 whole ? get_func_rettype(model->function) :
					 model->columns[i].type, i);
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(binding->written[i].name));
	}
	binding->target_name = names.data;
}

static void
bind_stamps(SmrtBoundTable *binding, Relation relation,
			const char *const *columns)
{
	for (int i = 0; i < SMRT_STAMP_COUNT; i++)
		if (columns[i] != NULL)
			bind_written(binding, relation, columns[i], smrt_stamp_type(i),
						 binding->n_targets + i);
}

Oid
smrt_stamp_type(SmrtStamp stamp)
{
	static const Oid types[] = {
		[SMRT_STAMP_MADE_AT] = TIMESTAMPTZOID,
		[SMRT_STAMP_VARIANT] = TEXTOID,
		[SMRT_STAMP_VERSION] = TEXTOID,
	};

	StaticAssertStmt(lengthof(types) == SMRT_STAMP_COUNT,
					 "every stamp needs a type");
	return types[stamp];
}

/* A column that takes a value of that type. */
static void
bind_written(SmrtBoundTable *binding, Relation relation, const char *name,
			 Oid value, int source)
{
	SmrtColumn *column = &binding->written[binding->n_written++];

	if (!find_column(column, relation, name))
		no_column(relation, name, "which is to be written");
	column->source = source;
	if (TupleDescAttr(RelationGetDescr(relation), column->number - 1)->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("column \"%s\" is generated and cannot be written", name)));
	if (!can_coerce_type(1, &value, &column->type, COERCION_ASSIGNMENT))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is of type %s, which does not take type %s",
						name, format_type_be(column->type),
						format_type_be(value))));
	for (int i = 0; i < binding->n_inputs; i++)
		if (column->number == binding->inputs[i].number)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("column \"%s\" cannot be both input and output of model %s",
							name, binding->model->name)));
	for (int i = 0; i < binding->n_written - 1; i++)
		if (column->number == binding->written[i].number)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" is named twice", name)));
}

static bool
find_column(SmrtColumn *column, Relation relation, const char *name)
{
	TupleDesc	desc = RelationGetDescr(relation);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), name) != 0)
			continue;
		column->name = pstrdup(name);
		column->number = attribute->attnum;
		column->type = attribute->atttypid;
		column->typmod = attribute->atttypmod;
		column->collation = attribute->attcollation;
		return true;
	}
	return false;
}

static void
no_column(Relation relation, const char *name, const char *wanted_by)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("table \"%s\" has no column \"%s\", %s",
					RelationGetRelationName(relation), name, wanted_by)));
}

Oid
smrt_boundtable_function(const char *name)
{
	PGFunction	in = strchr(name, '(') != NULL ? regprocedurein : regprocin;

	return DatumGetObjectId(DirectFunctionCall1(in, CStringGetDatum(name)));
}

void
smrt_boundtable_select(const SmrtBoundTable *binding, StringInfo sql)
{
	for (int i = 0; i < binding->n_keys; i++)
		appendStringInfo(sql, "%st.%s AS k%d", i > 0 ? ", " : "",
						 quote_identifier(binding->keys[i].name), i + 1);
	for (int i = 0; i < binding->n_inputs; i++)
	{
		appendStringInfoString(sql, i + binding->n_keys > 0 ? ", " : "");
		append_input(binding, i, sql);
		appendStringInfo(sql, " AS i%d", i + 1);
	}
	for (int i = 0; i < binding->n_targets && !binding->has_source; i++)
		appendStringInfo(sql, ", t.%s AS o%d",
						 quote_identifier(binding->written[i].name), i + 1);
}

static void
append_input(const SmrtBoundTable *binding, int i, StringInfo sql)
{
	Oid			type = binding->model->arguments[i].declared;

	appendStringInfo(sql, "t.%s", quote_identifier(binding->inputs[i].name));
	if (type != binding->inputs[i].type)
		appendStringInfo(sql, "::%s", format_type_be_qualified(type));
}

void
smrt_boundtable_unscored(const SmrtBoundTable *binding, const char *alias,
					  StringInfo sql)
{
	const SmrtModel *model = binding->model;
	const SmrtColumn *last = &binding->written[binding->n_written - 1];

	appendStringInfo(sql, " AND (%s.%s IS NULL", alias,
					 quote_identifier(binding->written[0].name));
	if (model->version != NULL &&
		last->source == binding->n_targets + SMRT_STAMP_VERSION)
		appendStringInfo(sql, " OR %s.%s IS DISTINCT FROM %s", alias,
						 quote_identifier(last->name),
						 quote_literal_cstr(model->version));
	appendStringInfoString(sql, ")");
}

void
smrt_boundtable_predictable(const SmrtBoundTable *binding, StringInfo sql)
{
	const SmrtModel *model = binding->model;

	if (!model->strict && model->nulls != SMRT_NULLS_SKIP)
		return;
	for (int i = 0; i < binding->n_inputs; i++)
		appendStringInfo(sql, " AND t.%s IS NOT NULL",
						 quote_identifier(binding->inputs[i].name));
}

void
smrt_boundtable_same_key(const SmrtBoundTable *binding, StringInfo sql)
{
	for (int i = 0; i < binding->n_keys; i++)
		appendStringInfo(sql, "%st.%s %s s.k%d", i > 0 ? " AND " : "",
						 quote_identifier(binding->keys[i].name),
						 binding->keys[i].equal, i + 1);
}

/* Casts, since a comparison of two ROWs as such asks for operators by column. */
void
smrt_boundtable_same_inputs(const SmrtBoundTable *binding, StringInfo sql)
{
	appendStringInfoString(sql, "ROW(");
	for (int i = 0; i < binding->n_inputs; i++)
	{
		appendStringInfoString(sql, i > 0 ? ", " : "");
		append_input(binding, i, sql);
	}
	appendStringInfoString(sql, ")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(");
	for (int i = 0; i < binding->n_inputs; i++)
		appendStringInfo(sql, "%ss.i%d", i > 0 ? ", " : "", i + 1);
	appendStringInfoString(sql, ")::pg_catalog.record");
}

void
smrt_boundtable_same_targets(const SmrtBoundTable *binding, StringInfo sql)
{
	appendStringInfoString(sql, "ROW(");
	for (int i = 0; i < binding->n_targets; i++)
		appendStringInfo(sql, "%st.%s", i > 0 ? ", " : "",
						 quote_identifier(binding->written[i].name));
	appendStringInfoString(sql, ")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(");
	for (int i = 0; i < binding->n_targets; i++)
		appendStringInfo(sql, "%ss.o%d", i > 0 ? ", " : "", i + 1);
	appendStringInfoString(sql, ")::pg_catalog.record");
}
