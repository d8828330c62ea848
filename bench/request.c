#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "aws/sigv4.h"
#include "aws/url.h"
#include "request.h"

/*
 * In the order in which they are sent; those before the authorization are
 * signed.  An empty "Expect:" keeps libcurl from sending its own.
 */
enum
{
	CONTENT_TYPE, ACCEPT, DATE, INVOCATION_ID, SDK_REQUEST, AUTHORIZATION,
	USER_AGENT, EXPECT, N_LINES
};

static const char *const names[N_LINES] = {
	[CONTENT_TYPE] = "content-type",
	[ACCEPT] = "accept",
	[DATE] = "x-amz-date",
	[INVOCATION_ID] = "amz-sdk-invocation-id",
	[SDK_REQUEST] = "amz-sdk-request",
	[AUTHORIZATION] = "authorization",
	[USER_AGENT] = "user-agent",
	[EXPECT] = "expect",
};

#define N_SIGNED (AUTHORIZATION + 1)	/* the lines before it, and "host" */
#define MAX_LINE 600
#define MAX_ANSWER (1024 * 1024)

struct Request
{
	CURL	   *easy;
	char		lines[N_LINES][MAX_LINE];	/* "name: value", for libcurl */
	struct curl_slist list[N_LINES];
	SmrtBuf		answer;
};

static char full_url[400];
static char path[200];
static const char *ca_file;
static SmrtSpan authority;
static SmrtKeys keys;
static SmrtScope scope = {.service = SMRT_LITERAL("sagemaker")};
static SmrtKeyCache *cache;
static SmrtBuf authorization;

static size_t receive(char *data, size_t size, size_t n, void *answer);
static void set_line(Request *request, int line, const char *value);
static void set_invocation_id(Request *request);
static void sign(Request *request, SmrtSpan body);

void
requests_set_up(const char *url, const char *endpoint, const char *ca)
{
	SmrtUrl		parsed;
	SmrtError	error;

	if (!smrt_url_parse(smrt_span(url), &parsed, &error))
		fail(url, error.text);
	authority = parsed.authority;
	snprintf(path, sizeof(path), "/endpoints/%s/invocations", endpoint);
	snprintf(full_url, sizeof(full_url), "%s%s", url, path);
	ca_file = ca;

	keys.access_key_id = smrt_span(getenv("AWS_ACCESS_KEY_ID"));
	keys.secret_access_key = smrt_span(getenv("AWS_SECRET_ACCESS_KEY"));
	scope.region = smrt_span(getenv("AWS_REGION"));
	cache = smrt_keycache_create();
	smrt_buf_init(&authorization, &smrt_alloc_malloc, MAX_LINE);
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* With all that stays the same from one body to the next. */
Request *
request_new(void)
{
	Request    *request = calloc(1, sizeof(Request));
	CURL	   *easy = curl_easy_init();

	if (request == NULL || easy == NULL)
		fail("out of memory", "for a request");
	request->easy = easy;
	smrt_buf_init(&request->answer, &smrt_alloc_malloc, MAX_ANSWER);

	set_line(request, CONTENT_TYPE, "text/csv");
	set_line(request, ACCEPT, "text/csv");
	set_line(request, SDK_REQUEST, "attempt=1; max=3");
	set_line(request, USER_AGENT,
			 "bench-floor/1.0 ua/2.1 os/Linux#6.1.0-40-amd64 md/arch#x86_64 "
			 "lang/c md/postgresql#15.20");
	strcpy(request->lines[EXPECT], "Expect:");
	for (int i = 0; i < N_LINES; i++)
	{
		request->list[i].data = request->lines[i];
		request->list[i].next = i + 1 < N_LINES ? &request->list[i + 1] : NULL;
	}

	curl_easy_setopt(easy, CURLOPT_URL, full_url);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->list);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &request->answer);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
	return request;
}

CURL *
request_easy(Request *request)
{
	return request->easy;
}

Request *
request_of(CURL *easy)
{
	char	   *request;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &request);
	return (Request *) request;
}

static size_t
receive(char *data, size_t size, size_t n, void *answer)
{
	return smrt_buf_append(answer, data, size * n) ? size * n : 0;
}

void
request_prepare(Request *request, SmrtSpan body)
{
	smrt_timestamp_format(time(NULL), scope.timestamp);
	set_line(request, DATE, scope.timestamp);
	set_invocation_id(request);
	sign(request, body);

	smrt_buf_reset(&request->answer);
	curl_easy_setopt(request->easy, CURLOPT_POSTFIELDS, body.data);
	curl_easy_setopt(request->easy, CURLOPT_POSTFIELDSIZE_LARGE,
					 (curl_off_t) body.len);
}

SmrtSpan
request_answer(Request *request, CURLcode code)
{
	SmrtBuf    *answer = &request->answer;
	long		status;

	if (code != CURLE_OK)
		fail("no answer", curl_easy_strerror(code));
	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		fail("refused", answer->len > 0 ? answer->data : "without a reason");
	return smrt_buf_span(answer);
}

static void
set_line(Request *request, int line, const char *value)
{
	snprintf(request->lines[line], MAX_LINE, "%s: %s", names[line], value);
}

/* No two requests have the same one; what it is made of is no matter here. */
static void
set_invocation_id(Request *request)
{
	static unsigned long count;
	char		uuid[37];

	snprintf(uuid, sizeof(uuid), "4f5a7a3e-7a56-4c1d-9d0e-%012lx", count++);
	set_line(request, INVOCATION_ID, uuid);
}

static void
sign(Request *request, SmrtSpan body)
{
	char		hash[SMRT_SHA256_HEX_LEN + 1];
	SmrtHeader	headers[N_SIGNED];
	SmrtSignable signable = {
		.method = SMRT_LITERAL("POST"),
		.path = smrt_span(path),
		.headers = headers,
		.n_headers = N_SIGNED,
		.payload_hash = hash,
	};

	for (int i = 0; i < AUTHORIZATION; i++)
	{
		SmrtSpan	name = smrt_span(names[i]);

		headers[i] = (SmrtHeader) {
			name, smrt_span(request->lines[i] + name.len + strlen(": "))
		};
	}
	headers[AUTHORIZATION] = (SmrtHeader) {SMRT_LITERAL("host"), authority};
	smrt_buf_reset(&authorization);
	if (!smrt_sha256_hex(body, hash) ||
		!smrt_sigv4_authorization(cache, &keys, &scope, &signable,
								  &authorization))
		fail("signature", "cannot be made");
	set_line(request, AUTHORIZATION, authorization.data);
}

SmrtSpan
map_rows(const char *file)
{
	struct stat status;
	int			fd = open(file, O_RDONLY);
	char	   *rows;

	if (fd < 0 || fstat(fd, &status) != 0)
		fail(file, "cannot be opened");
	rows = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (rows == MAP_FAILED)
		fail(file, "cannot be mapped");
	return smrt_span_of(rows, status.st_size);
}

SmrtSpan
next_rows(SmrtSpan rows, SmrtSpan body, int n)
{
	const char *end = rows.data + rows.len;
	const char *first = body.data + body.len + 1;
	const char *last;			/* its "\n" */

	if (body.data == NULL || first == end)
		first = rows.data;
	last = memchr(first, '\n', end - first);
	while (--n > 0 && last + 1 < end)
		last = memchr(last + 1, '\n', end - last - 1);
	return smrt_span_of(first, last - first);
}

void
fail(const char *what, const char *why)
{
	fprintf(stderr, "floor: %s: %s\n", what, why);
	exit(1);
}
