/*
 * The signer: its limits, its cache, its failures.  What it must give for a
 * request is shown by test_cases and agree_with_botocore.py.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "aws/sigv4.h"
#include "aws/uri.h"

#define HEADER(name, value) {SMRT_LITERAL(name), SMRT_LITERAL(value)}

/* Published by AWS as get-vanilla. */
static const char vanilla[] =
"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/"
"aws4_request, SignedHeaders=host;x-amz-date, Signature="
"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

static const char empty_hash[] =
"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static const SmrtKeys keys = {
	SMRT_LITERAL("AKIDEXAMPLE"),
	SMRT_LITERAL("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
	{NULL, 0}
};

static const SmrtScope scope = {
	SMRT_LITERAL("us-east-1"), SMRT_LITERAL("service"), "20150830T123600Z"
};

static const SmrtHeader vanilla_headers[] = {
	HEADER("Host", "example.amazonaws.com"),
	HEADER("X-Amz-Date", "20150830T123600Z"),
};

static SmrtSignable
request_with(const SmrtHeader *headers, size_t n)
{
	SmrtSignable request = {
		.method = SMRT_LITERAL("GET"),
		.path = SMRT_LITERAL("/"),
		.headers = headers,
		.n_headers = (int) n,
		.payload_hash = empty_hash,
	};

	return request;
}

/* The authorization is got with every step's allocations failing in turn. */
static void
every_allocation_may_fail(void)
{
	SmrtSignable request = request_with(vanilla_headers,
										COUNT_OF(vanilla_headers));
	bool		ok = false;
	int			left;

	request.path = smrt_span("/./");
	for (left = 0; !ok && left < 100; left++)
	{
		CheckMemory memory;
		SmrtBuf		out;

		check_memory_init(&memory, left);
		smrt_buf_init(&out, &memory.alloc, 10000);
		ok = smrt_sigv4_authorization(NULL, &keys, &scope, &request, &out);
		if (ok)
			CHECK_TEXT(smrt_buf_span(&out), vanilla);
		smrt_buf_free(&out);
		CHECK_INT(memory.live, 0);
	}
	CHECK(ok);
	CHECK(left > 2);
}

static void
every_cap_is_reported(void)
{
	SmrtSignable request = request_with(vanilla_headers,
										COUNT_OF(vanilla_headers));

	for (size_t max = 0; max <= strlen(vanilla); max++)
	{
		SmrtBuf		out;

		smrt_buf_init(&out, &smrt_alloc_malloc, max);
		CHECK_INT(smrt_sigv4_authorization(NULL, &keys, &scope, &request, &out),
				  max == strlen(vanilla));
		smrt_buf_free(&out);
	}
}

static void
any_order_gives_the_same(void)
{
	SmrtHeader	headers[] = {
		HEADER("accept", "a"), HEADER("Host", "h"), HEADER("x-a", "1"),
		HEADER("X-A", "2"), HEADER("x-amz-date", "d"), HEADER("x-ab", "3"),
		HEADER("x-amzn-sagemaker-target-model", "m"),
		HEADER("X-Amzn-SageMaker-Target-Variant", "v"),
	};
	static const char want[] =
		"GET\n/\n\naccept:a\nhost:h\nx-a:1,2\nx-ab:3\nx-amz-date:d\n"
		"x-amzn-sagemaker-target-model:m\nx-amzn-sagemaker-target-variant:v\n\n"
		"accept;host;x-a;x-ab;x-amz-date;x-amzn-sagemaker-target-model;"
		"x-amzn-sagemaker-target-variant\n";

	srand(1);
	for (int round = 0; round < 1000; round++)
	{
		SmrtSignable request = request_with(headers, COUNT_OF(headers));
		size_t		i = (size_t) rand() % (COUNT_OF(headers) - 1);
		SmrtHeader	swapped = headers[i];
		SmrtBuf		canonical;
		SmrtBuf		names;

		smrt_buf_init(&canonical, &smrt_alloc_malloc, 10000);
		smrt_buf_init(&names, &smrt_alloc_malloc, 10000);
		CHECK(smrt_sigv4_canonical_request(&request, &canonical, &names));
		CHECK_SPAN(smrt_span_of(canonical.data, sizeof(want) - 1),
				   smrt_span(want));
		smrt_buf_free(&canonical);
		smrt_buf_free(&names);

		/* The two of one name keep their order. */
		if (smrt_span_equal_nocase(headers[i].name, smrt_span("x-a")) &&
			smrt_span_equal_nocase(headers[i + 1].name, smrt_span("x-a")))
			continue;
		headers[i] = headers[i + 1];
		headers[i + 1] = swapped;
	}
}

static void
some_headers_are_never_signed(void)
{
	static const SmrtHeader headers[] = {
		HEADER("Host", "example.amazonaws.com"),
		HEADER("Authorization", "x"), HEADER("baggage", "x"),
		HEADER("Connection", "x"), HEADER("Expect", "100-continue"),
		HEADER("Keep-Alive", "x"), HEADER("Proxy-Authenticate", "x"),
		HEADER("Proxy-Authorization", "x"), HEADER("Proxy-Connection", "x"),
		HEADER("TE", "x"), HEADER("traceparent", "x"),
		HEADER("tracestate", "x"), HEADER("Trailer", "x"),
		HEADER("Transfer-Encoding", "x"), HEADER("Upgrade", "x"),
		HEADER("User-Agent", "x"), HEADER("X-Amzn-Trace-Id", "x"),
		HEADER("X-Amz-Date", "20150830T123600Z"),
	};
	SmrtSignable request = request_with(headers, COUNT_OF(headers));
	SmrtBuf		out;

	smrt_buf_init(&out, &smrt_alloc_malloc, 10000);
	CHECK(smrt_sigv4_authorization(NULL, &keys, &scope, &request, &out));
	CHECK_TEXT(smrt_buf_span(&out), vanilla);
	smrt_buf_free(&out);
}

static void
limits_are_reported(void)
{
	SmrtHeader	headers[SMRT_SIGV4_MAX_HEADERS + 1];
	char		names[SMRT_SIGV4_MAX_HEADERS + 1][8];
	char		query[3 * SMRT_URI_MAX_PARAMETERS];
	SmrtSignable request = request_with(headers, 0);
	SmrtBuf		out;

	for (size_t i = 0; i < COUNT_OF(headers); i++)
	{
		snprintf(names[i], sizeof(names[i]), "x-%d", (int) i);
		headers[i].name = smrt_span(names[i]);
		headers[i].value = smrt_span("v");
	}
	smrt_buf_init(&out, &smrt_alloc_malloc, 10000);
	CHECK(!smrt_sigv4_authorization(NULL, &keys, &scope, &request, &out));
	request.n_headers = SMRT_SIGV4_MAX_HEADERS;
	CHECK(smrt_sigv4_authorization(NULL, &keys, &scope, &request, &out));
	request.n_headers++;
	CHECK(!smrt_sigv4_authorization(NULL, &keys, &scope, &request, &out));

	request.n_headers = 1;
	for (size_t i = 0; i < sizeof(query); i++)
		query[i] = "a=&"[i % 3];
	request.query = smrt_span_of(query, sizeof(query) - 1);
	CHECK(smrt_sigv4_authorization(NULL, &keys, &scope, &request, &out));
	request.query.len++;		/* a last "&": one more, without a name */
	CHECK(!smrt_sigv4_authorization(NULL, &keys, &scope, &request, &out));
	smrt_buf_free(&out);
}

static void
an_empty_path_is_the_root(void)
{
	SmrtSignable request = request_with(vanilla_headers,
										COUNT_OF(vanilla_headers));
	SmrtBuf		out;

	request.path = smrt_span("");
	smrt_buf_init(&out, &smrt_alloc_malloc, 10000);
	CHECK(smrt_sigv4_authorization(NULL, &keys, &scope, &request, &out));
	CHECK_TEXT(smrt_buf_span(&out), vanilla);
	smrt_buf_reset(&out);
	request.raw_path = true;
	CHECK(smrt_sigv4_authorization(NULL, &keys, &scope, &request, &out));
	CHECK_TEXT(smrt_buf_span(&out), vanilla);
	smrt_buf_free(&out);
}

static SmrtSpan
sign_text(SmrtKeyCache *cache, const SmrtKeys *with, const SmrtScope *in,
		  SmrtBuf *out)
{
	smrt_buf_init(out, &smrt_alloc_malloc, 100);
	CHECK(smrt_sigv4_signature(cache, with, in, smrt_span("text"), out));
	return smrt_buf_span(out);
}

/* More identities than slots, in turn: each part of the identity counts. */
static void
the_cache_changes_nothing(void)
{
	static const char *const ids[] = {"AKIDA", "AKIDB", ""};
	static const char *const secrets[] = {"secret", "secre", "Secret"};
	static const char *const regions[] = {"us-east-1", "us-east-2"};
	static const char *const services[] = {"sts", "s3"};
	static const char *const times[] = {
		"20150830T123600Z", "20150831T000000Z", "20150830T123601Z"
	};
	SmrtKeyCache *cache = smrt_keycache_create();

	CHECK(cache != NULL);
	for (int i = 0; i < 3 * 3 * 2 * 2 * 3 * 3; i++)
	{
		SmrtKeys	one = {smrt_span(ids[i % 3]), smrt_span(secrets[i / 3 % 3]),
		{NULL, 0}};
		SmrtScope	in = {smrt_span(regions[i / 9 % 2]),
		smrt_span(services[i / 18 % 2]), ""};
		SmrtBuf		plain;
		SmrtBuf		first;
		SmrtBuf		again;

		memcpy(in.timestamp, times[i / 36 % 3], sizeof(in.timestamp));
		sign_text(NULL, &one, &in, &plain);
		CHECK_SPAN(sign_text(cache, &one, &in, &first), smrt_buf_span(&plain));
		CHECK_SPAN(sign_text(cache, &one, &in, &again), smrt_buf_span(&plain));
		smrt_buf_free(&plain);
		smrt_buf_free(&first);
		smrt_buf_free(&again);
	}
	smrt_keycache_free(cache);
	smrt_keycache_free(NULL);
}

/* Parts of other lengths that run together to the same bytes. */
static void
identities_do_not_run_together(void)
{
	SmrtKeyCache *cache = smrt_keycache_create();
	SmrtKeys	one = {SMRT_LITERAL("AB"), SMRT_LITERAL("C"), {NULL, 0}};
	SmrtKeys	other = {SMRT_LITERAL("A"), SMRT_LITERAL("BC"), {NULL, 0}};
	SmrtBuf		cached;
	SmrtBuf		plain;

	sign_text(cache, &one, &scope, &cached);
	smrt_buf_free(&cached);
	CHECK_SPAN(sign_text(cache, &other, &scope, &cached),
			   sign_text(NULL, &other, &scope, &plain));
	smrt_buf_free(&cached);
	smrt_buf_free(&plain);
	smrt_keycache_free(cache);
}

static void
long_secrets_work(void)
{
	SmrtKeyCache *cache = smrt_keycache_create();

	for (size_t len = 0; len < 3000; len += 97)
	{
		char		secret[3000];
		SmrtKeys	one = {SMRT_LITERAL("AKID"), {secret, len}, {NULL, 0}};
		SmrtBuf		cached;
		SmrtBuf		plain;

		memset(secret, 's', sizeof(secret));
		CHECK_SPAN(sign_text(cache, &one, &scope, &cached),
				   sign_text(NULL, &one, &scope, &plain));
		smrt_buf_free(&cached);
		smrt_buf_free(&plain);
	}
	smrt_keycache_free(cache);
}

static void
a_wiped_cache_works(void)
{
	SmrtKeyCache *cache = smrt_keycache_create();
	SmrtBuf		before;
	SmrtBuf		after;

	sign_text(cache, &keys, &scope, &before);
	smrt_keycache_wipe(cache);
	CHECK_SPAN(sign_text(cache, &keys, &scope, &after), smrt_buf_span(&before));
	smrt_buf_free(&before);
	smrt_buf_free(&after);
	smrt_keycache_free(cache);
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"every allocation may fail", every_allocation_may_fail},
		{"every cap is reported", every_cap_is_reported},
		{"headers in any order give the same", any_order_gives_the_same},
		{"some headers are never signed", some_headers_are_never_signed},
		{"too much, or nothing, to sign is refused", limits_are_reported},
		{"an empty path is the root", an_empty_path_is_the_root},
		{"the cache changes no signature", the_cache_changes_nothing},
		{"cached identities do not run together", identities_do_not_run_together},
		{"long secrets work, cached or not", long_secrets_work},
		{"a wiped cache works", a_wiped_cache_works},
	};

	return check_run(cases, COUNT_OF(cases));
}
