/*
 * Reading numbers of tokens.
 */
#include "postgres.h"

#include "model/tokens.h"
#include "pg/json.h"

/* The first that leads to a number counts. */
static const char *const input_paths[] = {
	"$.usage.prompt_tokens",	/* OpenAI's shape: chats, completions, embeddings */
	"$.details.prefill.size()",	/* TGI, LMI, where it was asked for */
};

static const char *const output_paths[] = {
	"$.usage.completion_tokens",
	"$.details.generated_tokens",
};

/* More no request takes; sums of so many fit. */
#define MAX_TOKENS INT64CONST(1000000000)

static int64 find(Jsonb *body, const char *path);
static int64 find_first(Jsonb *body, const char *own_path,
						const char *const *paths, int n);

void
smrt_tokens_read(const SmrtModel *model, Jsonb *body, SmrtAnswer *answer)
{
	bool		is_language_model = model->format == SMRT_FORMAT_CHAT ||
		model->format == SMRT_FORMAT_INPUTS || model->format == SMRT_FORMAT_SINGLE;

	/* Others are not searched for what they do not have. */
	if (!is_language_model && model->input_tokens == NULL &&
		model->output_tokens == NULL)
		return;
	answer->input_tokens = find_first(body, model->input_tokens, input_paths,
									  lengthof(input_paths));
	answer->output_tokens = find_first(body, model->output_tokens, output_paths,
									   lengthof(output_paths));
	answer->has_tokens = answer->input_tokens > 0 || answer->output_tokens > 0;
}

static int64
find_first(Jsonb *body, const char *own_path, const char *const *paths, int n)
{
	int64		tokens = 0;

	if (own_path != NULL)
		return find(body, own_path);
	for (int i = 0; i < n && tokens == 0; i++)
		tokens = find(body, paths[i]);
	return tokens;
}

/* 0: there are none. */
static int64
find(Jsonb *body, const char *path)
{
	JsonbValue *value = smrt_json_find(body, path);
	int64		tokens;

	if (value == NULL || value->type != jbvNumeric)
		return 0;
	tokens = strtoll(smrt_json_scalar(value), NULL, 10);
	return tokens > 0 && tokens <= MAX_TOKENS ? tokens : 0;
}
