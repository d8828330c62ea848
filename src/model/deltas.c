/*
 * Reading text out of streams.
 *
 * Nothing is passed over in silence: a message of no known form is a fault, and
 * so is a stream of a form that tells its end, if it has not told it.
 */
#include "postgres.h"

#include "aws/messages.h"
#include "mb/pg_wchar.h"
#include "model/deltas.h"
#include "model/tokens.h"
#include "pg/alloc.h"
#include "pg/json.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Of several choices, whose chunks come mixed, the first one is read. */
#define FIRST_CHOICE "$.choices[*] ? (!(@.index > 0))"

/* Where known servers have their text; the first that is there counts. */
static const char *const text_paths[] = {
	"$.token ? (!(@.special == true)).text",	/* LMI, TGI */
	FIRST_CHOICE ".delta.content",	/* OpenAI's chat, in chunks */
	FIRST_CHOICE ".text",		/* OpenAI's completions */
	"$.outputs[0]",				/* LMI, dynamic batch */
	FIRST_CHOICE ".message.content",	/* the last two: as one message */
	"$ ? (!exists(@.token)).generated_text",
};

static const char *const finish_paths[] = {
	FIRST_CHOICE ".finish_reason",
	"$.details.finish_reason",
};

static const char *const usage_paths[] = {
	"$.usage",
	"$.details",
};

static const char *const error_paths[] = {
	"$.error.message",
	"$.error",
};

/* A message with one of these is of a known form, be there text in it or not. */
static const char *const known_members[] = {
	"token", "choices", "outputs", "generated_text", "usage",
};

/* Of these forms the last message says that it is the last. */
static const char *const ending_members[] = {"token", "choices"};

#define MAX_PATHS 6

/* The last one of LMI repeats the whole text. */
#define MAX_MESSAGE (16 * 1024 * 1024)

/* Paths, read once. */
typedef struct Paths
{
	int			n;
	JsonPath   *paths[MAX_PATHS];
} Paths;

struct SmrtDeltas
{
	SmrtStream *stream;			/* NULL: it was gathered */
	const SmrtResponse *response;
	SmrtSpan	whole;			/* what was gathered, until it is read */
	SmrtFault	fault;			/* in it */
	MemoryContext scratch;		/* of one call */
	MemoryContextCallback on_reset;
	SmrtMessages messages;
	Paths		text;
	Paths		finish;
	Paths		usage;
	Paths		error;
	const char *const *token_paths; /* a model's own, or NULL */
	SmrtTokens	tokens;			/* told so far */
	bool		own_path;		/* text is where the caller says */
	bool		plain;			/* the stream is the text */
	bool		begun;
	bool		stream_ended;
	bool		must_end;		/* the messages are of a form that tells its end */
	bool		has_ended;		/* and they did */
	SmrtSpan	unread;			/* of the stream's last part */
	char		cut[4];			/* the beginning of a character */
	size_t		cut_len;
};

static SmrtDeltas *create(JsonPath *path, const char *const *token_paths);
static void free_messages(void *arg);
static Paths read_paths(const char *const *texts, int n);
static void begin(SmrtDeltas *deltas);
static bool next_message(SmrtDeltas *deltas, SmrtSpan *message);
static bool next_part(SmrtDeltas *deltas);
static void judge_end(SmrtDeltas *deltas);
static bool read_message(SmrtDeltas *deltas, SmrtSpan message,
						 SmrtDelta *delta);
static bool read_error(SmrtDeltas *deltas, Jsonb *json, SmrtSpan message,
					   const char *finish_reason);
static bool has_member(const Jsonb *json, const char *const *names, int n);
static JsonbValue *find(const Jsonb *json, const Paths *paths);
static char *find_text(const Jsonb *json, const Paths *paths);
static bool next_plain(SmrtDeltas *deltas, SmrtDelta *delta);
static size_t unfinished_len(SmrtSpan text);
static bool fail(SmrtDeltas *deltas, SmrtFaultKind kind, const char *text);
static bool has_failed(const SmrtDeltas *deltas);

#define HAS_MEMBER(json, names) has_member(json, names, lengthof(names))

SmrtDeltas *
smrt_deltas_create(SmrtStream *stream, JsonPath *path,
				   const char *const *token_paths)
{
	SmrtDeltas *deltas = create(path, token_paths);

	deltas->stream = stream;
	return deltas;
}

char *
smrt_deltas_join(const SmrtResponse *response, const SmrtModel *model,
				 SmrtTokens *tokens, SmrtFault *fault)
{
	SmrtDeltas *deltas = create(smrt_deltas_path(model->predictions),
								model->token_paths);
	SmrtDelta	delta;
	StringInfoData text;

	deltas->response = response;
	deltas->whole = response->body;
	initStringInfo(&text);
	while (smrt_deltas_next(deltas, &delta))
		if (delta.text != NULL)
			appendStringInfoString(&text, delta.text);
	*tokens = deltas->tokens;
	*fault = deltas->fault;
	fault->request_id = response->request_id;
	return fault->kind == SMRT_FAULT_NONE ? text.data : NULL;
}

static SmrtDeltas *
create(JsonPath *path, const char *const *token_paths)
{
	SmrtDeltas *deltas = palloc0(sizeof(SmrtDeltas));

	StaticAssertStmt(lengthof(text_paths) <= MAX_PATHS, "paths must fit");
	deltas->scratch = AllocSetContextCreate(CurrentMemoryContext,
											"sagemaker_rt delta",
											ALLOCSET_SMALL_SIZES);
	smrt_messages_init(&deltas->messages, &smrt_alloc_malloc, MAX_MESSAGE);
	deltas->on_reset.func = free_messages;
	deltas->on_reset.arg = deltas;
	MemoryContextRegisterResetCallback(CurrentMemoryContext,
									   &deltas->on_reset);
	deltas->own_path = path != NULL;
	if (deltas->own_path)
		deltas->text = (Paths) {1, {path}};
	else
		deltas->text = read_paths(text_paths, lengthof(text_paths));
	deltas->finish = read_paths(finish_paths, lengthof(finish_paths));
	deltas->usage = read_paths(usage_paths, lengthof(usage_paths));
	deltas->error = read_paths(error_paths, lengthof(error_paths));
	deltas->token_paths = token_paths;
	smrt_tokens_of_none(token_paths, &deltas->tokens);
	return deltas;
}

static void
free_messages(void *arg)
{
	smrt_messages_free(&((SmrtDeltas *) arg)->messages);
}

static Paths
read_paths(const char *const *texts, int n)
{
	Paths		paths = {n};

	for (int i = 0; i < n; i++)
		paths.paths[i] = smrt_deltas_path(texts[i]);
	return paths;
}

JsonPath *
smrt_deltas_path(const char *text)
{
	return text == NULL ? NULL :
		DatumGetJsonPathP(DirectFunctionCall1(jsonpath_in,
											  CStringGetDatum(text)));
}

bool
smrt_deltas_next(SmrtDeltas *deltas, SmrtDelta *delta)
{
	MemoryContext before = CurrentMemoryContext;
	SmrtSpan	message;
	bool		found = false;

	memset(delta, 0, sizeof(*delta));
	MemoryContextReset(deltas->scratch);
	MemoryContextSwitchTo(deltas->scratch);
	if (!deltas->begun)
		begin(deltas);
	if (deltas->plain)
		found = next_plain(deltas, delta);
	else
		while (!found && next_message(deltas, &message))
			found = read_message(deltas, message, delta);
	/* Without an answer nothing was told, not even what is always the same. */
	if (deltas->stream != NULL && deltas->response != NULL)
		smrt_stream_note_tokens(deltas->stream, &deltas->tokens);
	if (deltas->stream != NULL && !found && !has_failed(deltas))
		smrt_stream_check_tokens(deltas->stream);
	MemoryContextSwitchTo(before);
	return found;
}

/* The first part comes with the type. */
static void
begin(SmrtDeltas *deltas)
{
	SmrtSpan	type;

	deltas->begun = true;
	if (!next_part(deltas))
		return;
	if (deltas->stream != NULL)
		deltas->response = smrt_stream_response(deltas->stream);
	type = smrt_span_up_to(deltas->response->content_type, ';');
	deltas->plain = !deltas->own_path &&
		smrt_span_equal_nocase(type, smrt_span("text/plain"));
}

/* False: the stream has ended, perhaps with a fault. */
static bool
next_part(SmrtDeltas *deltas)
{
	if (deltas->stream_ended)
		return false;
	deltas->unread = deltas->stream != NULL ? smrt_stream_next(deltas->stream) :
		deltas->whole;
	deltas->whole = smrt_span(NULL);
	deltas->stream_ended = smrt_span_absent(deltas->unread);
	return !deltas->stream_ended;
}

static bool
next_message(SmrtDeltas *deltas, SmrtSpan *message)
{
	while (!has_failed(deltas))
	{
		SmrtMessageState state = deltas->stream_ended ?
			smrt_messages_finish(&deltas->messages, message) :
			smrt_messages_read(&deltas->messages, &deltas->unread, message);

		switch (state)
		{
			case SMRT_MESSAGE_WHOLE:
				return true;
			case SMRT_MESSAGE_PARTIAL:
				if (deltas->stream_ended)
				{
					judge_end(deltas);
					return false;
				}
				(void) next_part(deltas);
				break;
			case SMRT_MESSAGE_TOO_LARGE:
				return fail(deltas, SMRT_FAULT_STREAM,
							"a message is larger than 16 MB");
			case SMRT_MESSAGE_NO_MEMORY:
				return fail(deltas, SMRT_FAULT_NO_MEMORY, NULL);
		}
	}
	return false;
}

static void
judge_end(SmrtDeltas *deltas)
{
	if (deltas->must_end && !deltas->has_ended)
		fail(deltas, SMRT_FAULT_STREAM,
			 "it ended without the model's reason to finish");
}

/* True: there is something in it. */
static bool
read_message(SmrtDeltas *deltas, SmrtSpan message, SmrtDelta *delta)
{
	char	   *problem;
	Jsonb	   *json;
	JsonbValue *usage;

	if (smrt_span_equal(message, smrt_span("[DONE]")))
	{
		deltas->has_ended = true;
		return false;
	}
	problem = smrt_json_problem(message, PG_UTF8);
	if (problem != NULL)
		return fail(deltas, SMRT_FAULT_STREAM,
					psprintf("a message is no JSON: %s: %s", problem,
							 smrt_report_text(message, 200)));
	json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
											  CStringGetDatum(pg_any_to_server(pnstrdup(message.data, message.len),
																			   (int) message.len,
																			   PG_UTF8))));
	delta->finish_reason = find_text(json, &deltas->finish);
	if (read_error(deltas, json, message, delta->finish_reason))
		return false;
	if (!deltas->own_path && !HAS_MEMBER(json, known_members))
		return fail(deltas, SMRT_FAULT_NO_TEXT, smrt_report_text(message, 200));
	deltas->must_end |= !deltas->own_path && HAS_MEMBER(json, ending_members);
	deltas->has_ended |= delta->finish_reason != NULL ||
		HAS_MEMBER(json, (const char *const[]) {"generated_text"});
	delta->text = find_text(json, &deltas->text);
	if (delta->text != NULL && delta->text[0] == '\0')
		delta->text = NULL;
	usage = find(json, &deltas->usage);
	if (usage != NULL)
		delta->usage = JsonbValueToJsonb(usage);
	if (usage != NULL || deltas->token_paths != NULL)
		smrt_tokens_read(deltas->token_paths, json, &deltas->tokens);
	return delta->text != NULL || delta->finish_reason != NULL ||
		delta->usage != NULL;
}

/*
 * LMI says it by the reason to finish, others by a member, which may also say
 * that there is none.
 */
static bool
read_error(SmrtDeltas *deltas, Jsonb *json, SmrtSpan message,
		   const char *finish_reason)
{
	char	   *text = find_text(json, &deltas->error);

	if (text != NULL && (text[0] == '\0' || strcmp(text, "false") == 0))
		text = NULL;
	if (text == NULL &&
		(finish_reason == NULL || strcmp(finish_reason, "error") != 0))
		return false;
	fail(deltas, SMRT_FAULT_IN_ANSWER,
		 text ? text : smrt_report_text(message, 1000));
	return true;
}

/* Whether it has any member of those names that is not null. */
static bool
has_member(const Jsonb *json, const char *const *names, int n)
{
	JsonbContainer *container = &unconstify(Jsonb *, json)->root;
	JsonbValue *only;

	/* One message in brackets is that message. */
	if (JB_ROOT_IS_ARRAY(json) && JB_ROOT_COUNT(json) == 1)
	{
		only = getIthJsonbValueFromContainer(container, 0);
		if (only->type != jbvBinary)
			return false;
		container = only->val.binary.data;
	}
	if (!JsonContainerIsObject(container))
		return false;
	for (int i = 0; i < n; i++)
	{
		JsonbValue *member = getKeyJsonValueFromContainer(container, names[i],
														  strlen(names[i]),
														  NULL);

		if (member != NULL && member->type != jbvNull)
			return true;
	}
	return false;
}

/* What the first path that leads to anything but null leads to, or NULL. */
static JsonbValue *
find(const Jsonb *json, const Paths *paths)
{
	Datum		no_variables = DirectFunctionCall1(jsonb_in,
												   CStringGetDatum("{}"));

	for (int i = 0; i < paths->n; i++)
	{
		Datum		all = DirectFunctionCall4(jsonb_path_query_array,
											  JsonbPGetDatum(json),
											  PointerGetDatum(paths->paths[i]),
											  no_variables, BoolGetDatum(true));
		JsonbValue *first = getIthJsonbValueFromContainer(&DatumGetJsonbP(all)->root,
														  0);

		if (first != NULL && first->type != jbvNull)
			return first;
	}
	return NULL;
}

/* The same as text; what has parts is their JSON. */
static char *
find_text(const Jsonb *json, const Paths *paths)
{
	JsonbValue *value = find(json, paths);

	if (value == NULL)
		return NULL;
	return value->type == jbvBinary ?
		JsonbToCString(NULL, value->val.binary.data, value->val.binary.len) :
		smrt_json_scalar(value);
}

/* Characters that a part cut in two are put together again. */
static bool
next_plain(SmrtDeltas *deltas, SmrtDelta *delta)
{
	while (deltas->unread.len > 0 || next_part(deltas))
	{
		size_t		len = deltas->cut_len + deltas->unread.len;
		char	   *text = palloc(len + 1);

		memcpy(text, deltas->cut, deltas->cut_len);
		memcpy(text + deltas->cut_len, deltas->unread.data, deltas->unread.len);
		deltas->unread.len = 0;
		deltas->cut_len = unfinished_len(smrt_span_of(text, len));
		len -= deltas->cut_len;
		memcpy(deltas->cut, text + len, deltas->cut_len);
		text[len] = '\0';
		if (!pg_verify_mbstr(PG_UTF8, text, (int) len, true))
			return fail(deltas, SMRT_FAULT_NO_TEXT, "it is not UTF-8");
		delta->text = pg_any_to_server(text, (int) len, PG_UTF8);
		if (len > 0)
			return true;
	}
	if (deltas->cut_len > 0 && !has_failed(deltas))
		fail(deltas, SMRT_FAULT_STREAM, "it ended within a character");
	return false;
}

/* How many bytes at the end are the beginning of a character of UTF-8. */
static size_t
unfinished_len(SmrtSpan text)
{
	for (size_t n = 1; n <= 3 && n <= text.len; n++)
	{
		const unsigned char *c = (const unsigned char *) text.data + text.len - n;

		if ((*c & 0xc0) != 0x80)
			return (size_t) pg_utf_mblen(c) > n ? n : 0;
	}
	return 0;
}

/* Gives false. */
static bool
fail(SmrtDeltas *deltas, SmrtFaultKind kind, const char *text)
{
	if (deltas->stream != NULL)
		smrt_stream_fail(deltas->stream, kind, smrt_span(text));
	else
		deltas->fault = (SmrtFault) {.kind = kind,.text = smrt_span(text)};
	return false;
}

static bool
has_failed(const SmrtDeltas *deltas)
{
	return deltas->stream != NULL ? smrt_stream_fault(deltas->stream) != NULL :
		deltas->fault.kind != SMRT_FAULT_NONE;
}
