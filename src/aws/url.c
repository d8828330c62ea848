/*
 * Addresses of endpoints.
 *
 * A host that a resolver could take for an address in disguise is refused
 * rather than understood: inet_aton() reads "0x7f.1" and "017700000001" as
 * 127.0.0.1, so a name whose last label is a number must be dotted decimal.
 */
#include <arpa/inet.h>

#include "aws/uri.h"
#include "aws/url.h"

#define MAX_HOST_LEN 253		/* RFC 1035, without the dot at the end */
#define MAX_LABEL_LEN 63

static bool check_bytes(SmrtSpan text, SmrtError *error);
static bool take_scheme(SmrtSpan *rest, SmrtUrl *url, SmrtError *error);
static bool take_host(SmrtSpan *rest, SmrtUrl *url, SmrtError *error);
static bool take_port(SmrtSpan rest, SmrtUrl *url, SmrtError *error);
static bool parse_port(SmrtSpan digits, int *port);
static bool check_ipv6(SmrtSpan host, SmrtError *error);
static bool parse_ipv6(SmrtSpan host, unsigned char address[16]);
static bool check_name(SmrtSpan host, SmrtError *error);
static bool is_label(SmrtSpan s);
static bool is_number(SmrtSpan s);
static bool is_ipv4(SmrtSpan host);
static bool check_path(SmrtSpan path, SmrtError *error);
static bool check_segment(SmrtSpan segment, SmrtError *error);

bool
smrt_url_parse(SmrtSpan text, SmrtUrl *url, SmrtError *error)
{
	SmrtSpan	rest = text;
	SmrtSpan	authority;
	SmrtSpan	port;

	memset(url, 0, sizeof(*url));
	if (text.len > SMRT_URL_MAX_LEN)
		return smrt_error_set(error, "the URL is longer than %d bytes",
							  SMRT_URL_MAX_LEN);
	if (!check_bytes(text, error) || !take_scheme(&rest, url, error))
		return false;

	authority = smrt_span_up_to(rest, '/');
	url->path = smrt_span_after(rest, authority.len);
	if (url->path.len > 0 && url->path.data[url->path.len - 1] == '/')
		url->path.len--;

	url->authority = authority;
	port = authority;
	return take_host(&port, url, error) && take_port(port, url, error) &&
		check_path(url->path, error);
}

bool
smrt_url_loopback(const SmrtUrl *url)
{
	static const unsigned char loopback[16] = {[15] = 1};
	unsigned char address[16];

	if (url->ipv6)
		return parse_ipv6(url->host, address) &&
			memcmp(address, loopback, sizeof(loopback)) == 0;
	if (is_ipv4(url->host))
		return smrt_span_starts_with(url->host, smrt_span("127."));
	return smrt_span_equal_nocase(url->host, smrt_span("localhost"));
}

/* What has no place anywhere in such a URL. */
static bool
check_bytes(SmrtSpan text, SmrtError *error)
{
	for (size_t i = 0; i < text.len; i++)
	{
		unsigned char c = (unsigned char) text.data[i];

		if (c <= ' ' || c >= 0x7f)
			return smrt_error_set(error, "the URL has a blank, a control or a non-ASCII character");
		if (strchr("\"<>\\^`{|}", c) != NULL)
			return smrt_error_set(error, "the URL has the character %c", c);
		if (c == '?' || c == '#')
			return smrt_error_set(error, "the URL has a query or a fragment");
	}
	return true;
}

static bool
take_scheme(SmrtSpan *rest, SmrtUrl *url, SmrtError *error)
{
	static const struct
	{
		SmrtSpan	prefix;
		bool		tls;
		int			port;
	}			schemes[] =
	{
		{SMRT_LITERAL("https://"), true, 443},
		{SMRT_LITERAL("http://"), false, 80},
	};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
	{
		size_t		len = schemes[i].prefix.len;

		if (rest->len < len ||
			!smrt_span_equal_nocase(smrt_span_of(rest->data, len),
									schemes[i].prefix))
			continue;
		url->tls = schemes[i].tls;
		url->port = schemes[i].port;
		*rest = smrt_span_after(*rest, len);
		return true;
	}
	return smrt_error_set(error, "the URL does not start with https:// or http://");
}

static bool
take_host(SmrtSpan *rest, SmrtUrl *url, SmrtError *error)
{
	if (smrt_span_up_to(*rest, '@').len < rest->len)
		return smrt_error_set(error, "the URL has a user name");

	if (rest->len > 0 && rest->data[0] == '[')
	{
		SmrtSpan	inside = smrt_span_after(*rest, 1);

		url->ipv6 = true;
		url->host = smrt_span_up_to(inside, ']');
		if (url->host.len == inside.len)
			return smrt_error_set(error, "the URL has a [ without a ]");
		*rest = smrt_span_after(inside, url->host.len + 1);
		return check_ipv6(url->host, error);
	}
	url->host = smrt_span_up_to(*rest, ':');
	*rest = smrt_span_after(*rest, url->host.len);
	return check_name(url->host, error);
}

/* rest is what follows the host: nothing, or ":" and a number. */
static bool
take_port(SmrtSpan rest, SmrtUrl *url, SmrtError *error)
{
	int			standard = url->port;

	if (rest.len == 0)
		return true;
	if (rest.data[0] != ':')
		return smrt_error_set(error, "the URL has something other than a port after the host");
	if (!parse_port(smrt_span_after(rest, 1), &url->port))
		return smrt_error_set(error, "the port of the URL is not a number from 1 to 65535");
	if (url->port == standard)
		url->authority.len -= rest.len;
	return true;
}

static bool
parse_port(SmrtSpan digits, int *port)
{
	if (digits.len == 0 || digits.len > 5 || digits.data[0] == '0')
		return false;
	*port = 0;
	for (size_t i = 0; i < digits.len; i++)
	{
		if (!smrt_ascii_digit(digits.data[i]))
			return false;
		*port = *port * 10 + (digits.data[i] - '0');
	}
	return *port <= 65535;
}

/* An IPv4 address written as IPv6 would pass by every check of its range. */
static bool
check_ipv6(SmrtSpan host, SmrtError *error)
{
	static const unsigned char zeros[12] = {0};
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	unsigned char address[16];

	if (!parse_ipv6(host, address))
		return smrt_error_set(error, "the host in [] is not an IPv6 address");
	if (memcmp(address, mapped, sizeof(mapped)) == 0 ||
		(memcmp(address, zeros, sizeof(zeros)) == 0 &&
		 memcmp(address + 12, "\0\0\0", 3) != 0))
		return smrt_error_set(error, "the host is an IPv4 address inside an IPv6 one");
	return true;
}

static bool
parse_ipv6(SmrtSpan host, unsigned char address[16])
{
	char		text[INET6_ADDRSTRLEN];

	if (host.len == 0 || host.len >= sizeof(text))
		return false;
	memcpy(text, host.data, host.len);
	text[host.len] = '\0';
	return inet_pton(AF_INET6, text, address) == 1;
}

static bool
check_name(SmrtSpan host, SmrtError *error)
{
	SmrtSpan	rest = host;

	if (host.len == 0)
		return smrt_error_set(error, "the URL has no host");
	if (host.len > MAX_HOST_LEN)
		return smrt_error_set(error, "the host is longer than %d characters",
							  MAX_HOST_LEN);
	for (;;)
	{
		SmrtSpan	label = smrt_span_up_to(rest, '.');

		if (!is_label(label))
			return smrt_error_set(error, "the host has a part that is not 1 to %d letters, digits and inner hyphens",
								  MAX_LABEL_LEN);
		if (label.len == rest.len)
		{
			if (is_number(label) && !is_ipv4(host))
				return smrt_error_set(error, "the host is a number, but not an IPv4 address of four decimal numbers");
			return true;
		}
		rest = smrt_span_after(rest, label.len + 1);
	}
}

/* Underscores are no part of a host name, but container networks have them. */
static bool
is_label(SmrtSpan s)
{
	if (s.len == 0 || s.len > MAX_LABEL_LEN ||
		s.data[0] == '-' || s.data[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
	{
		char		c = s.data[i];

		if (!smrt_ascii_alnum(c) && c != '-' && c != '_')
			return false;
	}
	return true;
}

/* As inet_aton() takes one: digits, or hexadecimal digits after 0x. */
static bool
is_number(SmrtSpan s)
{
	bool		hex = s.len >= 2 && s.data[0] == '0' &&
		(s.data[1] == 'x' || s.data[1] == 'X');

	for (size_t i = hex ? 2 : 0; i < s.len; i++)
	{
		if (hex ? smrt_ascii_hex(s.data[i]) < 0 : !smrt_ascii_digit(s.data[i]))
			return false;
	}
	return true;
}

/* Four decimal numbers up to 255, none with a zero in front. */
static bool
is_ipv4(SmrtSpan host)
{
	SmrtSpan	rest = host;

	for (int part = 1;; part++)
	{
		SmrtSpan	digits = smrt_span_up_to(rest, '.');
		int			value = 0;

		if (digits.len == 0 || digits.len > 3 ||
			(digits.len > 1 && digits.data[0] == '0'))
			return false;
		for (size_t i = 0; i < digits.len; i++)
		{
			if (!smrt_ascii_digit(digits.data[i]))
				return false;
			value = value * 10 + (digits.data[i] - '0');
		}
		if (value > 255)
			return false;
		if (digits.len == rest.len)
			return part == 4;
		rest = smrt_span_after(rest, digits.len + 1);
	}
}

/* path is empty or starts with "/". */
static bool
check_path(SmrtSpan path, SmrtError *error)
{
	SmrtSpan	rest = path;

	while (rest.len > 0)
	{
		SmrtSpan	segment = smrt_span_up_to(smrt_span_after(rest, 1), '/');

		if (!check_segment(segment, error))
			return false;
		rest = smrt_span_after(rest, segment.len + 1);
	}
	return true;
}

static bool
check_segment(SmrtSpan segment, SmrtError *error)
{
	if (segment.len == 0 || smrt_span_equal(segment, smrt_span(".")) ||
		smrt_span_equal(segment, smrt_span("..")))
		return smrt_error_set(error, "the path of the URL has an empty segment, \".\" or \"..\"");
	for (size_t i = 0; i < segment.len; i++)
	{
		if (segment.data[i] == '%' &&
			(segment.len - i < 3 || smrt_ascii_hex(segment.data[i + 1]) < 0 ||
			 smrt_ascii_hex(segment.data[i + 2]) < 0))
			return smrt_error_set(error, "the path of the URL has a %% without two hexadecimal digits");
	}
	return true;
}
