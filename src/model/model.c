/*
 * Reading models from pg_proc.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "model/binding.h"
#include "model/definition.h"
#include "model/model.h"
#include "model/prompt.h"
#include "model/valuetext.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Safe with every container: most take 5 or 6 MB. */
#define DEFAULT_MAX_BYTES (5 * 1000 * 1000)
#define DEFAULT_MAX_ROWS 100
#define DEFAULT_DETERMINISTIC true

typedef struct FormatRow
{
	SmrtRowKind kind;
	const char *content_type;
	const char *accept;
} FormatRow;

static const FormatRow formats[] = {
	[SMRT_FORMAT_CSV] = {SMRT_ROW_CSV, "text/csv", "text/csv"},
	[SMRT_FORMAT_INSTANCES] = {SMRT_ROW_JSON, "application/json", "application/json"},
	[SMRT_FORMAT_ARRAY] = {SMRT_ROW_JSON, "application/json", "application/json"},
	[SMRT_FORMAT_JSONLINES] = {SMRT_ROW_JSON, "application/jsonlines", "application/jsonlines"},
	[SMRT_FORMAT_INPUTS] = {SMRT_ROW_JSON, "application/json", "application/json"},
	[SMRT_FORMAT_SINGLE] = {SMRT_ROW_JSON, "application/json", "application/json"},
	[SMRT_FORMAT_LIBSVM] = {SMRT_ROW_NUMBERS, "text/libsvm", "text/csv"},
	[SMRT_FORMAT_RECORDIO] = {SMRT_ROW_NUMBERS, "application/x-recordio-protobuf",
	"application/x-recordio-protobuf"},
	[SMRT_FORMAT_NPY] = {SMRT_ROW_NUMBERS, "application/x-npy", "application/x-npy"},
	[SMRT_FORMAT_LINES] = {SMRT_ROW_TEXT, "text/csv", "text/csv"},
	[SMRT_FORMAT_CHAT] = {SMRT_ROW_JSON, "application/json", "application/json"},
};

StaticAssertDecl(lengthof(formats) == SMRT_FORMAT_COUNT,
				 "every format needs a row");

static void set_defaults(SmrtModel *model);
static bool takes_one_row(const SmrtModel *model);
static void check_labels(Form_pg_proc proc);
static void check_stream(const SmrtModel *model);
static void read_arguments(HeapTuple tuple, SmrtModel *model);
static void read_argument(SmrtModelArgument *argument, Oid type,
						  const char *name, int number);
static bool wants_json(const SmrtModel *model);
static void read_result(Form_pg_proc proc, SmrtModel *model);
static void read_column(SmrtResultColumn *column, Oid type, int32 typmod,
						const char *name);
static bool may_run_user_code(Oid type);
static void check_format(const SmrtModel *model);
static void check_numbers(const SmrtModel *model);
static void divide_columns(SmrtModel *model);

SmrtModel *
smrt_model_read(Oid function)
{
	HeapTuple	tuple = SearchSysCacheCopy1(PROCOID, ObjectIdGetDatum(function));
	SmrtModel  *model = palloc0(sizeof(SmrtModel));
	Form_pg_proc proc;
	bool		is_null;
	char	   *body;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	check_labels(proc);

	model->function = function;
	model->name = quote_qualified_identifier(get_namespace_name(proc->pronamespace),
											 NameStr(proc->proname));
	model->strict = proc->proisstrict;
	model->definer = proc->prosecdef ? proc->proowner : InvalidOid;
	set_defaults(model);
	read_arguments(tuple, model);
	read_result(proc, model);
	model->format = SMRT_FORMAT_COUNT;	/* until it is said */
	body = TextDatumGetCString(SysCacheGetAttr(PROCOID, tuple,
											   Anum_pg_proc_prosrc, &is_null));
	smrt_definition_read(body, model);
	if (model->format == SMRT_FORMAT_COUNT)
		model->format = model->stream ? SMRT_FORMAT_SINGLE :
			wants_json(model) ? SMRT_FORMAT_INSTANCES : SMRT_FORMAT_CSV;
	if (model->stream)
		check_stream(model);
	if (takes_one_row(model) || model->stream)
		model->max_rows = 1;
	check_format(model);
	divide_columns(model);
	smrt_prompt_prepare(model);
	heap_freetuple(tuple);
	return model;
}

SmrtGlance
smrt_model_glance(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	SmrtGlance	glance = {.deterministic = DEFAULT_DETERMINISTIC};
	bool		is_null;
	char	   *body;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	body = TextDatumGetCString(SysCacheGetAttr(PROCOID, tuple,
											   Anum_pg_proc_prosrc, &is_null));
	ReleaseSysCache(tuple);
	smrt_definition_glance(body, &glance);
	return glance;
}

SmrtModel *
smrt_model_undeclared(const char *endpoint, int max_rows, int n_arguments,
					  const Oid *types)
{
	SmrtModel  *model = palloc0(sizeof(SmrtModel));

	set_defaults(model);
	model->name = psprintf("\"%s\"", endpoint);
	model->endpoint = pstrdup(endpoint);
	if (max_rows > 0)
		model->max_rows = Min(max_rows, SMRT_MAX_MAX_ROWS);
	model->n_arguments = n_arguments;
	model->arguments = palloc0(Max(n_arguments, 1) * sizeof(SmrtModelArgument));
	for (int i = 0; i < n_arguments; i++)
		read_argument(&model->arguments[i], types[i], NULL, i + 1);
	model->result = SMRT_RESULT_RAW;
	return model;
}

static void
set_defaults(SmrtModel *model)
{
	model->first_index = 1;
	model->answer_format = SMRT_ANSWER_COUNT;
	model->on_error = SMRT_ON_ERROR_COUNT;
	model->max_failed_rows = -1;
	model->max_failed_ratio = -1;
	model->deterministic = DEFAULT_DETERMINISTIC;
	model->min_rows = 1;
	model->max_rows = DEFAULT_MAX_ROWS;
	model->max_bytes = DEFAULT_MAX_BYTES;
	model->concurrency = smrt_settings.concurrency;
}

SmrtOperation
smrt_model_operation(const SmrtModel *model)
{
	return model->stream ? SMRT_OPERATION_STREAM : SMRT_OPERATION_INVOKE;
}

static bool
takes_one_row(const SmrtModel *model)
{
	return model->format == SMRT_FORMAT_SINGLE ||
		model->format == SMRT_FORMAT_CHAT;
}

const char *
smrt_model_content_type(const SmrtModel *model)
{
	return formats[model->format].content_type;
}

const char *
smrt_model_accept(const SmrtModel *model)
{
	return model->stream ? NULL : formats[model->format].accept;
}

SmrtOnError
smrt_model_on_error(const SmrtModel *model)
{
	SmrtOnError on_error = model->on_error < SMRT_ON_ERROR_COUNT ?
		model->on_error : smrt_on_error_setting();

	return on_error == SMRT_ON_ERROR_ERROR && model->errors_are_data ?
		SMRT_ON_ERROR_NULL : on_error;
}

SmrtRowKind
smrt_model_row_kind(const SmrtModel *model)
{
	return formats[model->format].kind;
}

/* A prediction costs, and may be another one tomorrow. */
static void
check_labels(Form_pg_proc proc)
{
	if (proc->prokind != PROKIND_FUNCTION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("only functions can be written in language \"sagemaker\"")));
	if (proc->provolatile != PROVOLATILE_VOLATILE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("a model function must be VOLATILE"),
				 errdetail("Under another label it could be run while a statement is planned or only explained."),
				 errhint("To have equal rows sent once, set the option \"deterministic\".")));
}

static void
check_stream(const SmrtModel *model)
{
	if (model->result != SMRT_RESULT_SCALAR ||
		model->columns[0].type != TEXTOID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("a model function over a streaming endpoint must return text or SETOF text")));
}

static void
read_arguments(HeapTuple tuple, SmrtModel *model)
{
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			n = get_func_arg_info(tuple, &types, &names, &modes);

	model->arguments = palloc0(Max(n, 1) * sizeof(SmrtModelArgument));
	for (int i = 0; i < n; i++)
	{
		if (modes != NULL && modes[i] != FUNC_PARAM_IN &&
			modes[i] != FUNC_PARAM_INOUT && modes[i] != FUNC_PARAM_VARIADIC)
			continue;
		read_argument(&model->arguments[model->n_arguments++], types[i],
					  names != NULL && names[i][0] ? names[i] : NULL, i + 1);
	}
	if (model->n_arguments == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("a model function needs an argument")));
}

static void
read_argument(SmrtModelArgument *argument, Oid type, const char *name,
			  int number)
{
	Oid			output;
	bool		varlena;
	bool		preferred;

	argument->name = name ? pstrdup(name) : NULL;
	argument->declared = type;
	argument->type = getBaseType(type);
	/* A literal that nobody gave a type is its text. */
	if (get_typtype(argument->type) == TYPTYPE_PSEUDO &&
		argument->type != UNKNOWNOID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("argument %s of a model function cannot be of type %s",
						name ? quote_identifier(name) : psprintf("%d", number),
						format_type_be(type))));
	get_type_category_preferred(argument->type, &argument->category, &preferred);
	getTypeOutputInfo(argument->type, &output, &varlena);
	fmgr_info_cxt(output, &argument->output, CurrentMemoryContext);
}

/* What has parts does not fit into a field of CSV. */
static bool
wants_json(const SmrtModel *model)
{
	for (int i = 0; i < model->n_arguments; i++)
	{
		Oid			type = model->arguments[i].type;

		if (type == JSONOID || type == JSONBOID ||
			OidIsValid(get_element_type(type)) || type_is_rowtype(type))
			return true;
	}
	return false;
}

static void
read_result(Form_pg_proc proc, SmrtModel *model)
{
	TupleDesc	tupdesc;
	Oid			type;

	model->is_set = proc->proretset;
	switch (get_func_result_type(proc->oid, &type, &tupdesc))
	{
		case TYPEFUNC_SCALAR:
			model->n_columns = 1;
			model->columns = palloc0(sizeof(SmrtResultColumn));
			read_column(&model->columns[0], type, -1, NULL);
			model->result = model->columns[0].kind;
			if (model->is_set)
			{
				model->tupdesc = CreateTemplateTupleDesc(1);
				TupleDescInitEntry(model->tupdesc, 1, NULL, type, -1, 0);
			}
			return;
		case TYPEFUNC_COMPOSITE_DOMAIN:
			model->row_domain = type;
			break;
		case TYPEFUNC_COMPOSITE:
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
					 errmsg("a model function cannot return type %s",
							format_type_be(proc->prorettype))));
	}
	model->result = SMRT_RESULT_COMPOSITE;
	model->tupdesc = BlessTupleDesc(CreateTupleDescCopy(tupdesc));
	model->columns = palloc0(tupdesc->natts * sizeof(SmrtResultColumn));
	model->n_columns = tupdesc->natts;
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(model->tupdesc, i);

		if (attribute->attisdropped)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("the result type of a model function has a dropped column")));
		read_column(&model->columns[i], attribute->atttypid,
					attribute->atttypmod, NameStr(attribute->attname));
	}
}

static void
read_column(SmrtResultColumn *column, Oid type, int32 typmod, const char *name)
{
	Oid			base;
	Oid			input;

	column->typmod = typmod;
	base = getBaseTypeAndTypmod(type, &column->typmod);
	if (get_typtype(base) == TYPTYPE_PSEUDO || type_is_rowtype(base))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("a model function cannot return type %s",
						format_type_be(type))));
	column->name = name ? pstrdup(name) : NULL;
	column->type = type;
	column->domain = type == base ? InvalidOid : type;
	column->whole_number = base == INT2OID || base == INT4OID || base == INT8OID;
	column->number = column->whole_number || base == FLOAT4OID ||
		base == FLOAT8OID || base == NUMERICOID;
	column->kind = base == JSONOID || base == JSONBOID ? SMRT_RESULT_JSON :
		OidIsValid(get_element_type(base)) ? SMRT_RESULT_ARRAY :
		SMRT_RESULT_SCALAR;
	column->has_user_code = may_run_user_code(base);
	getTypeInputInfo(base, &input, &column->ioparam);
	fmgr_info_cxt(input, &column->input, CurrentMemoryContext);
}

/*
 * A superuser has made the input functions of base types, and PostgreSQL those of
 * enums.  Those of ranges and composites call those of their parts, which may be
 * domains with checks.
 */
static bool
may_run_user_code(Oid type)
{
	Oid			element = get_element_type(type);
	char		kind = get_typtype(OidIsValid(element) ? element : type);

	return kind != TYPTYPE_BASE && kind != TYPTYPE_ENUM;
}

/* What does not fit the format, whatever option came first. */
static void
check_format(const SmrtModel *model)
{
	if (model->min_rows > 1 && takes_one_row(model))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"min_rows\" is not valid: the format %s sends one row alone",
						smrt_definition_format(model->format))));
	if (model->min_rows > 1 && model->stream)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"min_rows\" is not valid: a stream answers one row")));
	if (model->header && model->format != SMRT_FORMAT_CSV)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"header\" is not valid: only the format csv has a header")));
	if (model->constant != NULL && model->format != SMRT_FORMAT_INSTANCES &&
		model->format != SMRT_FORMAT_INPUTS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"constant\" is not valid: only the formats instances and inputs have room for it")));
	if (model->first_index != 1 && model->format != SMRT_FORMAT_LIBSVM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"first_index\" is not valid: only the format libsvm numbers its columns")));
	if (smrt_model_row_kind(model) == SMRT_ROW_TEXT &&
		(model->n_arguments != 1 ||
		 model->arguments[0].category != TYPCATEGORY_STRING))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"format\" is not valid: with lines there is one argument, of type text")));
	if ((model->n_shared > 0 || model->rows_member != NULL) &&
		model->format != SMRT_FORMAT_INSTANCES && model->format != SMRT_FORMAT_INPUTS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" is not valid: only the formats instances and inputs have room for it",
						model->n_shared > 0 ? "shared" : "rows_member")));
	if (model->n_shared == model->n_arguments)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"shared\" is not valid: it leaves no argument for the rows")));
	if (smrt_model_row_kind(model) == SMRT_ROW_NUMBERS)
		check_numbers(model);
}

static void
check_numbers(const SmrtModel *model)
{
	for (int i = 0; i < model->n_arguments; i++)
	{
		Oid			type = model->arguments[i].type;
		Oid			element = get_element_type(type);

		if (!smrt_value_is_number(OidIsValid(element) ? getBaseType(element) : type))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"format\" is not valid: it has numbers only, and argument %d is of type %s",
							i + 1, format_type_be(type))));
	}
}

/*
 * What is bound leaves the others to the prediction.  One alone takes it whole, as
 * if the function returned nothing else.
 */
static void
divide_columns(SmrtModel *model)
{
	SmrtResultColumn *last = NULL;

	for (int i = 0; i < model->n_columns; i++)
	{
		SmrtResultColumn *column = &model->columns[i];

		if (column->binding == SMRT_BOUND_NOT)
		{
			last = column;
			model->n_predicted++;
		}
		if (!smrt_binding_is_error(column->binding))
			continue;
		model->errors_are_data = true;
		/* What tells of errors must not fail itself. */
		if (column->type != TEXTOID)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"columns\" is not valid: column \"%s\" must be of type text",
							column->name)));
	}
	if (model->errors_are_data && model->on_error == SMRT_ON_ERROR_ERROR)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"on_error\" is not valid: errors go into a column")));
	if (last == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"columns\" is not valid: it leaves no column for the prediction")));
	if (model->n_predicted == 1 &&
		(model->result != SMRT_RESULT_COMPOSITE || model->n_columns > 1))
		model->whole = last;
}
