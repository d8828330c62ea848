/*
 * Address rules.  IPv4 addresses mapped into IPv6 are judged as IPv4; those that
 * a gateway would translate are no loopback, but may be link-local.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "net/address.h"

static bool ipv4_of(const struct sockaddr *address, uint32 *ipv4);
static bool is_link_local(uint32 ipv4);
static bool leads_to_link_local(const struct in6_addr *ipv6);

const char *
smrt_address_refusal(const struct sockaddr *address, SmrtAddressRule rule)
{
	/* fd00:ec2::/32 holds the IPv6 metadata, credential and DNS services. */
	static const unsigned char ec2[] = {0xfd, 0x00, 0x0e, 0xc2};
	const struct in6_addr *ipv6;
	bool		loopback;
	bool		link_local;
	uint32		ipv4;

	if (ipv4_of(address, &ipv4))
	{
		loopback = (ipv4 >> 24) == 127;
		link_local = is_link_local(ipv4);
	}
	else if (address->sa_family == AF_INET6)
	{
		ipv6 = &((const struct sockaddr_in6 *) address)->sin6_addr;
		loopback = IN6_IS_ADDR_LOOPBACK(ipv6);
		link_local = IN6_IS_ADDR_LINKLOCAL(ipv6) ||
			IN6_IS_ADDR_UNSPECIFIED(ipv6) ||
			memcmp(ipv6->s6_addr, ec2, sizeof(ec2)) == 0 ||
			leads_to_link_local(ipv6);
	}
	else
		return "it is no internet address";

	if (rule == SMRT_ADDRESS_ANY)
		return NULL;
	if (rule == SMRT_ADDRESS_LOOPBACK && !loopback)
		return "plain http is for this machine's loopback only";
	if (link_local)
		return "it is a link-local or metadata address";
	return NULL;
}

const char *
smrt_address_literal_refusal(const char *host, SmrtAddressRule rule)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
	char		inside[INET6_ADDRSTRLEN];
	size_t		len = strlen(host);

	if (inet_pton(AF_INET, host, &ipv4.sin_addr) == 1)
		return smrt_address_refusal((struct sockaddr *) &ipv4, rule);
	if (host[0] != '[')
		return NULL;
	/* Whatever else is in brackets is not understood, hence not permitted. */
	if (len - 2 >= sizeof(inside))
		return "it is no internet address";
	memcpy(inside, host + 1, len - 2);
	inside[len - 2] = '\0';
	if (inet_pton(AF_INET6, inside, &ipv6.sin6_addr) != 1)
		return "it is no internet address";
	return smrt_address_refusal((struct sockaddr *) &ipv6, rule);
}

static bool
ipv4_of(const struct sockaddr *address, uint32 *ipv4)
{
	const struct in6_addr *ipv6;
	uint32		network;

	if (address->sa_family == AF_INET)
		network = ((const struct sockaddr_in *) address)->sin_addr.s_addr;
	else if (address->sa_family == AF_INET6)
	{
		ipv6 = &((const struct sockaddr_in6 *) address)->sin6_addr;
		if (!IN6_IS_ADDR_V4MAPPED(ipv6))
			return false;
		memcpy(&network, ipv6->s6_addr + 12, sizeof(network));
	}
	else
		return false;
	*ipv4 = ntohl(network);
	return true;
}

static bool
is_link_local(uint32 ipv4)
{
	return (ipv4 >> 16) == 0xa9fe || ipv4 == 0;
}

/* "IPv4-compatible" addresses, and what NAT64 translates (RFC 6052). */
static bool
leads_to_link_local(const struct in6_addr *ipv6)
{
	static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	uint32		network;

	if (!IN6_IS_ADDR_V4COMPAT(ipv6) &&
		memcmp(ipv6->s6_addr, nat64, sizeof(nat64)) != 0)
		return false;
	memcpy(&network, ipv6->s6_addr + 12, sizeof(network));
	return is_link_local(ntohl(network));
}
