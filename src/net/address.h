/*
 * Which resolved addresses we contact.  A name is judged by what it resolved
 * to, at the moment of connecting, so that neither a spelling nor a changed DNS
 * answer leads to the machine's metadata service.
 */
#ifndef SMRT_NET_ADDRESS_H
#define SMRT_NET_ADDRESS_H

#include <sys/socket.h>

typedef enum SmrtAddressRule
{
	SMRT_ADDRESS_NO_LINK_LOCAL, /* the usual: no link-local, no metadata */
	SMRT_ADDRESS_LOOPBACK,		/* plain http: this machine only */
	SMRT_ADDRESS_ANY			/* the server's own metadata services */
} SmrtAddressRule;

/* NULL when the rule permits the address, else why it does not. */
extern const char *smrt_address_refusal(const struct sockaddr *address,
										SmrtAddressRule rule);

/*
 * The same for a host as libcurl writes it, IPv6 in brackets: NULL for a name,
 * too, which somebody else will resolve.
 */
extern const char *smrt_address_literal_refusal(const char *host,
												SmrtAddressRule rule);

#endif							/* SMRT_NET_ADDRESS_H */
