/*
 * Percent-encoding, paths and queries, as SigV4 wants them, and the classes of
 * characters that URIs are made of, whatever the locale.
 */
#ifndef SMRT_AWS_URI_H
#define SMRT_AWS_URI_H

#include "aws/buffer.h"

/* Everything but A-Z a-z 0-9 - . _ ~ becomes %XX, "/" too unless kept. */
extern bool smrt_uri_encode(SmrtSpan text, bool keep_slash, SmrtBuf *out);

/*
 * Takes out ".", ".." with what it refers to, and empty segments.  A "/" at
 * the end stays; unlike in RFC 3986 none is made of a last "." or "..".
 */
extern bool smrt_uri_normalise_path(SmrtSpan path, SmrtBuf *out);

/* A query with more is refused. */
#define SMRT_URI_MAX_PARAMETERS 64

/*
 * The parameters of a query as sent (without "?"), sorted by name, then value:
 * decoded and encoded anew, each with a "=" even if it came without.
 */
extern bool smrt_uri_canonical_query(SmrtSpan query, SmrtBuf *out);

static inline bool
smrt_ascii_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
smrt_ascii_alnum(char c)
{
	return smrt_ascii_digit(c) ||
		(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The value of a hexadecimal digit, -1 for anything else. */
static inline int
smrt_ascii_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

#endif							/* SMRT_AWS_URI_H */
