/*
 * The URLs that we accept as the address of an endpoint: scheme, host, port
 * and a path, nothing else.  Narrower than RFC 3986 on purpose, so that what
 * we judge is what libcurl will contact.
 */
#ifndef SMRT_AWS_URL_H
#define SMRT_AWS_URL_H

#include "aws/error.h"
#include "aws/span.h"

/* Longest URL, in bytes: what calls append still fits into what they have. */
#define SMRT_URL_MAX_LEN 1900

typedef struct SmrtUrl
{
	bool		tls;			/* https */
	SmrtSpan	host;			/* name or address, IPv6 without its brackets */
	bool		ipv6;			/* host is an IPv6 literal */
	int			port;			/* given, or 443 / 80 */
	SmrtSpan	authority;		/* host and, if given, port: as in "Host:" but
								 * for a default port, which is cut off */
	SmrtSpan	path;			/* "" or from "/", without a "/" at the end */
} SmrtUrl;

/*
 * Spans point into text.  Refused, with the reason in error, which repeats
 * nothing of the URL but a character: more than SMRT_URL_MAX_LEN bytes, another
 * scheme, user info, query, fragment, control or non-ASCII bytes, blanks, backslash,
 * percent-encoding in the host, an empty or overlong host or label, a port
 * outside 1..65535, hosts that are an IPv4 address in other than dotted
 * decimal form (0x7f.1, 2130706433, 0177.0.0.1) or inside an IPv6 one
 * (::ffff:127.0.0.1), and empty or dot segments in the path, which would be
 * signed in one form and sent in another.
 */
extern bool smrt_url_parse(SmrtSpan text, SmrtUrl *url, SmrtError *error);

/* "localhost", 127.0.0.0/8 or ::1, by the spelling alone. */
extern bool smrt_url_loopback(const SmrtUrl *url);

#endif							/* SMRT_AWS_URL_H */
