/*
 * Signatures.  An input is pieces: secret, region, path, query, then names and
 * values of headers in turn.
 *
 * The same request gets the same signature, with a key cache and without one; a
 * path that is normalised and a query that is canonical are so again.
 */
#include "aws/sigv4.h"
#include "aws/uri.h"
#include "fuzz.h"

#define MAX_HEADERS (SMRT_SIGV4_MAX_HEADERS + 2)
#define MAX_PIECES (4 + 2 * MAX_HEADERS)

/* Larger than anything that is made of an input. */
#define NO_LIMIT (1024 * 1024)

static bool normalise(SmrtSpan path, SmrtBuf *out);

static void check_twice(bool (*write) (SmrtSpan in, SmrtBuf *out), SmrtSpan in);
static void sign(const SmrtKeys *keys, const SmrtScope *scope,
				 const SmrtSignable *request);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SmrtSpan	pieces[MAX_PIECES];
	SmrtHeader	headers[MAX_HEADERS];
	char		hash[SMRT_SHA256_HEX_LEN + 1];
	SmrtKeys	keys = {.access_key_id = SMRT_LITERAL("AKID")};
	SmrtScope	scope = {.service = SMRT_LITERAL("sagemaker")};
	SmrtSignable request = {.method = SMRT_LITERAL("POST"), .headers = headers};
	int			n = 0;

	if (!smrt_timestamp_format(size, scope.timestamp) ||
		!smrt_sha256_hex(smrt_span("body"), hash))
		return 0;
	request.raw_path = size > 0 && (data[0] & 1);
	request.payload_hash = hash;
	while (n < MAX_PIECES && (n < 4 || size > 0))
	{
		size_t		len;
		char	   *piece = take_piece(&data, &size, &len);

		pieces[n++] = smrt_span_of(piece, len);
	}
	keys.secret_access_key = pieces[0];
	scope.region = pieces[1];
	request.path = pieces[2];
	request.query = pieces[3];
	for (int i = 4; i + 1 < n; i += 2)
		headers[request.n_headers++] = (SmrtHeader) {pieces[i], pieces[i + 1]};
	check_twice(normalise, request.path);
	check_twice(smrt_uri_canonical_query, request.query);
	sign(&keys, &scope, &request);
	while (n > 0)
		free((char *) pieces[--n].data);
	return 0;
}

static bool
normalise(SmrtSpan path, SmrtBuf *out)
{
	return smrt_uri_normalise_path(path, out);
}

static void
check_twice(bool (*write) (SmrtSpan in, SmrtBuf *out), SmrtSpan in)
{
	SmrtBuf		once;
	SmrtBuf		twice;

	smrt_buf_init(&once, &smrt_alloc_malloc, NO_LIMIT);
	smrt_buf_init(&twice, &smrt_alloc_malloc, NO_LIMIT);
	if (write(in, &once))
	{
		hold(write(smrt_buf_span(&once), &twice));
		hold(smrt_span_equal(smrt_buf_span(&once), smrt_buf_span(&twice)));
	}
	smrt_buf_free(&once);
	smrt_buf_free(&twice);
}

static void
sign(const SmrtKeys *keys, const SmrtScope *scope, const SmrtSignable *request)
{
	SmrtKeyCache *cache = smrt_keycache_create();
	SmrtBuf		first;
	SmrtBuf		second;
	bool		signs;

	smrt_buf_init(&first, &smrt_alloc_malloc, NO_LIMIT);
	smrt_buf_init(&second, &smrt_alloc_malloc, NO_LIMIT);
	signs = smrt_sigv4_authorization(NULL, keys, scope, request, &first);
	for (int i = 0; i < 2; i++)
	{
		smrt_buf_reset(&second);
		hold(signs == smrt_sigv4_authorization(cache, keys, scope, request, &second));
		hold(!signs || smrt_span_equal(smrt_buf_span(&first), smrt_buf_span(&second)));
	}
	smrt_buf_free(&first);
	smrt_buf_free(&second);
	smrt_keycache_free(cache);
}
