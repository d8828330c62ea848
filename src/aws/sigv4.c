/*
 * The signer.
 *
 * Its rules are those of botocore where AWS's text leaves a choice: white
 * space inside a header value folds to one blank, values of headers with one
 * name are joined by "," in the order given, a path is encoded once more than
 * it was sent.  Signing is on the path of every request, so headers are sorted
 * on the stack, and the derived key is kept: it saves four of five HMACs.
 */
#include <stdlib.h>

#include "aws/sigv4.h"
#include "aws/uri.h"

#define CACHE_SLOTS 8			/* identities times regions in use at a time */
#define IDENTITY_SIZE 192		/* key id 20, secret 40, the rest below 50 */
#define SCRATCH_MAX (1024 * 1024)	/* no server takes headers that long */

/* What a derived key depends on. */
enum
{
	PART_KEY_ID,
	PART_SECRET,
	PART_DAY,
	PART_REGION,
	PART_SERVICE,
	N_PARTS
};

typedef struct Identity
{
	SmrtSpan	part[N_PARTS];
} Identity;

typedef struct CachedKey
{
	bool		used;
	unsigned char key[SMRT_SHA256_LEN];
	size_t		lens[N_PARTS];
	char		text[IDENTITY_SIZE];	/* the parts, one after the other */
} CachedKey;

struct SmrtKeyCache
{
	CachedKey	slots[CACHE_SLOTS];
	int			next;			/* the slot to be replaced next */
};

static const SmrtSpan algorithm = SMRT_LITERAL("AWS4-HMAC-SHA256");
static const SmrtSpan terminator = SMRT_LITERAL("aws4_request");

/*
 * Changed by proxies, added after signing, or of one hop only.  Longest first:
 * the search ends at the first that is shorter than the name.
 */
static const SmrtSpan never_signed[] = {
	SMRT_LITERAL("proxy-authorization"),
	SMRT_LITERAL("proxy-authenticate"),
	SMRT_LITERAL("transfer-encoding"),
	SMRT_LITERAL("proxy-connection"),
	SMRT_LITERAL("x-amzn-trace-id"),
	SMRT_LITERAL("authorization"),
	SMRT_LITERAL("traceparent"),
	SMRT_LITERAL("connection"),
	SMRT_LITERAL("keep-alive"),
	SMRT_LITERAL("tracestate"),
	SMRT_LITERAL("user-agent"),
	SMRT_LITERAL("baggage"),
	SMRT_LITERAL("trailer"),
	SMRT_LITERAL("upgrade"),
	SMRT_LITERAL("expect"),
	SMRT_LITERAL("te"),
};

#define N_NEVER_SIGNED (sizeof(never_signed) / sizeof(never_signed[0]))

static size_t scratch_size(const SmrtSignable *request);
static int	sort_headers(const SmrtSignable *request,
						 const SmrtHeader **sorted);
static bool is_signed(SmrtSpan name);
static int	compare_names(SmrtSpan a, SmrtSpan b);
static bool same_name(SmrtSpan a, SmrtSpan b);
static bool make_room(SmrtBuf *out, size_t len);
static void append_names(const SmrtHeader **headers, int n, SmrtBuf *out);
static bool append_path(const SmrtSignable *request, SmrtBuf *out);
static bool is_normal(SmrtSpan path);
static void append_headers(const SmrtHeader **headers, int n,
						   const char *names, SmrtBuf *out);
static char *put_folded(char *p, SmrtSpan value);
static void append_scope(const SmrtScope *scope, SmrtBuf *out);
static bool signing_key(SmrtKeyCache *cache, const Identity *identity,
						unsigned char key[SMRT_SHA256_LEN]);
static bool slot_matches(const CachedKey *slot, const Identity *identity);
static void fill_slot(SmrtKeyCache *cache, const Identity *identity,
					  const unsigned char key[SMRT_SHA256_LEN]);
static bool derive_key(const Identity *identity,
					   unsigned char key[SMRT_SHA256_LEN]);

bool
smrt_sigv4_authorization(SmrtKeyCache *cache, const SmrtKeys *keys,
						 const SmrtScope *scope, const SmrtSignable *request,
						 SmrtBuf *authorization)
{
	SmrtBuf		scratch;		/* canonical request, then string to sign */
	bool		ok = false;

	smrt_buf_init(&scratch, authorization->alloc, SCRATCH_MAX);
	smrt_buf_reserve(&scratch, scratch_size(request));

	smrt_buf_append_span(authorization, algorithm);
	smrt_buf_append_string(authorization, " Credential=");
	smrt_buf_append_span(authorization, keys->access_key_id);
	smrt_buf_append_char(authorization, '/');
	append_scope(scope, authorization);
	smrt_buf_append_string(authorization, ", SignedHeaders=");
	if (smrt_sigv4_canonical_request(request, &scratch, authorization))
	{
		SmrtSpan	canonical = smrt_buf_span(&scratch);

		smrt_buf_append_string(authorization, ", Signature=");
		ok = smrt_sigv4_string_to_sign(scope, canonical, &scratch) &&
			smrt_sigv4_signature(cache, keys, scope,
								 smrt_span_of(scratch.data + canonical.len,
											  scratch.len - canonical.len),
								 authorization);
	}
	smrt_buf_wipe(&scratch);	/* the session token is in it */
	return ok;
}

bool
smrt_keys_fit(const SmrtKeys *keys)
{
	const SmrtSpan parts[] = {
		keys->access_key_id, keys->secret_access_key, keys->session_token
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		for (size_t j = 0; j < parts[i].len; j++)
			if (parts[i].data[j] <= ' ' || parts[i].data[j] > '~')
				return false;
	return true;
}

bool
smrt_sigv4_canonical_request(const SmrtSignable *request, SmrtBuf *canonical,
							 SmrtBuf *signed_headers)
{
	const SmrtHeader *headers[SMRT_SIGV4_MAX_HEADERS];
	size_t		list = signed_headers->len;
	int			n = sort_headers(request, headers);

	if (n == 0)
		return false;
	append_names(headers, n, signed_headers);
	if (!smrt_buf_ok(signed_headers))
		return false;

	smrt_buf_append_span(canonical, request->method);
	smrt_buf_append_char(canonical, '\n');
	if (!append_path(request, canonical))
		return false;
	smrt_buf_append_char(canonical, '\n');
	if (!smrt_uri_canonical_query(request->query, canonical))
		return false;
	smrt_buf_append_char(canonical, '\n');
	append_headers(headers, n, signed_headers->data + list, canonical);
	smrt_buf_append_char(canonical, '\n');
	smrt_buf_append(canonical, signed_headers->data + list,
					signed_headers->len - list);
	smrt_buf_append_char(canonical, '\n');
	return smrt_buf_append_string(canonical, request->payload_hash);
}

bool
smrt_sigv4_string_to_sign(const SmrtScope *scope, SmrtSpan canonical,
						  SmrtBuf *out)
{
	char		hash[SMRT_SHA256_HEX_LEN + 1];

	if (!smrt_sha256_hex(canonical, hash))
		return false;
	smrt_buf_append_span(out, algorithm);
	smrt_buf_append_char(out, '\n');
	smrt_buf_append_string(out, scope->timestamp);
	smrt_buf_append_char(out, '\n');
	append_scope(scope, out);
	smrt_buf_append_char(out, '\n');
	return smrt_buf_append(out, hash, SMRT_SHA256_HEX_LEN);
}

bool
smrt_sigv4_signature(SmrtKeyCache *cache, const SmrtKeys *keys,
					 const SmrtScope *scope, SmrtSpan string_to_sign,
					 SmrtBuf *hex)
{
	Identity	identity = {{
			[PART_KEY_ID] = keys->access_key_id,
			[PART_SECRET] = keys->secret_access_key,
			[PART_DAY] = smrt_span_of(scope->timestamp, SMRT_DATE_LEN),
			[PART_REGION] = scope->region,
			[PART_SERVICE] = scope->service,
	}};
	unsigned char key[SMRT_SHA256_LEN];
	unsigned char signature[SMRT_SHA256_LEN];
	char		text[SMRT_SHA256_HEX_LEN + 1];
	bool		ok;

	ok = signing_key(cache, &identity, key) &&
		smrt_hmac_sha256(smrt_span_of((char *) key, sizeof(key)),
						 string_to_sign, signature);
	smrt_cleanse(key, sizeof(key));
	if (!ok)
		return false;
	smrt_digest_hex(signature, text);
	return smrt_buf_append(hex, text, SMRT_SHA256_HEX_LEN);
}

SmrtKeyCache *
smrt_keycache_create(void)
{
	return calloc(1, sizeof(SmrtKeyCache));
}

void
smrt_keycache_wipe(SmrtKeyCache *cache)
{
	smrt_cleanse(cache, sizeof(*cache));
}

void
smrt_keycache_free(SmrtKeyCache *cache)
{
	if (cache == NULL)
		return;
	smrt_keycache_wipe(cache);
	free(cache);
}

/* About what both texts need: a bigger buffer would leave a copy behind. */
static size_t
scratch_size(const SmrtSignable *request)
{
	/* method, two hashes, scope and line ends: below 400 bytes */
	size_t		size = 512 + 3 * (request->path.len + request->query.len);

	for (int i = 0; i < request->n_headers; i++)
		size += 2 * request->headers[i].name.len +
			request->headers[i].value.len + 3;
	return size < SCRATCH_MAX ? size : SCRATCH_MAX;
}

/*
 * Those to be signed, in the order of their names, equal names in the order
 * given.  Gives their number, 0 too when there are more than fit.
 */
static int
sort_headers(const SmrtSignable *request, const SmrtHeader **sorted)
{
	int			n = 0;

	for (int i = 0; i < request->n_headers; i++)
	{
		const SmrtHeader *header = &request->headers[i];
		int			at;

		if (!is_signed(header->name))
			continue;
		if (n == SMRT_SIGV4_MAX_HEADERS)
			return 0;
		for (at = n; at > 0; at--)
		{
			if (compare_names(sorted[at - 1]->name, header->name) <= 0)
				break;
			sorted[at] = sorted[at - 1];
		}
		sorted[at] = header;
		n++;
	}
	return n;
}

static bool
is_signed(SmrtSpan name)
{
	for (size_t i = 0; i < N_NEVER_SIGNED; i++)
	{
		if (never_signed[i].len < name.len)
			break;
		if (same_name(name, never_signed[i]))
			return false;
	}
	return true;
}

static inline char
lower(char c)
{
	return (char) (c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* As their lower-case forms compare. */
static int
compare_names(SmrtSpan a, SmrtSpan b)
{
	size_t		len = a.len < b.len ? a.len : b.len;
	size_t		i = 0;

	/* Most of ours share their first 17 bytes. */
	while (i + 8 <= len && memcmp(a.data + i, b.data + i, 8) == 0)
		i += 8;
	for (; i < len; i++)
	{
		int			difference = (unsigned char) lower(a.data[i]) -
			(unsigned char) lower(b.data[i]);

		if (difference != 0)
			return difference;
	}
	return (a.len > b.len) - (a.len < b.len);
}

static bool
same_name(SmrtSpan a, SmrtSpan b)
{
	return a.len == b.len && compare_names(a, b) == 0;
}

/* For so many bytes more, to be written without further questions. */
static bool
make_room(SmrtBuf *out, size_t len)
{
	if (smrt_buf_ok(out) && len > out->max - out->len)
		out->state = SMRT_BUF_FULL;
	return smrt_buf_reserve(out, out->len + len);
}

static void
append_names(const SmrtHeader **headers, int n, SmrtBuf *out)
{
	for (int i = 0; i < n; i++)
	{
		SmrtSpan	name = headers[i]->name;
		char	   *p;

		if (i > 0 && same_name(headers[i - 1]->name, name))
			continue;
		if (!make_room(out, name.len + 1))
			return;
		p = out->data + out->len;
		if (i > 0)
			*p++ = ';';
		for (size_t j = 0; j < name.len; j++)
			*p++ = lower(name.data[j]);
		*p = '\0';
		out->len = (size_t) (p - out->data);
	}
}

static bool
append_path(const SmrtSignable *request, SmrtBuf *out)
{
	SmrtBuf		encoded;
	bool		ok;

	if (request->path.len == 0)
		return smrt_buf_append_char(out, '/');
	if (request->raw_path)
		return smrt_buf_append_span(out, request->path);
	if (is_normal(request->path))
		return smrt_uri_encode(request->path, true, out);

	smrt_buf_init(&encoded, out->alloc, SCRATCH_MAX);
	ok = smrt_uri_encode(request->path, true, &encoded) &&
		smrt_uri_normalise_path(smrt_buf_span(&encoded), out);
	smrt_buf_free(&encoded);
	return ok;
}

/* No segment is empty or starts with a dot: the usual case, done in one go. */
static bool
is_normal(SmrtSpan path)
{
	for (size_t i = 0; i + 1 < path.len; i++)
	{
		if (path.data[i] == '/' &&
			(path.data[i + 1] == '/' || path.data[i + 1] == '.'))
			return false;
	}
	return path.data[0] == '/';
}

/*
 * One line a name, the names being spelt as in the list of signed headers.
 * Room is made for a header at once: single appends took most of the time.
 */
static void
append_headers(const SmrtHeader **headers, int n, const char *names,
			   SmrtBuf *out)
{
	for (int i = 0; i < n; i++)
	{
		SmrtSpan	name = headers[i]->name;
		SmrtSpan	value = headers[i]->value;
		char	   *p;

		if (!make_room(out, name.len + value.len + 3))
			return;
		p = out->data + out->len;
		if (i > 0 && same_name(headers[i - 1]->name, name))
			*p++ = ',';
		else
		{
			if (i > 0)
				*p++ = '\n';
			memcpy(p, names, name.len);
			p += name.len;
			names += name.len + 1;
			*p++ = ':';
		}
		p = put_folded(p, value);
		*p = '\0';
		out->len = (size_t) (p - out->data);
	}
	smrt_buf_append_char(out, '\n');
}

static inline bool
is_blank(char c)
{
	return (unsigned char) c <= ' ' && (c == ' ' || (c >= '\t' && c <= '\r'));
}

/* The words of the value with one blank between them. */
static char *
put_folded(char *p, SmrtSpan value)
{
	char	   *first = p;

	for (size_t start = 0, end; start < value.len; start = end + 1)
	{
		for (end = start; end < value.len && !is_blank(value.data[end]); end++)
			;
		if (end == start)
			continue;
		if (p > first)
			*p++ = ' ';
		memcpy(p, value.data + start, end - start);
		p += end - start;
	}
	return p;
}

/* As in the string to sign and, after the key id, in the header. */
static void
append_scope(const SmrtScope *scope, SmrtBuf *out)
{
	smrt_buf_append(out, scope->timestamp, SMRT_DATE_LEN);
	smrt_buf_append_char(out, '/');
	smrt_buf_append_span(out, scope->region);
	smrt_buf_append_char(out, '/');
	smrt_buf_append_span(out, scope->service);
	smrt_buf_append_char(out, '/');
	smrt_buf_append_span(out, terminator);
}

static bool
signing_key(SmrtKeyCache *cache, const Identity *identity,
			unsigned char key[SMRT_SHA256_LEN])
{
	for (int i = 0; cache && i < CACHE_SLOTS; i++)
	{
		if (!slot_matches(&cache->slots[i], identity))
			continue;
		memcpy(key, cache->slots[i].key, SMRT_SHA256_LEN);
		return true;
	}
	if (!derive_key(identity, key))
		return false;
	if (cache)
		fill_slot(cache, identity, key);
	return true;
}

static bool
slot_matches(const CachedKey *slot, const Identity *identity)
{
	const char *text = slot->text;

	if (!slot->used)
		return false;
	for (int i = 0; i < N_PARTS; i++)
	{
		if (!smrt_span_equal(smrt_span_of(text, slot->lens[i]),
							 identity->part[i]))
			return false;
		text += slot->lens[i];
	}
	return true;
}

/* Leaves the cache as it is when the parts are longer than a slot. */
static void
fill_slot(SmrtKeyCache *cache, const Identity *identity,
		  const unsigned char key[SMRT_SHA256_LEN])
{
	CachedKey  *slot = &cache->slots[cache->next];
	size_t		room = IDENTITY_SIZE;
	char	   *text = slot->text;

	for (int i = 0; i < N_PARTS; i++)
	{
		if (identity->part[i].len > room)
			return;
		room -= identity->part[i].len;
	}
	smrt_cleanse(slot, sizeof(*slot));
	for (int i = 0; i < N_PARTS; i++)
	{
		SmrtSpan	part = identity->part[i];

		if (part.len > 0)
			memcpy(text, part.data, part.len);
		slot->lens[i] = part.len;
		text += part.len;
	}
	memcpy(slot->key, key, SMRT_SHA256_LEN);
	slot->used = true;
	cache->next = (cache->next + 1) % CACHE_SLOTS;
}

/* HMAC of the day under "AWS4" and the secret, and so on down the scope. */
static bool
derive_key(const Identity *identity, unsigned char key[SMRT_SHA256_LEN])
{
	const SmrtSpan steps[] = {
		identity->part[PART_REGION], identity->part[PART_SERVICE], terminator
	};
	SmrtSpan	previous = smrt_span_of((char *) key, SMRT_SHA256_LEN);
	SmrtSpan	secret = identity->part[PART_SECRET];
	SmrtBuf		seed;
	bool		ok;

	/* Room for all at once: growing would leave a copy behind. */
	smrt_buf_init(&seed, &smrt_alloc_malloc, SCRATCH_MAX);
	smrt_buf_reserve(&seed, 4 + secret.len);
	smrt_buf_append_string(&seed, "AWS4");
	ok = smrt_buf_append_span(&seed, secret) &&
		smrt_hmac_sha256(smrt_buf_span(&seed), identity->part[PART_DAY], key);
	smrt_buf_wipe(&seed);

	for (size_t i = 0; ok && i < sizeof(steps) / sizeof(steps[0]); i++)
		ok = smrt_hmac_sha256(previous, steps[i], key);
	return ok;
}
