/*
 * Reading messages.  Models wrap JSON into prose and fences; all of that is passed
 * over, but JSON that does not fit the schema is not the answer.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "model/jsonvalue.h"
#include "model/message.h"
#include "model/schema.h"
#include "pg/alloc.h"
#include "pg/json.h"
#include "pg/report.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define CONTENT "$.choices[0].message.content"
#define REFUSAL "$.choices[0].message.refusal"
#define FINISH_REASON "$.choices[0].finish_reason"

/* How much of an answer that does not fit is shown. */
#define SHOWN_BYTES 200

/* In so many places of a message JSON is sought. */
#define MAX_PLACES 100

static char *find_text(Jsonb *body, const char *path);
static bool fail(SmrtAnswer *answer, SmrtFaultKind kind, const char *text);
static char *first_bytes(const char *text);
static bool read_json(const SmrtModel *model, SmrtAnswer *answer);
static bool read_value(const SmrtModel *model, SmrtSpan text,
					   SmrtAnswer *answer, SmrtError *problem);
static size_t bracketed_len(SmrtSpan text);

bool
smrt_message_read(const SmrtModel *model, Jsonb *body, SmrtAnswer *answer,
				  SmrtError *error)
{
	char	   *refusal = find_text(body, REFUSAL);
	char	   *reason = find_text(body, FINISH_REASON);
	char	   *trouble = find_text(body, "$.error.message");

	if (trouble == NULL)
		trouble = find_text(body, "$.error");
	answer->message = find_text(body, model->predictions ? model->predictions : CONTENT);
	if (refusal != NULL && refusal[0] != '\0')
		return fail(answer, SMRT_FAULT_DECLINED, first_bytes(refusal));
	if (reason != NULL && strcmp(reason, "content_filter") == 0)
		return fail(answer, SMRT_FAULT_DECLINED, reason);
	if (reason != NULL && strcmp(reason, "length") == 0)
		return fail(answer, SMRT_FAULT_CUT,
					answer->message ? first_bytes(answer->message) : NULL);
	if (answer->message == NULL && trouble != NULL)
		return fail(answer, SMRT_FAULT_IN_ANSWER, first_bytes(trouble));
	if (answer->message == NULL)
		return smrt_error_set(error, "the answer has no message");
	if (model->schema != NULL)
		return read_json(model, answer);
	answer->whole.type = jbvString;
	answer->whole.val.string.val = answer->message;
	answer->whole.val.string.len = (int) strlen(answer->message);
	return true;
}

static char *
find_text(Jsonb *body, const char *path)
{
	JsonbValue *value = smrt_json_find(body, path);

	return value ? smrt_json_scalar(value) : NULL;
}

static bool
fail(SmrtAnswer *answer, SmrtFaultKind kind, const char *text)
{
	answer->fault.kind = kind;
	answer->fault.text = smrt_span(text);
	return false;
}

static char *
first_bytes(const char *text)
{
	int			len = (int) strlen(text);
	int			shown = pg_mbcliplen(text, len, SHOWN_BYTES);

	return psprintf("%.*s%s", shown, text, shown < len ? "..." : "");
}

/* All of the message, or else the first JSON in it that fits. */
static bool
read_json(const SmrtModel *model, SmrtAnswer *answer)
{
	SmrtSpan	rest = smrt_span(answer->message);
	SmrtError	problem = {""};

	if (read_value(model, rest, answer, &problem))
		return true;
	for (int place = 0; place < MAX_PLACES; place++)
	{
		size_t		len;

		while (rest.len > 0 && rest.data[0] != '{' && rest.data[0] != '[')
			rest = smrt_span_after(rest, 1);
		len = bracketed_len(rest);
		if (rest.len == 0)
			break;
		if (len > 0 && read_value(model, smrt_span_of(rest.data, len), answer,
								  &problem))
			return true;
		/* What is within JSON that does not fit is no answer. */
		rest = smrt_span_after(rest, Max(len, 1));
	}
	answer->problem = pstrdup(problem.text[0] ? problem.text : "it holds no JSON");
	return fail(answer, SMRT_FAULT_OUTSIDE,
				psprintf("%s: %s", answer->problem,
						 first_bytes(answer->message)));
}

/* The first problem with anything that is JSON is kept. */
static bool
read_value(const SmrtModel *model, SmrtSpan text, SmrtAnswer *answer,
		   SmrtError *problem)
{
	JsonbValue	root;
	JsonbValue *value;
	SmrtError	error;

	if (smrt_json_problem(text, GetDatabaseEncoding()) != NULL)
		return false;
	root = smrt_json_root(DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
															 CStringGetDatum(pnstrdup(text.data, text.len)))));
	value = smrt_schema_read(model->schema, &root, &error);
	if (value != NULL)
		answer->whole = *value;
	else if (problem->text[0] == '\0')
		*problem = error;
	return value != NULL;
}

/*
 * How long a text is that begins with a bracket and ends with the one that closes
 * it; 0: there is none.  Brackets in strings do not count.
 */
static size_t
bracketed_len(SmrtSpan text)
{
	int			depth = 0;
	bool		in_string = false;

	for (size_t i = 0; i < text.len; i++)
	{
		switch (text.data[i])
		{
			case '"':
				in_string = !in_string;
				break;
			case '\\':
				i += in_string;
				break;
			case '{':
			case '[':
				depth += !in_string;
				break;
			case '}':
			case ']':
				depth -= !in_string;
				if (depth == 0)
					return i + 1;
				break;
		}
	}
	return 0;
}

SmrtSpan
smrt_message_repair(const SmrtModel *model, const SmrtAnswer *answer,
					SmrtSpan body)
{
	SmrtBuf		longer;

	smrt_buf_init(&longer, &smrt_alloc_palloc, MaxAllocSize - 1);
	/* Messages end the body: model/prompt.c. */
	smrt_buf_append(&longer, body.data, body.len - strlen(model->prompt_end));
	smrt_buf_append_string(&longer, ",{\"role\":\"assistant\",\"content\":");
	smrt_jsonvalue_string(answer->message, &longer);
	smrt_buf_append_string(&longer, "},{\"role\":\"user\",\"content\":");
	smrt_jsonvalue_string(psprintf("That is not what was asked for: %s. Answer again, with JSON only.",
								   answer->problem), &longer);
	smrt_buf_append_char(&longer, '}');
	smrt_buf_append_string(&longer, model->prompt_end);
	return smrt_buf_span(&longer);
}
