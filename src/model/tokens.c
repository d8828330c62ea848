/*
 * Reading numbers of tokens.
 */
#include "postgres.h"

#include "model/tokens.h"
#include "pg/json.h"
#include "utils/fmgrprotos.h"

#define N_KNOWN_PATHS 2

/* The first that leads to a number counts. */
static const char *const known_paths[SMRT_TOKENS_COUNT][N_KNOWN_PATHS] = {
	[SMRT_TOKENS_INPUT] = {
		"$.usage.prompt_tokens",	/* OpenAI's shape: chats, completions, embeddings */
		"$.details.prefill.size() ? (@ > 0)",	/* TGI, LMI, where it was asked for */
	},
	[SMRT_TOKENS_OUTPUT] = {
		"$.usage.completion_tokens",
		"$.details.generated_tokens",
	},
};

/* More no request takes; sums of so many fit. */
#define MAX_TOKENS INT64CONST(1000000000)

static bool find(Jsonb *body, const char *path, int64 *n);

bool
smrt_tokens_are_told(const SmrtModel *model)
{
	for (int i = 0; i < SMRT_TOKENS_COUNT; i++)
		if (model->token_paths[i] != NULL)
			return true;
	return model->format == SMRT_FORMAT_CHAT ||
		model->format == SMRT_FORMAT_INPUTS || model->format == SMRT_FORMAT_SINGLE;
}

void
smrt_tokens_read(const char *const *own_paths, Jsonb *body, SmrtTokens *tokens)
{
	for (int i = 0; i < SMRT_TOKENS_COUNT; i++)
	{
		bool		is_own = own_paths != NULL && own_paths[i] != NULL;
		const char *const *paths = is_own ? &own_paths[i] : known_paths[i];

		for (int j = 0; j < (is_own ? 1 : N_KNOWN_PATHS); j++)
			if (find(body, paths[j], &tokens->n[i]))
			{
				tokens->told[i] = true;
				break;
			}
	}
}

void
smrt_tokens_of_none(const char *const *own_paths, SmrtTokens *tokens)
{
	for (int i = 0; i < SMRT_TOKENS_COUNT && own_paths != NULL; i++)
		if (own_paths[i] != NULL)
			tokens->told[i] = find(DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
																	  CStringGetDatum("null"))),
								   own_paths[i], &tokens->n[i]);
}

static bool
find(Jsonb *body, const char *path, int64 *n)
{
	JsonbValue *value = smrt_json_find(body, path);
	int64		tokens;

	if (value == NULL || value->type != jbvNumeric)
		return false;
	tokens = strtoll(smrt_json_scalar(value), NULL, 10);
	if (tokens < 0 || tokens > MAX_TOKENS)
		return false;
	*n = tokens;
	return true;
}
