/*
 * Signs requests read from standard input, for agree_with_botocore.py.
 *
 * A line is a word and its value in hexadecimal ("-" for none); a "header" line
 * has two values.  "sign" ends a request and is answered by one line: canonical
 * request, string to sign and authorization, in hexadecimal.  Host and path
 * come from "url" the way the library reads it, with "path" after it, or with
 * the object "key", which makes it a request to S3.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>

#include "aws/s3location.h"
#include "aws/sigv4.h"
#include "aws/uri.h"
#include "aws/url.h"

#define MAX_LEN (16 * 1024 * 1024)

enum
{
	METHOD, URL, PATH, KEY, BODY, KEY_ID, SECRET, REGION, SERVICE, TIME, N_WORDS
};

static const char *const words[N_WORDS] = {
	[METHOD] = "method",
	[URL] = "url",
	[PATH] = "path",
	[KEY] = "key",
	[BODY] = "body",
	[KEY_ID] = "key_id",
	[SECRET] = "secret",
	[REGION] = "region",
	[SERVICE] = "service",
	[TIME] = "time",
};

typedef struct Request
{
	SmrtBuf		word[N_WORDS];
	SmrtBuf		names[SMRT_SIGV4_MAX_HEADERS];
	SmrtBuf		values[SMRT_SIGV4_MAX_HEADERS];
	int			n_headers;
} Request;

static void request_init(Request *r);
static void request_free(Request *r);
static void take_line(Request *r, char *line);
static void sign(SmrtKeyCache *cache, Request *r);
static void print_hex(const SmrtBuf *buf, char end);

static void
fail(const char *why)
{
	fprintf(stderr, "sign_stdin: %s\n", why);
	exit(1);
}

int
main(void)
{
	SmrtKeyCache *cache = smrt_keycache_create();
	Request		r;
	char	   *line = NULL;
	size_t		size = 0;

	request_init(&r);
	while (getline(&line, &size, stdin) > 0)
	{
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "sign") == 0)
		{
			sign(cache, &r);
			fflush(stdout);
			request_free(&r);
			request_init(&r);
		}
		else
			take_line(&r, line);
	}
	request_free(&r);
	free(line);
	smrt_keycache_free(cache);
	return 0;
}

static void
request_init(Request *r)
{
	for (int i = 0; i < N_WORDS; i++)
		smrt_buf_init(&r->word[i], &smrt_alloc_malloc, MAX_LEN);
	r->n_headers = 0;
}

static void
request_free(Request *r)
{
	for (int i = 0; i < N_WORDS; i++)
		smrt_buf_free(&r->word[i]);
	for (int i = 0; i < r->n_headers; i++)
	{
		smrt_buf_free(&r->names[i]);
		smrt_buf_free(&r->values[i]);
	}
}

static void
decode(const char *hex, SmrtBuf *out)
{
	if (hex == NULL)
		fail("a value is missing");
	for (; hex[0] != '-' && hex[0] != '\0'; hex += 2)
	{
		int			high = smrt_ascii_hex(hex[0]);
		int			low = smrt_ascii_hex(hex[1]);

		if (high < 0 || low < 0)
			fail("a value is not hexadecimal");
		smrt_buf_append_char(out, (char) (high << 4 | low));
	}
}

static void
take_line(Request *r, char *line)
{
	char	   *word = strtok(line, " ");

	if (word && strcmp(word, "header") == 0)
	{
		int			i = r->n_headers++;

		if (i >= SMRT_SIGV4_MAX_HEADERS - 1)
			fail("too many headers");
		smrt_buf_init(&r->names[i], &smrt_alloc_malloc, MAX_LEN);
		smrt_buf_init(&r->values[i], &smrt_alloc_malloc, MAX_LEN);
		decode(strtok(NULL, " "), &r->names[i]);
		decode(strtok(NULL, " "), &r->values[i]);
		return;
	}
	for (int i = 0; word && i < N_WORDS; i++)
	{
		if (strcmp(word, words[i]) == 0)
		{
			decode(strtok(NULL, " "), &r->word[i]);
			return;
		}
	}
	fail("unknown word");
}

static void
sign(SmrtKeyCache *cache, Request *r)
{
	SmrtHeader	headers[SMRT_SIGV4_MAX_HEADERS];
	SmrtSignable request = {.method = smrt_buf_span(&r->word[METHOD])};
	SmrtKeys	keys = {smrt_buf_span(&r->word[KEY_ID]),
	smrt_buf_span(&r->word[SECRET]), {NULL, 0}};
	SmrtScope	scope = {smrt_buf_span(&r->word[REGION]),
	smrt_buf_span(&r->word[SERVICE]), ""};
	SmrtBuf		out[5];			/* path, canonical, names, text, header */
	char		hash[SMRT_SHA256_HEX_LEN + 1];
	SmrtUrl		url;
	SmrtError	error;

	for (int i = 0; i < 5; i++)
		smrt_buf_init(&out[i], &smrt_alloc_malloc, MAX_LEN);
	if (!smrt_url_parse(smrt_buf_span(&r->word[URL]), &url, &error))
		fail(error.text);
	if (r->word[TIME].len != SMRT_TIMESTAMP_LEN)
		fail("no time");
	memcpy(scope.timestamp, r->word[TIME].data, SMRT_TIMESTAMP_LEN + 1);
	smrt_buf_append_span(&out[0], url.path);
	smrt_buf_append_span(&out[0], smrt_buf_span(&r->word[PATH]));
	request.raw_path = r->word[KEY].len > 0;
	if (request.raw_path)
		smrt_s3location_path(smrt_buf_span(&r->word[KEY]), &out[0]);
	request.path = smrt_buf_span(&out[0]);
	headers[0].name = smrt_span("Host");
	headers[0].value = url.authority;
	for (int i = 0; i < r->n_headers; i++)
	{
		headers[i + 1].name = smrt_buf_span(&r->names[i]);
		headers[i + 1].value = smrt_buf_span(&r->values[i]);
	}
	request.headers = headers;
	request.n_headers = r->n_headers + 1;
	smrt_sha256_hex(smrt_buf_span(&r->word[BODY]), hash);
	request.payload_hash = hash;

	if (!smrt_sigv4_canonical_request(&request, &out[1], &out[2]) ||
		!smrt_sigv4_string_to_sign(&scope, smrt_buf_span(&out[1]), &out[3]) ||
		!smrt_sigv4_authorization(cache, &keys, &scope, &request, &out[4]))
		fail("could not sign");
	print_hex(&out[1], ' ');
	print_hex(&out[3], ' ');
	print_hex(&out[4], '\n');
	for (int i = 0; i < 5; i++)
		smrt_buf_free(&out[i]);
}

static void
print_hex(const SmrtBuf *buf, char end)
{
	for (size_t i = 0; i < buf->len; i++)
		printf("%02x", (unsigned char) buf->data[i]);
	putchar(end);
}
