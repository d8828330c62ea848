/*
 * The floor under the extension: what one libcurl easy handle, kept alive,
 * reaches when each request is signed anew by the extension's own signer and
 * carries the same headers.  Whatever the extension takes beyond this is the
 * price of PostgreSQL and of our own code.
 *
 * It reads numbers from standard input; for each it makes that many calls, the
 * rows in turn, and prints how many answers had a body.  Time, CPU and memory
 * are read by the driver from outside, just as those of a backend.
 *
 * usage: floor URL ENDPOINT ROWS CA
 * with AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY set
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "aws/sigv4.h"
#include "aws/url.h"

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
#define MAX_ANSWER (1024 * 1024)

static CURL *easy;
static char lines[N_LINES][600];	/* "name: value", as libcurl takes them */
static struct curl_slist list[N_LINES];
static char path[200];
static SmrtHeader signed_headers[N_SIGNED];
static SmrtKeys keys;
static SmrtScope scope = {.service = SMRT_LITERAL("sagemaker")};
static SmrtKeyCache *cache;
static SmrtBuf authorization;
static SmrtBuf answer;

static void set_up(const char *url, const char *endpoint, const char *ca);
static size_t receive(char *data, size_t size, size_t n, void *arg);
static SmrtSpan map_rows(const char *file);
static SmrtSpan next_row(SmrtSpan rows, SmrtSpan row);
static void call(SmrtSpan body);
static void set_line(int line, const char *value);
static void set_invocation_id(void);
static void sign(SmrtSpan body);
static void fail(const char *what, const char *why);

int
main(int argc, char **argv)
{
	SmrtSpan	rows;
	SmrtSpan	row;
	long		n;

	if (argc != 5)
		fail("usage", "floor URL ENDPOINT ROWS CA");
	set_up(argv[1], argv[2], argv[4]);
	rows = map_rows(argv[3]);
	row = smrt_span_of(rows.data + rows.len - 1, 0);	/* before the first */

	while (scanf("%ld", &n) == 1)
	{
		long		answers = 0;

		for (long i = 0; i < n; i++)
		{
			row = next_row(rows, row);
			call(row);
			answers += answer.len > 0;
		}
		printf("%ld\n", answers);
		fflush(stdout);
	}
	return 0;
}

/* All that stays the same from one call to the next. */
static void
set_up(const char *url, const char *endpoint, const char *ca)
{
	SmrtUrl		parsed;
	SmrtError	error;
	char		full_url[400];

	if (!smrt_url_parse(smrt_span(url), &parsed, &error))
		fail(url, error.text);
	snprintf(path, sizeof(path), "/endpoints/%s/invocations", endpoint);
	snprintf(full_url, sizeof(full_url), "%s%s", url, path);

	keys.access_key_id = smrt_span(getenv("AWS_ACCESS_KEY_ID"));
	keys.secret_access_key = smrt_span(getenv("AWS_SECRET_ACCESS_KEY"));
	scope.region = smrt_span(getenv("AWS_REGION"));
	cache = smrt_keycache_create();
	smrt_buf_init(&authorization, &smrt_alloc_malloc, sizeof(lines[0]));
	smrt_buf_init(&answer, &smrt_alloc_malloc, MAX_ANSWER);

	set_line(CONTENT_TYPE, "text/csv");
	set_line(ACCEPT, "text/csv");
	set_line(SDK_REQUEST, "attempt=1; max=3");
	set_line(USER_AGENT,
			 "bench-floor/1.0 ua/2.1 os/Linux#6.1.0-40-amd64 md/arch#x86_64 "
			 "lang/c md/postgresql#15.20");
	strcpy(lines[EXPECT], "Expect:");
	signed_headers[N_SIGNED - 1] = (SmrtHeader) {
		SMRT_LITERAL("host"), parsed.authority
	};
	for (int i = 0; i < N_LINES; i++)
	{
		list[i].data = lines[i];
		list[i].next = i + 1 < N_LINES ? &list[i + 1] : NULL;
	}

	curl_global_init(CURL_GLOBAL_DEFAULT);
	easy = curl_easy_init();
	curl_easy_setopt(easy, CURLOPT_URL, full_url);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
}

static size_t
receive(char *data, size_t size, size_t n, void *arg)
{
	(void) arg;
	return smrt_buf_append(&answer, data, size * n) ? size * n : 0;
}

/* The whole file, one row a line; each line, the last too, ends in "\n". */
static SmrtSpan
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

/* The row after this one, without its "\n"; the first after the last. */
static SmrtSpan
next_row(SmrtSpan rows, SmrtSpan row)
{
	const char *next = row.data + row.len + 1;

	if (next == rows.data + rows.len)
		next = rows.data;
	return smrt_span_of(next, strchr(next, '\n') - next);
}

static void
call(SmrtSpan body)
{
	CURLcode	rc;
	long		status;

	smrt_timestamp_format(time(NULL), scope.timestamp);
	set_line(DATE, scope.timestamp);
	set_invocation_id();
	sign(body);

	smrt_buf_reset(&answer);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) body.len);
	rc = curl_easy_perform(easy);
	if (rc != CURLE_OK)
		fail("no answer", curl_easy_strerror(rc));
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		fail("refused", answer.len > 0 ? answer.data : "without a reason");
}

static void
set_line(int line, const char *value)
{
	snprintf(lines[line], sizeof(lines[line]), "%s: %s", names[line], value);
}

/* No two requests have the same one; what it is made of is no matter here. */
static void
set_invocation_id(void)
{
	static unsigned long count;
	char		uuid[37];

	snprintf(uuid, sizeof(uuid), "4f5a7a3e-7a56-4c1d-9d0e-%012lx", count++);
	set_line(INVOCATION_ID, uuid);
}

static void
sign(SmrtSpan body)
{
	char		hash[SMRT_SHA256_HEX_LEN + 1];
	SmrtSignable request = {
		.method = SMRT_LITERAL("POST"),
		.path = smrt_span(path),
		.headers = signed_headers,
		.n_headers = N_SIGNED,
		.payload_hash = hash,
	};

	for (int i = 0; i < AUTHORIZATION; i++)
	{
		SmrtSpan	name = smrt_span(names[i]);

		signed_headers[i] = (SmrtHeader) {
			name, smrt_span(lines[i] + name.len + strlen(": "))
		};
	}
	smrt_buf_reset(&authorization);
	if (!smrt_sha256_hex(body, hash) ||
		!smrt_sigv4_authorization(cache, &keys, &scope, &request,
								  &authorization))
		fail("signature", "cannot be made");
	set_line(AUTHORIZATION, authorization.data);
}

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "floor: %s: %s\n", what, why);
	exit(1);
}
