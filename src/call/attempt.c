/*
 * Building, signing and starting an attempt.
 *
 * What is signed is what is sent: one header list, one path and one body go to
 * the signer and to the transport.  Each attempt is signed anew, at its own
 * time, under the same invocation id.
 */
#include "postgres.h"

#include <sys/time.h>
#include <sys/utsname.h>

#include "aws/s3location.h"
#include "aws/sigv4.h"
#include "call/attempt.h"
#include "port/pg_bswap.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

/* Host, date, hash, token, two of the SDKs', user agent, authorization. */
#define MAX_OWN_HEADERS 8

/* An object's path is the longest: percent-encoding makes three bytes of one. */
StaticAssertDecl(SMRT_URL_MAX_LEN + SMRT_S3_MAX_BUCKET_LEN + 2 +
				 3 * SMRT_S3_MAX_KEY_LEN <= SMRT_EXCHANGE_MAX_URL,
				 "a call's path must fit behind every URL that is accepted");

/* Largest Authorization header. */
#define MAX_AUTHORIZATION 4096

/* The signing names. */
static const SmrtSpan sagemaker = SMRT_LITERAL("sagemaker");
static const SmrtSpan s3 = SMRT_LITERAL("s3");

/* Of this process; shared by all targets, as its entries name the key. */
static SmrtKeyCache *key_cache;

/* Scratch that grows to what is needed once. */
static SmrtBuf url;
static SmrtBuf authorization;

static void make_invocation_id(char *id);
static SmrtSpan path_of(const SmrtTarget *target);
static bool write_url(const SmrtAttemptPlan *plan);
static void write_sdk_request(char *out, size_t size, int attempt,
							  int max_attempts, int64 deadline_s);
static int	add_members(const SmrtRequest *request, SmrtHeader *headers);
static SmrtSpan user_agent(void);
static void ensure_scratch(void);

#define HEADER(n, v) ((SmrtHeader) {SMRT_LITERAL(n), (v)})

bool
smrt_attempt_plan(SmrtAttemptPlan *plan, const SmrtTarget *target,
				  const SmrtRequest *request, int max_attempts)
{
	plan->target = target;
	plan->request = request;
	plan->max_attempts = max_attempts;
	make_invocation_id(plan->invocation_id);
	return smrt_sha256_hex(request->body, plan->payload_hash);
}

SmrtExchange *
smrt_attempt_start(const SmrtAttemptPlan *plan, const SmrtKeys *keys,
				   int attempt, int64 skew_s, int timeout_ms,
				   const SmrtLimits *limits)
{
	const SmrtTarget *target = plan->target;
	const SmrtRequest *request = plan->request;
	SmrtHeader *headers = palloc((MAX_OWN_HEADERS + SMRT_MEMBER_COUNT +
								  request->n_extra) * sizeof(SmrtHeader));
	bool		of_s3 = request->operation == SMRT_OPERATION_GET_OBJECT;
	SmrtScope	scope = {target->region, of_s3 ? s3 : sagemaker};
	SmrtSignable signable = {.method = smrt_span(of_s3 ? "GET" : "POST"),
		.headers = headers,.payload_hash = plan->payload_hash,
	.raw_path = of_s3};
	SmrtExchangeSpec spec = {.headers = headers,
	.method = of_s3 ? SMRT_METHOD_GET : SMRT_METHOD_POST};
	SmrtExchange *exchange = NULL;
	struct timeval now;
	char		sdk_request[80];
	int			n = 0;

	ensure_scratch();
	gettimeofday(&now, NULL);
	/* A URL that was cut short must be neither signed nor sent. */
	if (!smrt_timestamp_format(now.tv_sec + skew_s, scope.timestamp) ||
		!write_url(plan))
		return NULL;
	write_sdk_request(sdk_request, sizeof(sdk_request), attempt,
					  plan->max_attempts,
					  now.tv_sec + skew_s + timeout_ms / 1000);

	headers[n++] = HEADER("Host", target->url.authority);
	if (of_s3)
		headers[n++] = HEADER("X-Amz-Content-SHA256",
							  smrt_span(plan->payload_hash));
	headers[n++] = HEADER("X-Amz-Date", smrt_span(scope.timestamp));
	if (!smrt_span_absent(keys->session_token))
		headers[n++] = HEADER("X-Amz-Security-Token", keys->session_token);
	headers[n++] = HEADER("amz-sdk-invocation-id",
						  smrt_span(plan->invocation_id));
	headers[n++] = HEADER("amz-sdk-request", smrt_span(sdk_request));
	n += add_members(request, headers + n);
	headers[n++] = HEADER("User-Agent", user_agent());
	signable.path = path_of(target);
	signable.n_headers = n;
	if (smrt_sigv4_authorization(key_cache, keys, &scope, &signable,
								 &authorization))
	{
		headers[n++] = HEADER("Authorization", smrt_buf_span(&authorization));
		spec.n_headers = n;
		spec.url = url.data;
		spec.body = request->body;
		spec.window = request->window;
		if (request->operation == SMRT_OPERATION_STREAM && spec.window == 0)
			spec.renewed_ms = limits->timeout;
		smrt_attempt_route(&spec, target, limits);
		spec.timeout_ms = timeout_ms;
		exchange = smrt_exchange_start(&spec);
	}
	pfree(headers);
	return exchange;
}

void
smrt_attempt_forget_keys(void)
{
	if (key_cache != NULL)
		smrt_keycache_wipe(key_cache);
}

void
smrt_attempt_route(SmrtExchangeSpec *spec, const SmrtTarget *target,
				   const SmrtLimits *limits)
{
	spec->identity = target->identity;
	spec->ca_file = target->ca_file;
	spec->proxy = target->proxy;
	spec->addresses = target->url.tls || target->allow_http ?
		SMRT_ADDRESS_NO_LINK_LOCAL : SMRT_ADDRESS_LOOPBACK;
	spec->connect_timeout_ms = limits->connect_timeout;
	spec->idle_timeout_s = target->idle_timeout;
	spec->max_response = limits->max_response_size;
}

/* What follows scheme and authority in the URL just written. */
static SmrtSpan
path_of(const SmrtTarget *target)
{
	size_t		before = target->url.path.data - target->base_url;

	return smrt_span_of(url.data + before, url.len - before);
}

static bool
write_url(const SmrtAttemptPlan *plan)
{
	smrt_buf_reset(&url);
	smrt_buf_append_string(&url, plan->target->base_url);
	if (plan->request->operation == SMRT_OPERATION_GET_OBJECT)
		return smrt_buf_append_span(&url, plan->request->path);
	smrt_buf_append_string(&url, "/endpoints/");
	/* Its pattern leaves nothing to be encoded. */
	smrt_buf_append_span(&url, plan->request->endpoint);
	return smrt_buf_append_string(&url,
								  smrt_operation_path(plan->request->operation));
}

/* As the SDKs have it: "ttl=...; attempt=2; max=3", the ttl on retries only. */
static void
write_sdk_request(char *out, size_t size, int attempt, int max_attempts,
				  int64 deadline_s)
{
	char		ttl[SMRT_TIMESTAMP_LEN + 1];

	if (attempt > 1 && smrt_timestamp_format(deadline_s, ttl))
		snprintf(out, size, "ttl=%s; attempt=%d; max=%d", ttl, attempt,
				 max_attempts);
	else
		snprintf(out, size, "attempt=%d; max=%d", attempt, max_attempts);
}

static int
add_members(const SmrtRequest *request, SmrtHeader *headers)
{
	int			n = 0;

	for (int i = 0; i < SMRT_MEMBER_COUNT; i++)
		if (!smrt_span_absent(request->members[i]))
		{
			headers[n].name = smrt_member_header(request->operation, i);
			headers[n++].value = request->members[i];
		}
	for (int i = 0; i < request->n_extra; i++)
		headers[n++] = request->extra[i];
	return n;
}

/*
 * A version 4 UUID that no other call has: random for the process, counted
 * within it.  It identifies, it protects nothing.
 */
static void
make_invocation_id(char *id)
{
	static uint64 random[2];
	static uint64 count;
	uint64		words[2];
	pg_uuid_t	uuid;
	char	   *text;

	if (count == 0 && !pg_strong_random(random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	count++;
	words[0] = pg_hton64((random[0] & ~UINT64CONST(0xf000)) | UINT64CONST(0x4000));
	words[1] = pg_hton64(((random[1] + count) & (~UINT64CONST(0) >> 2)) |
						 (UINT64CONST(1) << 63));
	memcpy(uuid.data, words, sizeof(words));
	text = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&uuid)));
	strlcpy(id, text, SMRT_INVOCATION_ID_LEN + 1);
	pfree(text);
}

/* In the form that the SDKs' user agents 2.1 have. */
static SmrtSpan
user_agent(void)
{
	static char text[200];

	if (text[0] == '\0')
	{
		struct utsname system;

		if (uname(&system) != 0)
			memset(&system, 0, sizeof(system));
		snprintf(text, sizeof(text),
				 "sagemaker_rt/" SMRT_VERSION " ua/2.1 os/%s#%s md/arch#%s lang/c md/postgresql#%d.%d",
				 system.sysname, system.release, system.machine,
				 PG_VERSION_NUM / 10000, PG_VERSION_NUM % 10000);
		for (char *c = text; *c; c++)
			if (*c < ' ' || *c > '~')
				*c = '-';
	}
	return smrt_span(text);
}

static void
ensure_scratch(void)
{
	if (key_cache == NULL)
	{
		key_cache = smrt_keycache_create();
		smrt_buf_init(&url, &smrt_alloc_malloc, SMRT_EXCHANGE_MAX_URL);
		smrt_buf_init(&authorization, &smrt_alloc_malloc, MAX_AUTHORIZATION);
	}
	smrt_buf_reset(&authorization);
}
