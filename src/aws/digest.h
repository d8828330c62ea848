/*
 * SHA-256 and HMAC-SHA-256 by libcrypto.  The only file pair that knows which
 * OpenSSL it was built with (1.1.1 and newer).
 */
#ifndef SMRT_AWS_DIGEST_H
#define SMRT_AWS_DIGEST_H

#include "aws/span.h"

#define SMRT_SHA256_LEN 32
#define SMRT_SHA256_HEX_LEN 64

/* Both return false only when libcrypto fails (no memory, no SHA-256). */
extern bool smrt_sha256(SmrtSpan data, unsigned char out[SMRT_SHA256_LEN]);
extern bool smrt_hmac_sha256(SmrtSpan key, SmrtSpan data,
							 unsigned char out[SMRT_SHA256_LEN]);

/* Lower-case hexadecimal of the digest of data, with a NUL. */
extern bool smrt_sha256_hex(SmrtSpan data, char out[SMRT_SHA256_HEX_LEN + 1]);

/* The same spelling for a digest that is there already. */
extern void smrt_digest_hex(const unsigned char digest[SMRT_SHA256_LEN],
							char out[SMRT_SHA256_HEX_LEN + 1]);

/* Overwrites a secret in a way that the compiler may not leave out. */
extern void smrt_cleanse(void *data, size_t len);

#endif							/* SMRT_AWS_DIGEST_H */
