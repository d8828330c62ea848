/*
 * {"timeout": "2s", "max_attempts": 1, "headers": {"X-Amzn-SageMaker-...": "x"}}
 */
#include "postgres.h"

#include "call/calloptions.h"
#include "pg/compat.h"
#include "pg/json.h"
#include "utils/builtins.h"

static void read_option(const char *name, const JsonbValue *value,
						SmrtLimits *limits);
pg_noreturn static void unknown_option(const char *name);
static void read_headers(const JsonbValue *value, SmrtHeader **headers,
						 int *n_headers);
pg_noreturn static void not_an_object(const char *what);

void
smrt_calloptions_read(Jsonb *options, SmrtLimits *limits, SmrtHeader **headers,
					  int *n_headers)
{
	JsonbIterator *iterator = JsonbIteratorInit(&options->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *name = NULL;

	if (!JB_ROOT_IS_OBJECT(options))
		not_an_object("options");
	while ((token = JsonbIteratorNext(&iterator, &value,
									  name != NULL)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
		{
			if (strcmp(name, "headers") == 0)
				read_headers(&value, headers, n_headers);
			else
				read_option(name, &value, limits);
		}
	}
}

static void
read_option(const char *name, const JsonbValue *value, SmrtLimits *limits)
{
	char	   *text = smrt_json_scalar(value);
	SmrtError	error;

	if (!smrt_limit_exists(name))
		unknown_option(name);
	if (text == NULL)
		smrt_error_set(&error, "a number, a string or a Boolean is needed");
	else if (smrt_limits_set(limits, name, text, &error))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" is not valid: %s", name, error.text)));
}

static void
unknown_option(const char *name)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; smrt_limit_name(i) != NULL; i++)
		appendStringInfo(&names, "%s, ", smrt_limit_name(i));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no option \"%s\"", name),
			 errhint("Options are: %sheaders.", names.data)));
}

static void
read_headers(const JsonbValue *value, SmrtHeader **headers, int *n_headers)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	int			n = 0;

	if (value->type != jbvBinary ||
		!JsonContainerIsObject(value->val.binary.data))
		not_an_object("option \"headers\"");
	*headers = palloc(JsonContainerSize(value->val.binary.data) *
					  sizeof(SmrtHeader));
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			(*headers)[n].name = smrt_span_of(item.val.string.val,
											  item.val.string.len);
		else if (token == WJB_VALUE)
		{
			char	   *text = smrt_json_scalar(&item);

			if (text == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("option \"headers\" is not valid: the value of \"%.*s\" is no scalar",
								(int) (*headers)[n].name.len,
								(*headers)[n].name.data)));
			(*headers)[n++].value = smrt_span(text);
		}
	}
	*n_headers = n;
}

static void
not_an_object(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s must be a JSON object", what)));
}
