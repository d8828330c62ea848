/*
 * URLs of metadata services.
 *
 * The host is judged by smrt_url_parse(), which takes no query: that is cut off
 * before and looked at here.  The text given out is the one that was judged,
 * never one put together from its parts.
 */
#include <arpa/inet.h>

#include "aws/metadata_uri.h"
#include "aws/uri.h"
#include "aws/url.h"

static bool judge_container(const SmrtBuf *url, SmrtMetadataReach *reach,
							SmrtError *error);
static bool check_query(SmrtSpan query, SmrtError *error);
static SmrtMetadataReach reach_of(const SmrtUrl *url,
								  const char *const *addresses);
static bool same_ipv6(SmrtSpan host, const char *address);
static bool endpoint_of_mode(SmrtSpan mode, SmrtSpan *endpoint);

/* Those of ECS; of EKS, twice. */
static const char *const container_addresses[] = {
	"169.254.170.2", "169.254.170.23", "fd00:ec2::23", NULL
};

static const char *const instance_addresses[] = {
	"169.254.169.254", "fd00:ec2::254", NULL
};

SmrtMetadataOutcome
smrt_metadata_container(SmrtSpan relative, SmrtSpan full, SmrtBuf *url,
						SmrtMetadataReach *reach, SmrtError *error)
{
	bool		is_relative = relative.len > 0;
	SmrtError	why = {""};

	smrt_buf_reset(url);
	if (relative.len == 0 && full.len == 0)
		return SMRT_METADATA_UNSET;

	/* Without the "/" it would go on with the host: ".example.com/x". */
	if (is_relative && relative.data[0] != '/')
		smrt_error_set(&why, "it does not start with /");
	else
	{
		smrt_buf_append_string(url, is_relative ? "http://169.254.170.2" : "");
		smrt_buf_append_span(url, is_relative ? relative : full);
		if (judge_container(url, reach, &why))
			return SMRT_METADATA_FOUND;
	}
	smrt_buf_reset(url);
	smrt_error_set(error, "AWS_CONTAINER_CREDENTIALS_%s_URI: %s",
				   is_relative ? "RELATIVE" : "FULL", why.text);
	return SMRT_METADATA_REFUSED;
}

bool
smrt_metadata_instance(const SmrtInstanceEndpoint *sources, int n,
					   SmrtBuf *url, SmrtMetadataReach *reach,
					   SmrtError *error)
{
	SmrtSpan	endpoint = {NULL, 0};
	SmrtSpan	mode = {NULL, 0};
	SmrtUrl		parsed;
	SmrtError	why = {""};

	smrt_buf_reset(url);
	for (int i = n; i-- > 0;)
	{
		if (sources[i].endpoint.len > 0)
			endpoint = sources[i].endpoint;
		if (sources[i].mode.len > 0)
			mode = sources[i].mode;
	}
	if (endpoint.len == 0 && !endpoint_of_mode(mode, &endpoint))
		return smrt_error_set(error, "ec2_metadata_service_endpoint_mode is neither IPv4 nor IPv6");
	if (!smrt_url_parse(endpoint, &parsed, &why))
		return smrt_error_set(error, "ec2_metadata_service_endpoint: %s", why.text);
	*reach = reach_of(&parsed, instance_addresses);

	if (endpoint.data[endpoint.len - 1] == '/')
		endpoint.len--;
	if (smrt_buf_append_span(url, endpoint))
		return true;
	return smrt_error_set(error, "ec2_metadata_service_endpoint: no room for it");
}

static bool
judge_container(const SmrtBuf *url, SmrtMetadataReach *reach, SmrtError *error)
{
	SmrtSpan	text = smrt_buf_span(url);
	SmrtSpan	query = {NULL, 0};
	const char *mark;
	SmrtUrl		parsed;

	if (!smrt_buf_ok(url))
		return smrt_error_set(error, "no room for it");
	mark = memchr(text.data, '?', text.len);
	if (mark)
	{
		query = smrt_span_of(mark + 1, text.len - (size_t) (mark + 1 - text.data));
		text.len = (size_t) (mark - text.data);
	}
	if (!smrt_url_parse(text, &parsed, error) || !check_query(query, error))
		return false;
	/* Where a host ends at a "?", not all that read URLs have agreed. */
	if (mark && memchr(parsed.host.data, '/',
					   (size_t) (mark - parsed.host.data)) == NULL)
		return smrt_error_set(error, "the URL has a query, but no path");

	*reach = reach_of(&parsed, container_addresses);
	if (*reach == SMRT_REACH_ANY && !parsed.tls)
		return smrt_error_set(error, "plain http is only for this machine and the addresses of ECS and EKS");
	return true;
}

static bool
check_query(SmrtSpan query, SmrtError *error)
{
	for (size_t i = 0; i < query.len; i++)
	{
		unsigned char c = (unsigned char) query.data[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"#<>\\^`{|}", c) != NULL)
			return smrt_error_set(error, "the query of the URL has a character that must be percent-encoded");
		if (c == '%' &&
			(query.len - i < 3 || smrt_ascii_hex(query.data[i + 1]) < 0 ||
			 smrt_ascii_hex(query.data[i + 2]) < 0))
			return smrt_error_set(error, "the query of the URL has a %% without two hexadecimal digits");
	}
	return true;
}

/* How far for that host; addresses ends in NULL. */
static SmrtMetadataReach
reach_of(const SmrtUrl *url, const char *const *addresses)
{
	if (smrt_url_loopback(url))
		return SMRT_REACH_LOOPBACK;
	for (; *addresses; addresses++)
	{
		if (url->ipv6 ? same_ipv6(url->host, *addresses) :
			smrt_span_equal(url->host, smrt_span(*addresses)))
			return SMRT_REACH_METADATA;
	}
	return SMRT_REACH_ANY;
}

/* However it is spelled: an IPv6 address has many forms. */
static bool
same_ipv6(SmrtSpan host, const char *address)
{
	char		text[INET6_ADDRSTRLEN];
	unsigned char left[16];
	unsigned char right[16];

	if (host.len >= sizeof(text))
		return false;
	memcpy(text, host.data, host.len);
	text[host.len] = '\0';
	return inet_pton(AF_INET6, text, left) == 1 &&
		inet_pton(AF_INET6, address, right) == 1 &&
		memcmp(left, right, sizeof(left)) == 0;
}

static bool
endpoint_of_mode(SmrtSpan mode, SmrtSpan *endpoint)
{
	static const struct
	{
		SmrtSpan	mode;
		SmrtSpan	endpoint;
	}			modes[] =
	{
		{SMRT_LITERAL(""), SMRT_LITERAL("http://169.254.169.254")},
		{SMRT_LITERAL("ipv4"), SMRT_LITERAL("http://169.254.169.254")},
		{SMRT_LITERAL("ipv6"), SMRT_LITERAL("http://[fd00:ec2::254]")},
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
	{
		if (!smrt_span_equal_nocase(mode, modes[i].mode))
			continue;
		*endpoint = modes[i].endpoint;
		return true;
	}
	return false;
}
