/*
 * Signature Version 4, as a chain of visible steps: canonical request, string
 * to sign, signature, Authorization header.  Each step can be called, and is
 * tested, on its own.  Source: AWS, "Create a signed AWS API request".
 */
#ifndef SMRT_AWS_SIGV4_H
#define SMRT_AWS_SIGV4_H

#include "aws/buffer.h"
#include "aws/digest.h"
#include "aws/header.h"
#include "aws/timestamp.h"

/* A request with more is not signed.  Ours have about a dozen headers. */
#define SMRT_SIGV4_MAX_HEADERS 64

/* One identity's keys: taken, passed and replaced as one value. */
typedef struct SmrtKeys
{
	SmrtSpan	access_key_id;
	SmrtSpan	secret_access_key;
	SmrtSpan	session_token;	/* absent for long-lived keys; the signer does
								 * not look at it, being a header by then */
} SmrtKeys;

/*
 * Whether keys are visible ASCII throughout, and so fit for headers: a line
 * break in one would make another header.
 */
extern bool smrt_keys_fit(const SmrtKeys *keys);

/* What is signed. */
typedef struct SmrtSignable
{
	SmrtSpan	method;
	SmrtSpan	path;			/* as sent: percent-encoded already, from "/" */
	SmrtSpan	query;			/* as sent, without the "?"; may be empty */
	const SmrtHeader *headers;	/* all that are sent, in any order (fastest in
								 * that of their names), "host" and
								 * "x-amz-date" (and the token) among them */
	int			n_headers;
	const char *payload_hash;	/* 64 hexadecimal digits, or S3's word for it */
	bool		raw_path;		/* S3: the path is neither normalised nor
								 * encoded a second time */
} SmrtSignable;

/* For what, and when. */
typedef struct SmrtScope
{
	SmrtSpan	region;
	SmrtSpan	service;		/* the signing name: "sagemaker", "sts", "s3" */
	char		timestamp[SMRT_TIMESTAMP_LEN + 1];	/* the value of x-amz-date */
} SmrtScope;

/*
 * Derived signing keys, one a (key id, secret, day, region, service), the
 * oldest making room.  Wipe it when an identity is given up.  Longer secrets
 * than AWS gives out work, but their keys are derived each time.
 */
typedef struct SmrtKeyCache SmrtKeyCache;

extern SmrtKeyCache *smrt_keycache_create(void);	/* NULL: no memory */
extern void smrt_keycache_wipe(SmrtKeyCache *cache);
extern void smrt_keycache_free(SmrtKeyCache *cache);	/* wipes first; NULL is
														 * allowed */

/*
 * The steps.  Each appends to a buffer of the caller and returns false when
 * the buffer failed, libcrypto did, or there are too many headers or query
 * parameters.
 *
 * Headers that SDKs never sign (user-agent, expect, hop-by-hop ones, traces,
 * authorization itself) are passed over; one at least must remain.
 * signed_headers gets the ";" list and must be another buffer than canonical.
 */
extern bool smrt_sigv4_canonical_request(const SmrtSignable *request,
										 SmrtBuf *canonical,
										 SmrtBuf *signed_headers);

/* canonical may lie in out: it is read before anything is written. */
extern bool smrt_sigv4_string_to_sign(const SmrtScope *scope,
									  SmrtSpan canonical, SmrtBuf *out);

/* cache may be NULL, here and below. */
extern bool smrt_sigv4_signature(SmrtKeyCache *cache, const SmrtKeys *keys,
								 const SmrtScope *scope,
								 SmrtSpan string_to_sign, SmrtBuf *hex);

/*
 * All steps: appends the value of the Authorization header, or a part of it
 * when it returns false.
 */
extern bool smrt_sigv4_authorization(SmrtKeyCache *cache,
									 const SmrtKeys *keys,
									 const SmrtScope *scope,
									 const SmrtSignable *request,
									 SmrtBuf *authorization);

#endif							/* SMRT_AWS_SIGV4_H */
