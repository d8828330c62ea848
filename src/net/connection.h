/*
 * The connections that this backend has: what is known of each, for people.
 */
#ifndef SMRT_NET_CONNECTION_H
#define SMRT_NET_CONNECTION_H

#include <sys/socket.h>
#include <time.h>

typedef struct SmrtConnection
{
	bool		open;
	char		address[46];	/* of the host, or the proxy */
	int			port;
	time_t		opened_at;		/* wall clock */
	time_t		used_at;		/* end of the last request; 0: none ended yet */
	int64		requests;		/* ended, whatever came of them */
} SmrtConnection;

/* The first after the given one, NULL before the first; NULL: no more. */
extern const SmrtConnection *smrt_connection_next(const SmrtConnection *after);

/* Of net/transfer.c and net/exchange.c, by descriptor.  None of them fails. */
extern void smrt_connection_opened(int fd, const struct sockaddr *address,
								   socklen_t address_len);
extern void smrt_connection_used(int fd);
extern void smrt_connection_closed(int fd);

#endif							/* SMRT_NET_CONNECTION_H */
