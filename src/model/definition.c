/*
 * Options of model functions, as a table.
 */
#include "postgres.h"

#include "aws/error.h"
#include "call/operation.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "model/binding.h"
#include "model/definition.h"
#include "model/template.h"
#include "nodes/makefuncs.h"
#include "nodes/pg_list.h"
#include "pg/compat.h"
#include "pg/json.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/jsonpath.h"

typedef enum Kind
{
	KIND_TEXT,
	KIND_BOOLEAN,
	KIND_NUMBER,				/* with a unit, between min and max */
	KIND_FRACTION,				/* from 0 to 1 */
	KIND_WORD,					/* one of a list, its number is stored */
	KIND_OBJECT,				/* JSON, stored as text without its braces */
	KIND_PATH,					/* a jsonpath */
	KIND_TEMPLATE,				/* text with placeholders for arguments */
	KIND_SHARED,				/* names of arguments: stored with these */
	KIND_BINDINGS				/* of result columns: stored with these */
} Kind;

typedef struct OptionRow
{
	const char *name;
	Kind		kind;
	size_t		field;			/* in SmrtModel */
	int			min;
	int			max;
	int			unit;
	const char *const *words;	/* ended by NULL */
} OptionRow;

static const char *const format_words[] = {
	[SMRT_FORMAT_CSV] = "csv",
	[SMRT_FORMAT_INSTANCES] = "instances",
	[SMRT_FORMAT_ARRAY] = "array",
	[SMRT_FORMAT_JSONLINES] = "jsonlines",
	[SMRT_FORMAT_INPUTS] = "inputs",
	[SMRT_FORMAT_SINGLE] = "single",
	[SMRT_FORMAT_LIBSVM] = "libsvm",
	[SMRT_FORMAT_RECORDIO] = "recordio",
	[SMRT_FORMAT_NPY] = "npy",
	[SMRT_FORMAT_LINES] = "lines",
	[SMRT_FORMAT_CHAT] = "chat",
	[SMRT_FORMAT_COUNT] = NULL,
};

static const char *const answer_format_words[] = {
	[SMRT_ANSWER_CSV] = "csv",
	[SMRT_ANSWER_JSON] = "json",
	[SMRT_ANSWER_JSONLINES] = "jsonlines",
	[SMRT_ANSWER_RECORDIO] = "recordio",
	[SMRT_ANSWER_NPY] = "npy",
	[SMRT_ANSWER_COUNT] = NULL,
};

static const char *const nulls_words[] = {
	[SMRT_NULLS_DEFAULT] = "default",
	[SMRT_NULLS_NAN] = "nan",
	[SMRT_NULLS_SKIP] = "skip",
	[SMRT_NULLS_ERROR] = "error",
	[SMRT_NULLS_COUNT] = NULL,
};

static const char *const response_format_words[] = {
	[SMRT_RESPONSE_WORDS] = "words",
	[SMRT_RESPONSE_JSON_SCHEMA] = "json_schema",
	[SMRT_RESPONSE_JSON_OBJECT] = "json_object",
	[SMRT_RESPONSE_COUNT] = NULL,
};

#define FIELD(f) offsetof(SmrtModel, f)

static const OptionRow rows[] = {
	{"endpoint", KIND_TEXT, FIELD(endpoint)},
	{"server", KIND_TEXT, FIELD(server)},
	{"format", KIND_WORD, FIELD(format), 0, 0, 0, format_words},
	{"header", KIND_BOOLEAN, FIELD(header)},
	{"first_index", KIND_NUMBER, FIELD(first_index), 0, 1, 0},
	{"answer_format", KIND_WORD, FIELD(answer_format), 0, 0, 0, answer_format_words},
	{"answer_header", KIND_BOOLEAN, FIELD(answer_header)},
	{"stream", KIND_BOOLEAN, FIELD(stream)},
	{"version", KIND_TEXT, FIELD(version)},
	{"predictions", KIND_PATH, FIELD(predictions)},
	{"columns", KIND_BINDINGS},
	{"index", KIND_PATH, FIELD(index)},
	{"dimension", KIND_NUMBER, FIELD(dimension), 1, SMRT_MAX_DIMENSION, 0},
	{"rows_member", KIND_TEXT, FIELD(rows_member)},
	{"shared", KIND_SHARED},
	{"constant", KIND_OBJECT, FIELD(constant)},
	{"system", KIND_TEMPLATE, FIELD(system)},
	{"prompt", KIND_TEMPLATE, FIELD(prompt)},
	{"parameters", KIND_OBJECT, FIELD(parameters)},
	{"response_format", KIND_WORD, FIELD(response_format), 0, 0, 0, response_format_words},
	{"undecided_is_null", KIND_BOOLEAN, FIELD(undecided_is_null)},
	{"repair", KIND_BOOLEAN, FIELD(repair)},
	{"input_tokens", KIND_PATH, FIELD(token_paths[SMRT_TOKENS_INPUT])},
	{"output_tokens", KIND_PATH, FIELD(token_paths[SMRT_TOKENS_OUTPUT])},
	{"nulls", KIND_WORD, FIELD(nulls), 0, 0, 0, nulls_words},
	{"on_error", KIND_WORD, FIELD(on_error), 0, 0, 0, smrt_on_error_words},
	{"max_failed_rows", KIND_NUMBER, FIELD(max_failed_rows), 0, INT_MAX, 0},
	{"max_failed_ratio", KIND_FRACTION, FIELD(max_failed_ratio)},
	{"deterministic", KIND_BOOLEAN, FIELD(deterministic)},
	{"min_rows", KIND_NUMBER, FIELD(min_rows), 1, SMRT_MAX_MIN_ROWS, 0},
	{"max_rows", KIND_NUMBER, FIELD(max_rows), 1, SMRT_MAX_MAX_ROWS, 0},
	{"max_bytes", KIND_NUMBER, FIELD(max_bytes), 1, 100 * 1024 * 1024, GUC_UNIT_BYTE},
	{"concurrency", KIND_NUMBER, FIELD(concurrency), 1, SMRT_MAX_CONCURRENCY, 0},
};

static char *trimmed(const char *text);
static void check_members(const SmrtModel *model);
static void read_object(Jsonb *object, SmrtModel *model);
static void read_option(const char *name, JsonbValue *value, SmrtModel *model);
static char *scalar_of(const char *name, const JsonbValue *value);
static JsonbContainer *object_of(const char *name, const JsonbValue *value);
static const char *members_of(const char *name, const JsonbValue *value);
static void share_arguments(const char *name, const JsonbValue *value,
							SmrtModel *model);
static SmrtModelArgument *find_argument(const char *name, SmrtModel *model);
static void bind_columns(const char *name, JsonbContainer *bindings,
						 SmrtModel *model);
static SmrtResultColumn *column_of(const char *name, const JsonbValue *key,
								   SmrtModel *model);
static SmrtBinding binding_of(const char *name, const SmrtResultColumn *column,
							  const JsonbValue *value);
static SmrtTemplate *template_of(const char *name, const char *text,
								 const SmrtModel *model);
static void store(const OptionRow *row, JsonbValue *value, SmrtModel *model);
static void check_path(const char *name, const char *path);
static void say_option(void *name);
static void store_word(const OptionRow *row, const char *text, int *field);
static int	member_of(const char *name);
static void read_limit(const char *name, const char *text, SmrtModel *model);
pg_noreturn static void not_valid(const char *name, const char *why);
pg_noreturn static void unknown_option(const char *name);

const char *
smrt_definition_format(SmrtRowFormat format)
{
	return format_words[format];
}

void
smrt_definition_read(const char *body, SmrtModel *model)
{
	const char *begin = body + strspn(body, " \t\r\n");

	if (*begin == '{')
		read_object(DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
													   CStringGetDatum(body))),
					model);
	else if (*begin != '\0')
		model->endpoint = trimmed(begin);
	if (model->endpoint == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"endpoint\" is missing"),
				 errhint("The body of a model function is an endpoint's name, or a JSON object of options.")));
	check_members(model);
}

void
smrt_definition_glance(const char *body, SmrtGlance *glance)
{
	SmrtJsonMember members[] = {{"deterministic"}, {"stream"}};
	bool	   *values[] = {&glance->deterministic, &glance->stream};
	char	   *text = pg_server_to_any(body, strlen(body), PG_UTF8);

	if (!smrt_json_members(smrt_span(text), members, lengthof(members)))
		return;
	for (int i = 0; i < lengthof(members); i++)
		if (members[i].value != NULL)
			(void) parse_bool(members[i].value, values[i]);
}

static char *
trimmed(const char *text)
{
	size_t		len = strlen(text);

	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	return pnstrdup(text, len);
}

/* What would fail in every call fails now. */
static void
check_members(const SmrtModel *model)
{
	SmrtRequest request = {.operation = smrt_model_operation(model),
	.endpoint = smrt_span(model->endpoint)};
	SmrtSpan	member;
	SmrtError	error;

	for (int i = 0; i < SMRT_INVOKE_MEMBER_COUNT; i++)
		request.members[i] = smrt_span(model->members[i]);
	if (!smrt_request_check(&request, &member, &error))
		not_valid(pnstrdup(member.data, member.len), error.text);
}

static void
read_object(Jsonb *object, SmrtModel *model)
{
	JsonbIterator *iterator = JsonbIteratorInit(&object->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *name = NULL;

	while ((token = JsonbIteratorNext(&iterator, &value,
									  name != NULL)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
			read_option(name, &value, model);
	}
}

static void
read_option(const char *name, JsonbValue *value, SmrtModel *model)
{
	int			member = member_of(name);

	for (int i = 0; i < lengthof(rows); i++)
		if (strcmp(rows[i].name, name) == 0)
		{
			store(&rows[i], value, model);
			return;
		}
	if (member >= 0)
		model->members[member] = scalar_of(name, value);
	else if (smrt_limit_exists(name))
		read_limit(name, scalar_of(name, value), model);
	else
		unknown_option(name);
}

static char *
scalar_of(const char *name, const JsonbValue *value)
{
	char	   *text = smrt_json_scalar(value);

	if (text == NULL)
		not_valid(name, "it must be a string, a number or a Boolean");
	return text;
}

static void
store(const OptionRow *row, JsonbValue *value, SmrtModel *model)
{
	void	   *field = (char *) model + row->field;
	const char *text = NULL;
	const char *hint = NULL;
	int			number;
	double		fraction;

	if (row->kind != KIND_OBJECT && row->kind != KIND_BINDINGS &&
		row->kind != KIND_SHARED)
		text = scalar_of(row->name, value);
	switch (row->kind)
	{
		case KIND_TEXT:
			if (text[0] == '\0')
				not_valid(row->name, "it is empty");
			*(const char **) field = text;
			break;
		case KIND_PATH:
			check_path(row->name, text);
			*(const char **) field = text;
			break;
		case KIND_TEMPLATE:
			*(SmrtTemplate **) field = template_of(row->name, text, model);
			break;
		case KIND_BOOLEAN:
			if (!parse_bool(text, (bool *) field))
				not_valid(row->name, "it must be true or false");
			break;
		case KIND_NUMBER:
			/* A fraction would be rounded; of a unit it may be a whole number. */
			if ((row->unit == 0 && text[strspn(text, "-0123456789")] != '\0') ||
				!parse_int(text, &number, row->unit, &hint) ||
				number < row->min || number > row->max)
				not_valid(row->name, psprintf("it must be between %d and %d",
											  row->min, row->max));
			*(int *) field = number;
			break;
		case KIND_FRACTION:
			if (!parse_real(text, &fraction, 0, &hint) ||
				!(fraction >= 0 && fraction <= 1))
				not_valid(row->name, "it must be between 0 and 1");
			*(double *) field = fraction;
			break;
		case KIND_WORD:
			store_word(row, text, field);
			break;
		case KIND_OBJECT:
			*(const char **) field = members_of(row->name, value);
			break;
		case KIND_SHARED:
			share_arguments(row->name, value, model);
			break;
		case KIND_BINDINGS:
			bind_columns(row->name, object_of(row->name, value), model);
			break;
	}
}

static SmrtTemplate *
template_of(const char *name, const char *text, const SmrtModel *model)
{
	char	   *problem;
	SmrtTemplate *template = smrt_template_parse(model, text, &problem);

	if (template == NULL)
		not_valid(name, problem);
	return template;
}

static JsonbContainer *
object_of(const char *name, const JsonbValue *value)
{
	if (value->type != jbvBinary ||
		!JsonContainerIsObject(value->val.binary.data))
		not_valid(name, "it must be a JSON object");
	return value->val.binary.data;
}

/* An object's text without its braces, in UTF-8. */
static const char *
members_of(const char *name, const JsonbValue *value)
{
	char	   *text = JsonbToCString(NULL, object_of(name, value),
									  value->val.binary.len);

	text[strlen(text) - 1] = '\0';
	return pg_server_to_any(text + 1, strlen(text + 1), PG_UTF8);
}

/* ["query", ...] */
static void
share_arguments(const char *name, const JsonbValue *value, SmrtModel *model)
{
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		not_valid(name, "it must be a JSON array of arguments' names");
	for (int i = 0; i < JsonContainerSize(value->val.binary.data); i++)
	{
		char	   *wanted = smrt_json_scalar(getIthJsonbValueFromContainer(value->val.binary.data, i));
		SmrtModelArgument *argument = wanted ? find_argument(wanted, model) : NULL;

		if (argument == NULL)
			not_valid(name, wanted ? psprintf("there is no argument \"%s\"", wanted) :
					  "it must be a JSON array of arguments' names");
		model->n_shared += !argument->shared;
		argument->shared = true;
	}
}

static SmrtModelArgument *
find_argument(const char *name, SmrtModel *model)
{
	for (int i = 0; i < model->n_arguments; i++)
		if (model->arguments[i].name != NULL &&
			strcmp(model->arguments[i].name, name) == 0)
			return &model->arguments[i];
	return NULL;
}

/* {"variant": "$response.invoked_production_variant", ...} */
static void
bind_columns(const char *name, JsonbContainer *bindings, SmrtModel *model)
{
	JsonbIterator *iterator = JsonbIteratorInit(bindings);
	JsonbIteratorToken token;
	JsonbValue	value;
	SmrtResultColumn *column = NULL;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			column = column_of(name, &value, model);
		else if (token == WJB_VALUE)
		{
			column->binding = binding_of(name, column, &value);
			/* It is no prediction that would be told to be no number. */
			column->number = false;
		}
	}
}

static SmrtResultColumn *
column_of(const char *name, const JsonbValue *key, SmrtModel *model)
{
	char	   *wanted = smrt_json_scalar(key);

	for (int i = 0; i < model->n_columns; i++)
		if (model->columns[i].name != NULL &&
			strcmp(model->columns[i].name, wanted) == 0)
			return &model->columns[i];
	not_valid(name, psprintf("the result has no column \"%s\"", wanted));
}

static SmrtBinding
binding_of(const char *name, const SmrtResultColumn *column,
		   const JsonbValue *value)
{
	char	   *text = smrt_json_scalar(value);
	SmrtBinding binding = text ? smrt_binding_find(text) : SMRT_BOUND_NOT;
	StringInfoData all;

	if (binding != SMRT_BOUND_NOT)
		return binding;
	initStringInfo(&all);
	for (int i = SMRT_BOUND_NOT + 1; i < SMRT_BOUND_COUNT; i++)
		appendStringInfo(&all, "%s%s", all.len ? ", " : "",
						 smrt_binding_name(i));
	not_valid(name, psprintf("column \"%s\" must be one of %s", column->name,
							 all.data));
}

/* An error of jsonpath's own says where it is wrong. */
static void
check_path(const char *name, const char *path)
{
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = say_option,
		.arg = unconstify(char *, name),
	};

	error_context_stack = &callback;
	(void) DirectFunctionCall1(jsonpath_in, CStringGetDatum(path));
	error_context_stack = callback.previous;
}

static void
say_option(void *name)
{
	errcontext("option \"%s\"", (const char *) name);
}

static void
store_word(const OptionRow *row, const char *text, int *field)
{
	StringInfoData all;

	initStringInfo(&all);
	for (int i = 0; row->words[i] != NULL; i++)
	{
		if (strcmp(row->words[i], text) == 0)
		{
			*field = i;
			return;
		}
		appendStringInfo(&all, "%s%s", i > 0 ? ", " : "", row->words[i]);
	}
	not_valid(row->name, psprintf("it must be one of %s", all.data));
}

/* A member of the request by its name, or -1. */
static int
member_of(const char *name)
{
	for (int i = 0; i < SMRT_INVOKE_MEMBER_COUNT; i++)
		if (strcmp(smrt_member_name(i), name) == 0)
			return i;
	return -1;
}

static void
read_limit(const char *name, const char *text, SmrtModel *model)
{
	SmrtLimits	scratch;
	SmrtError	error;

	if (!smrt_limits_set(&scratch, name, text, &error))
		not_valid(name, error.text);
	model->limits = lappend(model->limits,
							makeDefElem(pstrdup(name),
										(Node *) makeString(pstrdup(text)),
										-1));
}

static void
not_valid(const char *name, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" is not valid: %s", name, why)));
}

static void
unknown_option(const char *name)
{
	StringInfoData all;

	initStringInfo(&all);
	for (int i = 0; i < lengthof(rows); i++)
		appendStringInfo(&all, "%s, ", rows[i].name);
	for (int i = 0; i < SMRT_INVOKE_MEMBER_COUNT; i++)
		appendStringInfo(&all, "%s, ", smrt_member_name(i));
	for (int i = 0; smrt_limit_name(i) != NULL; i++)
		appendStringInfo(&all, "%s%s", i > 0 ? ", " : "", smrt_limit_name(i));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no option \"%s\"", name),
			 errhint("Options are: %s.", all.data)));
}
