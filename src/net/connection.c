/*
 * Connections, by descriptor.  They are noted under libcurl, so nothing here may
 * raise an error: without memory for a note there is none.
 */
#include "postgres.h"

#include <netdb.h>

#include "net/connection.h"

static SmrtConnection *connections;
static int	n_connections;

static SmrtConnection *connection_of(int fd);

const SmrtConnection *
smrt_connection_next(const SmrtConnection *after)
{
	for (int i = after ? after - connections + 1 : 0; i < n_connections; i++)
		if (connections[i].open)
			return &connections[i];
	return NULL;
}

void
smrt_connection_opened(int fd, const struct sockaddr *address,
					   socklen_t address_len)
{
	SmrtConnection *connection;
	char		port[NI_MAXSERV] = "";

	if (fd >= n_connections)
	{
		int			n = Max(fd + 1, 64);
		SmrtConnection *grown = realloc(connections, n * sizeof(SmrtConnection));

		if (grown == NULL)
			return;
		memset(grown + n_connections, 0,
			   (n - n_connections) * sizeof(SmrtConnection));
		connections = grown;
		n_connections = n;
	}
	connection = &connections[fd];
	*connection = (SmrtConnection) {.open = true,.opened_at = time(NULL)};
	(void) getnameinfo(address, address_len, connection->address,
					   sizeof(connection->address), port, sizeof(port),
					   NI_NUMERICHOST | NI_NUMERICSERV);
	connection->port = atoi(port);
}

void
smrt_connection_used(int fd)
{
	SmrtConnection *connection = connection_of(fd);

	if (connection == NULL)
		return;
	connection->used_at = time(NULL);
	connection->requests++;
}

void
smrt_connection_closed(int fd)
{
	SmrtConnection *connection = connection_of(fd);

	if (connection != NULL)
		connection->open = false;
}

static SmrtConnection *
connection_of(int fd)
{
	return fd >= 0 && fd < n_connections && connections[fd].open ?
		&connections[fd] : NULL;
}
