/*
 * SHA-256 by FIPS 180-4's examples, HMAC by RFC 4231.
 */
#include <stdlib.h>

#include "check.h"
#include "aws/digest.h"

static void
sha256_known_answers(void)
{
	static const struct
	{
		const char *text;
		const char *hex;
	}			rows[] =
	{
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};
	char		hex[SMRT_SHA256_HEX_LEN + 1];

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		CHECK(smrt_sha256_hex(smrt_span(rows[i].text), hex));
		CHECK_TEXT(smrt_span(hex), rows[i].hex);
	}
	CHECK(smrt_sha256_hex(smrt_span(NULL), hex));
	CHECK_TEXT(smrt_span(hex), rows[0].hex);
}

static void
sha256_of_a_million(void)
{
	size_t		len = 1000000;
	char	   *text = malloc(len);
	char		hex[SMRT_SHA256_HEX_LEN + 1];

	memset(text, 'a', len);
	CHECK(smrt_sha256_hex(smrt_span_of(text, len), hex));
	CHECK_TEXT(smrt_span(hex),
			   "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(text);
}

static SmrtSpan
repeat(char *space, int byte, size_t n)
{
	memset(space, byte, n);
	return smrt_span_of(space, n);
}

static void
check_hmac(SmrtSpan key, SmrtSpan data, const char *want)
{
	unsigned char mac[SMRT_SHA256_LEN];
	char		hex[SMRT_SHA256_HEX_LEN + 1];

	CHECK(smrt_hmac_sha256(key, data, mac));
	smrt_digest_hex(mac, hex);
	CHECK_TEXT(smrt_span(hex), want);
}

static void
hmac_rfc_4231(void)
{
	char		key[200];
	char		data[200];

	check_hmac(repeat(key, 0x0b, 20), smrt_span("Hi There"),
			   "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	check_hmac(smrt_span("Jefe"), smrt_span("what do ya want for nothing?"),
			   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	check_hmac(repeat(key, 0xaa, 20), repeat(data, 0xdd, 50),
			   "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	for (int i = 0; i < 25; i++)
		key[i] = (char) (i + 1);
	check_hmac(smrt_span_of(key, 25), repeat(data, 0xcd, 50),
			   "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
	check_hmac(repeat(key, 0xaa, 131),
			   smrt_span("Test Using Larger Than Block-Size Key - Hash Key First"),
			   "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	check_hmac(repeat(key, 0xaa, 131),
			   smrt_span("This is a test using a larger than block-size key and "
						 "a larger than block-size data. The key needs to be "
						 "hashed before being used by the HMAC algorithm."),
			   "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

static void
hmac_of_nothing(void)
{
	check_hmac(smrt_span(NULL), smrt_span(NULL),
			   "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

/* 64 bytes are used as they are, 65 are hashed first. */
static void
hmac_keys_about_a_block_long(void)
{
	char		key[65];

	for (size_t len = 63; len <= 65; len++)
	{
		unsigned char mac[SMRT_SHA256_LEN];
		unsigned char padded_mac[SMRT_SHA256_LEN];
		char		padded[64] = {0};

		memset(key, 'k', sizeof(key));
		if (len <= 64)
			memcpy(padded, key, len);
		else
			smrt_sha256(smrt_span_of(key, len), (unsigned char *) padded);
		CHECK(smrt_hmac_sha256(smrt_span_of(key, len), smrt_span("x"), mac));
		CHECK(smrt_hmac_sha256(smrt_span_of(padded, sizeof(padded)),
							   smrt_span("x"), padded_mac));
		CHECK(memcmp(mac, padded_mac, sizeof(mac)) == 0);
	}
}

static void
cleanse_overwrites(void)
{
	char		secret[] = "secret";

	smrt_cleanse(secret, sizeof(secret));
	for (size_t i = 0; i < sizeof(secret); i++)
		CHECK_INT(secret[i], 0);
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"SHA-256 of known texts", sha256_known_answers},
		{"SHA-256 of a million letters", sha256_of_a_million},
		{"HMAC of RFC 4231", hmac_rfc_4231},
		{"HMAC of nothing under no key", hmac_of_nothing},
		{"HMAC keys about a block long", hmac_keys_about_a_block_long},
		{"cleansing overwrites", cleanse_overwrites},
	};

	return check_run(cases, COUNT_OF(cases));
}
