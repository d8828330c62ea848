/*
 * The sink for sets: answers each request after a latency, whatever the number
 * of connections, with as many predictions as the body has lines.  So a client
 * that packs rows wrongly gets the wrong number.
 *
 * For each latency in milliseconds that it is given it listens on a port of its
 * own, and prints these ports on one line.  A GET is answered at once, with how
 * many connections were accepted at that port and how many POSTs answered.
 *
 * Equal latencies keep answers in the order of their requests, so that what is
 * waiting at a port is a queue.  Whatever it does not understand is its end: a
 * figure that was made with it would be wrong.
 *
 * In a file may stand endpoints that have an answer of their own, JSON, whatever the
 * body: on each line a name, a space and the answer.
 *
 * usage: sink [--answers FILE] LATENCY...
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PREDICTION "0.9731\n"
#define MAX_ROWS 10000			/* in a request */
#define MAX_HEAD 8192
#define MAX_EVENTS 256
#define NS_PER_S 1000000000LL

typedef struct Port Port;

typedef struct Answer
{
	char	   *endpoint;
	char	   *body;
	struct Answer *next;
} Answer;

typedef struct Connection
{
	int			fd;
	Port	   *port;
	bool		listening;		/* it is the port's listener */
	size_t		n_head;			/* bytes of head, while it is not complete */
	char		head[MAX_HEAD + 1];
	bool		in_body;
	bool		is_get;
	size_t		body_left;
	long		n_rows;			/* lines of the body so far */
	char		last;			/* byte of the body */
	const Answer *answer;		/* the endpoint's own, or NULL */
	long long	due;			/* when to answer; monotonic, ns */
	struct Connection *next;	/* that waits for its answer at this port */
} Connection;

struct Port
{
	Connection	listener;
	long long	latency;		/* ns */
	long		n_connections;
	long		n_posts;
	Connection *first;			/* waiting */
	Connection *last;
};

static int	poller;
static Answer *answers;
static char predictions[MAX_ROWS * (sizeof(PREDICTION) - 1) + 1];

static void read_answers(const char *file);
static const Answer *find_answer(const char *head);
static void open_port(Port *port, const char *latency_ms);
static void wait_for_events(Port *ports, int n_ports);
static void accept_one(Port *port);
static void watch(Connection *connection);
static void read_some(Connection *connection);
static size_t read_head(Connection *connection, const char *data, size_t n);
static size_t read_body(Connection *connection, const char *data, size_t n);
static void end_request(Connection *connection);
static void answer(Connection *connection);
static void answer_due(Port *port);
static long long now_ns(void);
static void fail(const char *what);

int
main(int argc, char **argv)
{
	int			first = argc > 2 && strcmp(argv[1], "--answers") == 0 ? 3 : 1;
	int			n_ports = argc - first;
	Port	   *ports = n_ports > 0 ? calloc(n_ports, sizeof(Port)) : NULL;

	if (ports == NULL)
		fail("usage: sink [--answers FILE] LATENCY...");
	if (first > 1)
		read_answers(argv[2]);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < MAX_ROWS; i++)
		strcpy(predictions + i * strlen(PREDICTION), PREDICTION);
	poller = epoll_create1(0);
	for (int i = 0; i < n_ports; i++)
		open_port(&ports[i], argv[first + i]);
	putchar('\n');
	fflush(stdout);
	for (;;)
	{
		struct epoll_event events[MAX_EVENTS];
		int			n;

		wait_for_events(ports, n_ports);
		n = epoll_wait(poller, events, MAX_EVENTS, 0);
		for (int i = 0; i < n; i++)
		{
			Connection *connection = events[i].data.ptr;

			if (connection->listening)
				accept_one(connection->port);
			else
				read_some(connection);
		}
		for (int i = 0; i < n_ports; i++)
			answer_due(&ports[i]);
	}
}

static void
read_answers(const char *file)
{
	FILE	   *lines = fopen(file, "r");
	char	   *line = NULL;
	size_t		size = 0;

	if (lines == NULL)
		fail("cannot read the answers");
	while (getline(&line, &size, lines) > 0)
	{
		Answer	   *answer = calloc(1, sizeof(Answer));
		char	   *space = strchr(line, ' ');

		if (answer == NULL || space == NULL)
			fail("an answer without an endpoint");
		answer->endpoint = strndup(line, space - line);
		answer->body = strndup(space + 1, strcspn(space + 1, "\n"));
		answer->next = answers;
		answers = answer;
	}
	fclose(lines);
}

/* Of a request to /endpoints/NAME/... */
static const Answer *
find_answer(const char *head)
{
	const char *name = strstr(head, "/endpoints/");

	for (const Answer *answer = answers; name != NULL && answer != NULL; answer = answer->next)
	{
		size_t		len = strlen(answer->endpoint);

		if (strncmp(name + strlen("/endpoints/"), answer->endpoint, len) == 0 &&
			name[strlen("/endpoints/") + len] == '/')
			return answer;
	}
	return NULL;
}

static void
open_port(Port *port, const char *latency_ms)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t	len = sizeof(address);
	int			fd = socket(AF_INET, SOCK_STREAM, 0);

	port->latency = atoll(latency_ms) * (NS_PER_S / 1000);
	port->listener = (Connection) {.fd = fd,.port = port,.listening = true};
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, len) != 0 ||
		listen(fd, 1024) != 0 ||
		getsockname(fd, (struct sockaddr *) &address, &len) != 0)
		fail("cannot listen");
	watch(&port->listener);
	printf("%d ", ntohs(address.sin_port));
}

static void
watch(Connection *connection)
{
	struct epoll_event event = {.events = EPOLLIN,.data.ptr = connection};

	if (epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event) != 0)
		fail("cannot watch a connection");
}

/* Or until an answer is due: epoll_wait() knows no less than milliseconds. */
static void
wait_for_events(Port *ports, int n_ports)
{
	struct pollfd poll_fd = {.fd = poller,.events = POLLIN};
	struct timespec timeout;
	long long	left = -1;

	for (int i = 0; i < n_ports; i++)
	{
		if (ports[i].first == NULL)
			continue;
		if (left < 0 || ports[i].first->due < left)
			left = ports[i].first->due;
	}
	if (left >= 0)
	{
		left -= now_ns();
		if (left < 0)
			left = 0;
		timeout = (struct timespec) {left / NS_PER_S, left % NS_PER_S};
	}
	(void) ppoll(&poll_fd, 1, left < 0 ? NULL : &timeout, NULL);
}

static void
accept_one(Port *port)
{
	Connection *connection = calloc(1, sizeof(Connection));
	int			on = 1;

	if (connection == NULL)
		fail("out of memory");
	connection->port = port;
	connection->fd = accept(port->listener.fd, NULL, NULL);
	if (connection->fd < 0)
		fail("cannot accept");
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	port->n_connections++;
	watch(connection);
}

static void
read_some(Connection *connection)
{
	static char data[256 * 1024];
	ssize_t		n = recv(connection->fd, data, sizeof(data), MSG_DONTWAIT);
	size_t		used = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
	{
		if (connection->due != 0)
			fail("a client has left before its answer");
		close(connection->fd);
		free(connection);
		return;
	}
	if (connection->due != 0)
		fail("a request before the last one was answered");
	if (!connection->in_body)
		used = read_head(connection, data, n);
	if (connection->in_body)
		used += read_body(connection, data + used, n - used);
	if (used != (size_t) n)
		fail("more than one request at once");
}

/* Gives how many bytes belong to it. */
static size_t
read_head(Connection *connection, const char *data, size_t n)
{
	size_t		before = connection->n_head;
	size_t		room = MAX_HEAD - before;
	char	   *end;
	char	   *length;

	if (n < room)
		room = n;
	memcpy(connection->head + before, data, room);
	connection->n_head += room;
	connection->head[connection->n_head] = '\0';
	end = strstr(connection->head, "\r\n\r\n");
	if (end == NULL)
	{
		if (connection->n_head == MAX_HEAD)
			fail("too many headers");
		return n;
	}
	end[2] = '\0';
	length = strcasestr(connection->head, "\r\nContent-Length:");
	connection->is_get = strncmp(connection->head, "GET ", 4) == 0;
	if (length == NULL && !connection->is_get)
		fail("a request without a length");
	connection->answer = find_answer(connection->head);
	connection->body_left = length ? atoll(strchr(length, ':') + 1) : 0;
	connection->in_body = true;
	connection->n_rows = 0;
	connection->last = '\n';
	return end + 4 - connection->head - before;
}

/* Gives how many bytes belong to it. */
static size_t
read_body(Connection *connection, const char *data, size_t n)
{
	const char *end;

	if (n > connection->body_left)
		n = connection->body_left;
	end = data + n;
	connection->body_left -= n;
	if (n > 0)
		connection->last = end[-1];
	while ((data = memchr(data, '\n', end - data)) != NULL)
	{
		connection->n_rows++;
		data++;
	}
	if (connection->body_left == 0)
		end_request(connection);
	return n;
}

static void
end_request(Connection *connection)
{
	Port	   *port = connection->port;

	connection->in_body = false;
	connection->n_head = 0;
	if (connection->last != '\n')
		connection->n_rows++;
	if (connection->is_get || port->latency == 0)
	{
		answer(connection);
		return;
	}
	connection->due = now_ns() + port->latency;
	connection->next = NULL;
	if (port->first == NULL)
		port->first = connection;
	else
		port->last->next = connection;
	port->last = connection;
}

static void
answer_due(Port *port)
{
	long long	now = port->first ? now_ns() : 0;

	while (port->first != NULL && port->first->due <= now)
	{
		Connection *connection = port->first;

		port->first = connection->next;
		connection->due = 0;
		answer(connection);
	}
}

static void
answer(Connection *connection)
{
	Port	   *port = connection->port;
	char		head[400];
	char		counts[60];
	struct iovec parts[2];
	ssize_t		wanted;

	if (connection->n_rows > MAX_ROWS)
		fail("too many rows in a request");
	if (connection->is_get)
	{
		parts[1].iov_base = counts;
		parts[1].iov_len = sprintf(counts, "%ld %ld\n", port->n_connections,
								   port->n_posts);
	}
	else
	{
		port->n_posts++;
		parts[1].iov_base = connection->answer ? connection->answer->body : predictions;
		parts[1].iov_len = connection->answer ? strlen(connection->answer->body) :
			connection->n_rows * strlen(PREDICTION);
	}
	parts[0].iov_base = head;
	parts[0].iov_len = sprintf(head,
							   "HTTP/1.1 200 OK\r\n"
							   "Content-Type: %s\r\n"
							   "Content-Length: %zu\r\n"
							   "x-amzn-RequestId: 4f5a7a3e-7a56-4c1d-9d0e-2f0c5f3b9a61\r\n"
							   "x-amzn-Invoked-Production-Variant: AllTraffic\r\n"
							   "\r\n",
							   connection->answer ? "application/json" : "text/csv",
							   parts[1].iov_len);
	wanted = parts[0].iov_len + parts[1].iov_len;
	/* The socket blocks, so it is all or an error; the client may have gone. */
	if (writev(connection->fd, parts, 2) != wanted && errno != EPIPE &&
		errno != ECONNRESET)
		fail("cannot answer");
}

static long long
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void
fail(const char *what)
{
	fprintf(stderr, "sink: %s\n", what);
	exit(1);
}
