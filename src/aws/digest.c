/*
 * SHA-256 and HMAC-SHA-256 over EVP.
 *
 * OpenSSL 3 looks an algorithm up by name at each use unless it was fetched
 * before; the fetched object is all that is kept between calls.  HMAC is put
 * together here: HMAC() would fetch each time, and 1.1.1 has no EVP_MAC.  A
 * context lives for one call, and freeing it cleanses it.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/opensslv.h>

#include "aws/digest.h"

#define BLOCK_LEN 64			/* what SHA-256 takes in at a time */
#define IPAD 0x36
#define OPAD 0x5c

static const EVP_MD *algorithm(void);
static bool block_key(SmrtSpan key, unsigned char block[BLOCK_LEN]);
static bool keyed_digest(EVP_MD_CTX *ctx, unsigned char block[BLOCK_LEN],
						 unsigned char mask, SmrtSpan data,
						 unsigned char out[SMRT_SHA256_LEN]);

bool
smrt_sha256(SmrtSpan data, unsigned char out[SMRT_SHA256_LEN])
{
	const EVP_MD *md = algorithm();

	return md && EVP_Digest(data.data, data.len, out, NULL, md, NULL) == 1;
}

/* RFC 2104: H(K ^ opad, H(K ^ ipad, data)). */
bool
smrt_hmac_sha256(SmrtSpan key, SmrtSpan data,
				 unsigned char out[SMRT_SHA256_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char block[BLOCK_LEN];
	unsigned char inner[SMRT_SHA256_LEN];
	bool		ok;

	ok = ctx && block_key(key, block) &&
		keyed_digest(ctx, block, IPAD, data, inner) &&
		keyed_digest(ctx, block, IPAD ^ OPAD,
					 smrt_span_of((char *) inner, sizeof(inner)), out);
	EVP_MD_CTX_free(ctx);
	OPENSSL_cleanse(block, sizeof(block));
	return ok;
}

bool
smrt_sha256_hex(SmrtSpan data, char out[SMRT_SHA256_HEX_LEN + 1])
{
	unsigned char digest[SMRT_SHA256_LEN];

	if (!smrt_sha256(data, digest))
		return false;
	smrt_digest_hex(digest, out);
	return true;
}

void
smrt_digest_hex(const unsigned char digest[SMRT_SHA256_LEN],
				char out[SMRT_SHA256_HEX_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < SMRT_SHA256_LEN; i++)
	{
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 0x0f];
	}
	out[SMRT_SHA256_HEX_LEN] = '\0';
}

void
smrt_cleanse(void *data, size_t len)
{
	OPENSSL_cleanse(data, len);
}

/* NULL when no provider has SHA-256; the next call then tries again. */
static const EVP_MD *
algorithm(void)
{
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
	static EVP_MD *fetched = NULL;

	if (fetched == NULL)
		fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
	return fetched;
#else
	return EVP_sha256();
#endif
}

/* The key as one block: hashed when longer, filled up with zeros. */
static bool
block_key(SmrtSpan key, unsigned char block[BLOCK_LEN])
{
	memset(block, 0, BLOCK_LEN);
	if (key.len > BLOCK_LEN)
		return smrt_sha256(key, block);
	if (key.len > 0)
		memcpy(block, key.data, key.len);
	return true;
}

/* Of the block, masked in place, and then the data. */
static bool
keyed_digest(EVP_MD_CTX *ctx, unsigned char block[BLOCK_LEN],
			 unsigned char mask, SmrtSpan data,
			 unsigned char out[SMRT_SHA256_LEN])
{
	const EVP_MD *md = algorithm();

	for (int i = 0; i < BLOCK_LEN; i++)
		block[i] ^= mask;
	return md && EVP_DigestInit_ex(ctx, md, NULL) == 1 &&
		EVP_DigestUpdate(ctx, block, BLOCK_LEN) == 1 &&
		EVP_DigestUpdate(ctx, data.data, data.len) == 1 &&
		EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}
