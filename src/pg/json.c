/*
 * JSON from outside.
 */
#include "postgres.h"

#include "aws/digest.h"
#include "mb/pg_wchar.h"
#include "pg/compat.h"
#include "pg/json.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

typedef struct ReadState
{
	SmrtJsonMember *members;
	int			n_members;
	int			depth;
	bool		object;			/* the outermost value is an object */
	char	   *field;			/* name of the field at depth 1 */
} ReadState;

static bool parse(SmrtSpan text, ReadState *state);
static void forget(char *text);

bool
smrt_json_members(SmrtSpan text, SmrtJsonMember *members, int n_members)
{
	ReadState	state = {members, n_members};
	MemoryContext context = CurrentMemoryContext;
	MemoryContext scratch;
	volatile bool parsed = false;

	if (text.len == 0 || text.len > MaxAllocSize / 8 ||
		!pg_verify_mbstr(PG_UTF8, text.data, text.len, true))
		return false;

	/*
	 * The parser raises two errors by itself: over a character that the
	 * database's encoding lacks, and when nesting exhausts the stack.  It holds
	 * nothing but memory of the scratch context then.
	 */
	scratch = AllocSetContextCreate(context, "sagemaker_rt JSON",
									ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(scratch);
	PG_TRY();
	{
		parsed = parse(text, &state);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(scratch);
		if (geterrcode() != ERRCODE_UNTRANSLATABLE_CHARACTER &&
			geterrcode() != ERRCODE_STATEMENT_TOO_COMPLEX)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);

	for (int i = 0; i < n_members; i++)
		if (members[i].value != NULL)
		{
			char	   *token = members[i].value;

			members[i].value = parsed && state.object ? pstrdup(token) : NULL;
			forget(token);
		}
	MemoryContextDelete(scratch);
	return parsed && state.object;
}

static SmrtJsonVerdict
on_object_start(void *context)
{
	ReadState  *state = context;

	if (state->depth++ == 0)
		state->object = true;
	return SMRT_JSON_GO_ON;
}

static SmrtJsonVerdict
on_array_start(void *context)
{
	((ReadState *) context)->depth++;
	return SMRT_JSON_GO_ON;
}

static SmrtJsonVerdict
on_end(void *context)
{
	((ReadState *) context)->depth--;
	return SMRT_JSON_GO_ON;
}

static SmrtJsonVerdict
on_field(void *context, char *name, bool is_null)
{
	ReadState  *state = context;

	if (state->depth == 1)
		state->field = name;
	return SMRT_JSON_GO_ON;
}

static SmrtJsonVerdict
on_scalar(void *context, char *token, JsonTokenType type)
{
	ReadState  *state = context;
	char	   *unwanted = token;

	if (state->depth == 1 && state->object && state->field != NULL &&
		type != JSON_TOKEN_NULL)
		for (int i = 0; i < state->n_members; i++)
			if (pg_strcasecmp(state->members[i].name, state->field) == 0)
			{
				unwanted = state->members[i].value;
				state->members[i].value = token;
			}
	forget(unwanted);
	return SMRT_JSON_GO_ON;
}

static bool
parse(SmrtSpan text, ReadState *state)
{
	JsonSemAction actions = {0};
	char	   *copy = pg_any_to_server(pnstrdup(text.data, text.len), text.len,
										PG_UTF8);
	JsonLexContext *lexer = smrt_json_lexer(copy, strlen(copy),
											GetDatabaseEncoding());
	bool		parsed;

	actions.semstate = state;
	actions.object_start = on_object_start;
	actions.object_end = on_end;
	actions.array_start = on_array_start;
	actions.array_end = on_end;
	actions.object_field_start = on_field;
	actions.scalar = on_scalar;
	parsed = pg_parse_json(lexer, &actions) == JSON_SUCCESS;
	/* They may have held keys; members have copies of their own. */
	smrt_cleanse(copy, strlen(copy));
	smrt_cleanse(lexer->strval->data, lexer->strval->maxlen);
	return parsed;
}

static void
forget(char *text)
{
	if (text != NULL)
		smrt_cleanse(text, strlen(text));
}

char *
smrt_json_problem(SmrtSpan text, int encoding)
{
	JsonSemAction nothing = {0};
	JsonLexContext *lexer;
	JsonParseErrorType verdict;

	if (!pg_verify_mbstr(encoding, text.data, text.len, true))
		return psprintf("it is not %s", encoding == PG_UTF8 ? "UTF-8" :
						pg_encoding_to_char(encoding));
	lexer = smrt_json_lexer(pnstrdup(text.data, text.len), text.len, encoding);
	verdict = pg_parse_json(lexer, &nothing);
	return verdict == JSON_SUCCESS ? NULL : json_errdetail(verdict, lexer);
}

char *
smrt_json_scalar(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			return NULL;
	}
}

char *
smrt_json_text(JsonbValue *value)
{
	Jsonb	   *jsonb;

	if (value->type == jbvBinary)
		return JsonbToCString(NULL, value->val.binary.data,
							  value->val.binary.len);
	jsonb = JsonbValueToJsonb(value);
	return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
}

JsonbValue
smrt_json_root(Jsonb *jsonb)
{
	JsonbValue	value;

	if (JB_ROOT_IS_SCALAR(jsonb))
		(void) JsonbExtractScalar(&jsonb->root, &value);
	else
	{
		value.type = jbvBinary;
		value.val.binary.data = &jsonb->root;
		value.val.binary.len = VARSIZE(jsonb);
	}
	return value;
}

/* A path leaves a lot of memory behind. */
JsonbValue *
smrt_json_find(Jsonb *jsonb, const char *path)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(context, "sagemaker_rt jsonpath",
												  ALLOCSET_SMALL_SIZES);
	JsonbValue *found;
	JsonbValue *copy = NULL;
	Datum		all;

	MemoryContextSwitchTo(scratch);
	all = DirectFunctionCall4(jsonb_path_query_array, JsonbPGetDatum(jsonb),
							  DirectFunctionCall1(jsonpath_in, CStringGetDatum(path)),
							  DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")),
							  BoolGetDatum(true));
	found = getIthJsonbValueFromContainer(&DatumGetJsonbP(all)->root, 0);
	MemoryContextSwitchTo(context);
	if (found != NULL)
	{
		copy = palloc(sizeof(JsonbValue));
		*copy = smrt_json_root(JsonbValueToJsonb(found));
	}
	MemoryContextDelete(scratch);
	return copy;
}
