/*
 * Prompts.  What stands around them is the same in every row, and written once.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "model/prompt.h"
#include "model/schema.h"
#include "model/template.h"

/* Where language models that generate text have it, alone or in an array. */
#define GENERATED_TEXT "$.generated_text"

/* What such servers want to hear before they stream. */
#define STREAM "\"stream\":true"

#define ASK_FOR_JSON "\n\nAnswer with JSON only, without any other text."

static void check_format(const SmrtModel *model);
static void prepare_chat(SmrtModel *model);
static void append_response_format(const SmrtModel *model, const char *schema,
								   StringInfo begin);
static void ask_in_words(SmrtModel *model, const char *schema);
static const char *with_parameters(const char *before, const SmrtModel *model);
static void write_message(const char *role, const SmrtTemplate *content,
						  const SmrtModel *model, const Datum *values,
						  const bool *nulls, SmrtBuf *body);

void
smrt_prompt_prepare(SmrtModel *model)
{
	check_format(model);
	model->prompt_begin = model->prompt_end = "";
	if (model->format == SMRT_FORMAT_CHAT)
		prepare_chat(model);
	else if (model->format == SMRT_FORMAT_INPUTS)
		model->constant = with_parameters(model->constant, model);
	else if (model->prompt != NULL)
	{
		model->prompt_begin = psprintf("{%s%s%s\"inputs\":",
									   model->stream ? STREAM "," : "",
									   with_parameters("", model),
									   model->parameters != NULL ? "," : "");
		model->prompt_end = "}";
		if (model->predictions == NULL && !model->stream)
			model->predictions = GENERATED_TEXT;
	}
}

static void
check_format(const SmrtModel *model)
{
	bool		is_chat = model->format == SMRT_FORMAT_CHAT;
	bool		may_prompt = is_chat || model->format == SMRT_FORMAT_INPUTS ||
		model->format == SMRT_FORMAT_SINGLE;

	if (model->system != NULL && !is_chat)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"system\" is not valid: only the format chat has room for it")));
	if (model->prompt != NULL && !may_prompt)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"prompt\" is not valid: only the formats chat, inputs and single have room for it")));
	if (model->parameters != NULL && model->format != SMRT_FORMAT_CHAT &&
		model->format != SMRT_FORMAT_INPUTS && model->prompt == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"parameters\" is not valid: only the formats chat and inputs, and single with a prompt, have room for it")));
	if (!is_chat && (model->response_format != SMRT_RESPONSE_WORDS ||
					 model->undecided_is_null || model->repair))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" is not valid: it is for the format chat",
						model->repair ? "repair" :
						model->undecided_is_null ? "undecided_is_null" :
						"response_format")));
	if (is_chat && model->prompt == NULL && model->n_arguments > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"prompt\" is missing"),
				 errdetail("Only an argument that is the only one can be the whole message.")));
}

/*
 * Messages come last, so that more can be appended to them, and what is the same
 * in all rows first.
 */
static void
prepare_chat(SmrtModel *model)
{
	StringInfoData begin;
	StringInfoData schema;
	char	   *problem;

	if (model->prompt == NULL)
		model->prompt = smrt_template_parse(model, "{1}", &problem);
	if (!model->stream)
		model->schema = smrt_schema_make(model);
	initStringInfo(&begin);
	appendStringInfoString(&begin, model->stream ? "{" STREAM "," : "{");
	if (model->parameters != NULL && model->parameters[0] != '\0')
		appendStringInfo(&begin, "%s,", model->parameters);
	if (model->schema != NULL)
	{
		initStringInfo(&schema);
		smrt_schema_write(model->schema, &schema);
		append_response_format(model, schema.data, &begin);
		if (model->response_format != SMRT_RESPONSE_JSON_SCHEMA ||
			smrt_schema_is_open(model->schema))
			ask_in_words(model, schema.data);
	}
	appendStringInfoString(&begin, "\"messages\":[");
	model->prompt_begin = begin.data;
	model->prompt_end = "]}";
}

/* Any JSON is no schema that servers take. */
static void
append_response_format(const SmrtModel *model, const char *schema,
					   StringInfo begin)
{
	char	   *utf8;

	if (model->response_format == SMRT_RESPONSE_WORDS)
		return;
	if (model->response_format == SMRT_RESPONSE_JSON_OBJECT ||
		smrt_schema_is_open(model->schema))
	{
		appendStringInfoString(begin, "\"response_format\":{\"type\":\"json_object\"},");
		return;
	}
	utf8 = pg_server_to_any(schema, (int) strlen(schema), PG_UTF8);
	appendStringInfo(begin,
					 "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"strict\":true,\"schema\":%s}},",
					 utf8);
}

/* Not every model knows a message of the role system. */
static void
ask_in_words(SmrtModel *model, const char *schema)
{
	SmrtTemplate *template = model->system ? model->system : model->prompt;

	if (smrt_schema_is_open(model->schema))
		smrt_template_add_text(template, ASK_FOR_JSON);
	else
		smrt_template_add_text(template,
							   psprintf(ASK_FOR_JSON " It has to fit this JSON schema: %s%s",
										schema,
										model->undecided_is_null ?
										" What cannot be decided is null." : ""));
}

/* "parameters":{...}, after other members if there are any. */
static const char *
with_parameters(const char *before, const SmrtModel *model)
{
	if (model->parameters == NULL)
		return before;
	return psprintf("%s%s\"parameters\":{%s}", before ? before : "",
					before != NULL && before[0] != '\0' ? "," : "",
					model->parameters);
}

void
smrt_prompt_write(const SmrtModel *model, const Datum *values,
				  const bool *nulls, SmrtBuf *body)
{
	smrt_buf_append_string(body, model->prompt_begin);
	if (model->format != SMRT_FORMAT_CHAT)
		smrt_template_write(model->prompt, model, values, nulls, body);
	else
	{
		if (model->system != NULL)
		{
			write_message("system", model->system, model, values, nulls, body);
			smrt_buf_append_char(body, ',');
		}
		write_message("user", model->prompt, model, values, nulls, body);
	}
	smrt_buf_append_string(body, model->prompt_end);
}

static void
write_message(const char *role, const SmrtTemplate *content,
			  const SmrtModel *model, const Datum *values, const bool *nulls,
			  SmrtBuf *body)
{
	smrt_buf_append_string(body, "{\"role\":\"");
	smrt_buf_append_string(body, role);
	smrt_buf_append_string(body, "\",\"content\":");
	smrt_template_write(content, model, values, nulls, body);
	smrt_buf_append_char(body, '}');
}
