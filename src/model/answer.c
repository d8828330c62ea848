/*
 * Splitting answers.  Row order is the only link between a row and its
 * prediction, so the counts must agree: nothing is guessed.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model/answer.h"
#include "model/csv.h"
#include "model/deltas.h"
#include "model/message.h"
#include "model/tensor.h"
#include "model/tokens.h"
#include "pg/json.h"
#include "pg/report.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/jsonpath.h"

typedef struct TypeRow
{
	SmrtSpan	content_type;	/* without parameters */
	SmrtAnswerFormat format;
} TypeRow;

static const TypeRow types[] = {
	{SMRT_LITERAL("text/csv"), SMRT_ANSWER_CSV},
	{SMRT_LITERAL("application/json"), SMRT_ANSWER_JSON},
	{SMRT_LITERAL("application/jsonlines"), SMRT_ANSWER_JSONLINES},
	{SMRT_LITERAL("application/x-ndjson"), SMRT_ANSWER_JSONLINES},
	{SMRT_LITERAL("application/x-recordio-protobuf"), SMRT_ANSWER_RECORDIO},
	{SMRT_LITERAL("application/x-npy"), SMRT_ANSWER_NPY},
};

/* Where containers put the list, the likeliest first. */
static const char *const list_names[] = {"predictions", "outputs", "scores",
"projections"};

static bool split(const SmrtModel *model, const SmrtResponse *response,
				  int n_rows, SmrtAnswer *answer, SmrtError *error);
static SmrtAnswerFormat format_of(const SmrtModel *model,
								  SmrtSpan content_type);
static SmrtAnswerFormat find_format(SmrtSpan content_type);
static bool split_stream(const SmrtModel *model, const SmrtResponse *response,
						 SmrtAnswer *answer, SmrtError *error);
static bool is_markup(SmrtSpan body);
static bool split_csv(const SmrtModel *model, SmrtSpan body, int n_rows,
					  SmrtAnswer *answer, SmrtError *error);
static int	take_records(SmrtSpan rest, int max, SmrtAnswer *answer);
static bool name_fields(SmrtSpan names, int n_rows, SmrtAnswer *answer,
						SmrtError *error);
static void append_field(StringInfo json, SmrtSpan field);
static bool split_one_line(SmrtSpan line, int n_rows, SmrtAnswer *answer);
static bool split_json(const SmrtModel *model, SmrtSpan body, int n_rows,
					   SmrtAnswer *answer, SmrtError *error);
static bool split_lines(SmrtSpan body, int n_rows, SmrtAnswer *answer,
						SmrtError *error);
static bool read_order(const SmrtModel *model, Jsonb *body, int n_rows,
					   SmrtAnswer *answer, SmrtError *error);
static JsonbContainer *list_at(Jsonb *body, const char *path);
static JsonbContainer *find_list(const SmrtModel *model, Jsonb *body);
static JsonbContainer *as_array(JsonbValue *value);
static bool wrong_count(int n_rows, int n, SmrtError *error);

bool
smrt_answer_split(const SmrtModel *model, const SmrtResponse *response,
				  int n_rows, SmrtAnswer *answer, SmrtError *error)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool fits = false;

	/*
	 * What the database's encoding or jsonb cannot hold, and nesting that exhausts
	 * the stack, are raised by the server's own code.  It holds nothing but memory
	 * then.  What comes as an interrupt meanwhile, such as a parallel worker's error,
	 * is not the answer's; and an answer that is here is counted before a cancel is
	 * heard.
	 */
	HOLD_INTERRUPTS();
	PG_TRY();
	{
		fits = split(model, response, n_rows, answer, error);
	}
	PG_CATCH();
	{
		ErrorData  *problem;

		MemoryContextSwitchTo(context);
		if (!smrt_report_is_of_data(geterrcode()))
			PG_RE_THROW();
		/* The error has let them go. */
		HOLD_INTERRUPTS();
		problem = CopyErrorData();
		FlushErrorState();
		(void) smrt_error_set(error,
							  problem->sqlerrcode == ERRCODE_INVALID_TEXT_REPRESENTATION && problem->detail ?
							  "the answer is not JSON: %s" : "the answer cannot be read: %s",
							  problem->detail ? problem->detail : problem->message);
	}
	PG_END_TRY();
	RESUME_INTERRUPTS();
	return fits;
}

static bool
split(const SmrtModel *model, const SmrtResponse *response, int n_rows,
	  SmrtAnswer *answer, SmrtError *error)
{
	SmrtAnswerFormat format = format_of(model, response->content_type);
	SmrtSpan	body = response->body;
	char	   *converted;

	memset(answer, 0, sizeof(*answer));
	/* What JSON there is may tell others. */
	smrt_tokens_of_none(model->token_paths, &answer->tokens);
	if (model->stream)
		return split_stream(model, response, answer, error);
	answer->json = format != SMRT_ANSWER_CSV;
	if (format == SMRT_ANSWER_RECORDIO || format == SMRT_ANSWER_NPY)
	{
		converted = format == SMRT_ANSWER_RECORDIO ?
			smrt_tensor_from_recordio(body, error) :
			smrt_tensor_from_npy(body, error);
		return converted != NULL &&
			split_json(model, smrt_span(converted), n_rows, answer, error);
	}
	if (!pg_verify_mbstr(PG_UTF8, body.data, body.len, true))
		return smrt_error_set(error, "the answer is not UTF-8");
	converted = pg_any_to_server(body.data, body.len, PG_UTF8);
	if (converted != body.data)
		body = smrt_span(converted);
	/* To CSV anything is a text, a page of HTML too. */
	if (format == SMRT_ANSWER_CSV && is_markup(body) &&
		find_format(response->content_type) == SMRT_ANSWER_COUNT)
		return smrt_error_set(error, "the answer is of type \"%s\"",
							  smrt_report_text(response->content_type, 100));
	switch (format)
	{
		case SMRT_ANSWER_CSV:
			return split_csv(model, body, n_rows, answer, error);
		case SMRT_ANSWER_JSONLINES:
			return split_lines(body, n_rows, answer, error);
		default:
			return split_json(model, body, n_rows, answer, error);
	}
}

/* It is one row's text, all of it. */
static bool
split_stream(const SmrtModel *model, const SmrtResponse *response,
			 SmrtAnswer *answer, SmrtError *error)
{
	char	   *text = smrt_deltas_join(response, model, &answer->tokens,
										&answer->fault);

	if (text == NULL)
		return smrt_error_set(error, "it holds no text");
	answer->json = true;
	answer->whole.type = jbvString;
	answer->whole.val.string.val = text;
	answer->whole.val.string.len = strlen(text);
	return true;
}

/* What says nothing is what was asked for, or at least as the request is. */
static SmrtAnswerFormat
format_of(const SmrtModel *model, SmrtSpan content_type)
{
	const char *accept = model->members[SMRT_MEMBER_ACCEPT];
	SmrtAnswerFormat format = model->answer_format;

	if (format == SMRT_ANSWER_COUNT)
		format = find_format(content_type);
	if (format == SMRT_ANSWER_COUNT)
		format = find_format(smrt_span(accept ? accept :
									   smrt_model_accept(model)));
	if (format == SMRT_ANSWER_COUNT)
		format = smrt_model_row_kind(model) == SMRT_ROW_JSON ?
			SMRT_ANSWER_JSON : SMRT_ANSWER_CSV;
	return format;
}

/* COUNT: the type says nothing. */
static SmrtAnswerFormat
find_format(SmrtSpan content_type)
{
	SmrtSpan	type = smrt_span_up_to(content_type, ';');

	while (type.len > 0 && type.data[type.len - 1] == ' ')
		type.len--;
	for (int i = 0; i < lengthof(types); i++)
		if (smrt_span_equal_nocase(types[i].content_type, type))
			return types[i].format;
	return SMRT_ANSWER_COUNT;
}

static bool
is_markup(SmrtSpan body)
{
	while (body.len > 0 && strchr(" \t\r\n", body.data[0]) != NULL)
		body = smrt_span_of(body.data + 1, body.len - 1);
	return body.len > 0 && body.data[0] == '<';
}

static bool
split_csv(const SmrtModel *model, SmrtSpan body, int n_rows,
		  SmrtAnswer *answer, SmrtError *error)
{
	SmrtSpan	names;
	int			n;

	if (model->answer_header && !smrt_csv_record(&body, &names))
		return wrong_count(n_rows, 0, error);
	n = take_records(body, n_rows, answer);
	if (n == n_rows && model->answer_header)
		return name_fields(names, n_rows, answer, error);
	if (n == n_rows)
		return true;
	/* Older XGBoost images write all predictions on one line. */
	if (n == 1 && !model->answer_header &&
		(model->result == SMRT_RESULT_RAW ||
		 (!model->is_set && model->whole != NULL &&
		  model->whole->kind == SMRT_RESULT_SCALAR)) &&
		split_one_line(answer->texts[0], n_rows, answer))
		return true;
	return wrong_count(n_rows, n, error);
}

/* Gives how many there are; more than max are not kept. */
static int
take_records(SmrtSpan rest, int max, SmrtAnswer *answer)
{
	SmrtSpan	record;
	int			n = 0;

	answer->texts = palloc(max * sizeof(SmrtSpan));
	while (smrt_csv_record(&rest, &record))
	{
		if (n < max)
			answer->texts[n] = record;
		n++;
	}
	return n;
}

/* Records become JSON objects, or values where there is one name. */
static bool
name_fields(SmrtSpan names, int n_rows, SmrtAnswer *answer, SmrtError *error)
{
	answer->json = true;
	for (int i = 0; i < n_rows; i++)
	{
		StringInfoData object;
		SmrtSpan	rest_of_names = names;
		SmrtSpan	record = answer->texts[i];
		bool		more_names = true;
		bool		more = true;
		bool		is_alone = true;

		initStringInfo(&object);
		while (more && more_names)
		{
			SmrtSpan	name = smrt_csv_field(&rest_of_names, &more_names);
			SmrtSpan	field = smrt_csv_field(&record, &more);

			is_alone = is_alone && !more_names;
			if (!is_alone)
			{
				appendStringInfoChar(&object, object.len ? ',' : '{');
				append_field(&object, name);
				appendStringInfoChar(&object, ':');
			}
			if (field.len > 0)
				append_field(&object, field);
			else
				appendStringInfoString(&object, "null");
		}
		if (more || more_names)
			return smrt_error_set(error, "line %d has not as many fields as the header",
								  i + 2);
		if (!is_alone)
			appendStringInfoChar(&object, '}');
		answer->texts[i] = smrt_span_of(object.data, object.len);
	}
	return true;
}

/* Its value as a JSON string. */
static void
append_field(StringInfo json, SmrtSpan field)
{
	char	   *text = palloc(field.len + 1);

	text[smrt_csv_value(field, text)] = '\0';
	escape_json(json, text);
}

static bool
split_one_line(SmrtSpan line, int n_rows, SmrtAnswer *answer)
{
	bool		more = true;
	int			n = 0;

	while (more)
	{
		SmrtSpan	field = smrt_csv_field(&line, &more);

		if (n < n_rows)
			answer->texts[n] = field;
		n++;
	}
	return n == n_rows;
}

static bool
split_lines(SmrtSpan body, int n_rows, SmrtAnswer *answer, SmrtError *error)
{
	const char *line = body.data;
	const char *end = body.data + body.len;
	int			n = 0;

	answer->texts = palloc(n_rows * sizeof(SmrtSpan));
	while (line < end)
	{
		const char *eol = memchr(line, '\n', end - line);
		SmrtSpan	piece = smrt_span_of(line, (eol ? eol : end) - line);

		line = eol ? eol + 1 : end;
		while (piece.len > 0 && strchr(" \t\r,", piece.data[piece.len - 1]))
			piece.len--;
		if (piece.len == 0)
			continue;
		if (n < n_rows)
			answer->texts[n] = piece;
		n++;
	}
	return n == n_rows || wrong_count(n_rows, n, error);
}

static bool
split_json(const SmrtModel *model, SmrtSpan body, int n_rows,
		   SmrtAnswer *answer, SmrtError *error)
{
	char	   *text = pnstrdup(body.data, body.len);
	Jsonb	   *jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
														   CStringGetDatum(text)));

	pfree(text);
	if (smrt_tokens_are_told(model))
		smrt_tokens_read(model->token_paths, jsonb, &answer->tokens);
	if (model->format == SMRT_FORMAT_CHAT)
		return smrt_message_read(model, jsonb, answer, error);
	/* One row that was sent alone is answered by one value. */
	if (model->format == SMRT_FORMAT_SINGLE && model->predictions == NULL)
	{
		answer->whole = smrt_json_root(jsonb);
		return true;
	}
	answer->list = find_list(model, jsonb);
	if (answer->list == NULL)
		return smrt_error_set(error, "the answer has no list of predictions");
	if (JsonContainerSize(answer->list) != n_rows)
		return wrong_count(n_rows, JsonContainerSize(answer->list), error);
	return model->index == NULL ||
		read_order(model, jsonb, n_rows, answer, error);
}

static JsonbContainer *
find_list(const SmrtModel *model, Jsonb *body)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbContainer *only = NULL;
	JsonbValue	value;
	int			n_lists = 0;

	if (model->predictions != NULL)
		return list_at(body, model->predictions);
	if (JB_ROOT_IS_ARRAY(body) && !JB_ROOT_IS_SCALAR(body))
		return &body->root;
	if (!JB_ROOT_IS_OBJECT(body))
		return NULL;
	for (int i = 0; i < lengthof(list_names); i++)
	{
		JsonbValue *named = getKeyJsonValueFromContainer(&body->root,
														 list_names[i],
														 strlen(list_names[i]),
														 NULL);

		if (named != NULL && as_array(named) != NULL)
			return as_array(named);
	}
	iterator = JsonbIteratorInit(&body->root);
	(void) JsonbIteratorNext(&iterator, &value, false);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
		if (token == WJB_VALUE && as_array(&value) != NULL)
		{
			only = as_array(&value);
			n_lists++;
		}
	return n_lists == 1 ? only : NULL;
}

static JsonbContainer *
list_at(Jsonb *body, const char *path)
{
	Datum		list = DirectFunctionCall4(jsonb_path_query_array,
										   JsonbPGetDatum(body),
										   DirectFunctionCall1(jsonpath_in, CStringGetDatum(path)),
										   DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")),
										   BoolGetDatum(true));

	return &DatumGetJsonbP(list)->root;
}

/* Each row's number must be there once. */
static bool
read_order(const SmrtModel *model, Jsonb *body, int n_rows, SmrtAnswer *answer,
		   SmrtError *error)
{
	JsonbContainer *list = list_at(body, model->index);

	if (JsonContainerSize(list) != n_rows)
		return smrt_error_set(error, "the answer has %d row numbers for %d rows",
							  (int) JsonContainerSize(list), n_rows);
	answer->order = palloc(n_rows * sizeof(int));
	memset(answer->order, -1, n_rows * sizeof(int));
	for (int i = 0; i < n_rows; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(list, i);
		char	   *text = value->type == jbvNumeric ? smrt_json_scalar(value) : "none";
		char	   *end;
		long		row = strtol(text, &end, 10);

		if (*end != '\0' || row < 0 || row >= n_rows || answer->order[row] >= 0)
			return smrt_error_set(error, "the answer's row numbers are not those of %d rows, each once",
								  n_rows);
		answer->order[row] = i;
	}
	return true;
}

static JsonbContainer *
as_array(JsonbValue *value)
{
	return value->type == jbvBinary &&
		JsonContainerIsArray(value->val.binary.data) ?
		value->val.binary.data : NULL;
}

static bool
wrong_count(int n_rows, int n, SmrtError *error)
{
	return smrt_error_set(error, "%d rows were sent, %d predictions came back",
						  n_rows, n);
}

SmrtPiece
smrt_answer_piece(const SmrtAnswer *answer, int row)
{
	SmrtPiece	piece = {.json = answer->json};

	if (answer->texts != NULL)
		piece.text = answer->texts[row];
	else if (answer->list != NULL)
		piece.value = getIthJsonbValueFromContainer(answer->list,
													answer->order ? answer->order[row] : row);
	else
		piece.value = unconstify(JsonbValue *, &answer->whole);
	return piece;
}

SmrtSpan
smrt_piece_text(const SmrtPiece *piece)
{
	return piece->value ? smrt_span(smrt_json_text(piece->value)) : piece->text;
}
