/*
 * A name service with bad intentions: a library that a test preloads into a
 * server.  These names lead where no endpoint may be; all others are the C
 * library's business.
 *
 * Connections to other machines are not made, but noted in the file that
 * LYING_RESOLVER_LOG names, if it does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int (*Resolve) (const char *, const char *, const struct addrinfo *,
						struct addrinfo **);
typedef int (*Connect) (int, const struct sockaddr *, socklen_t);

static const struct
{
	const char *name;
	const char *address;
	const char *then;			/* from the second time on */
	const char *also;			/* in the same answer, after it */
}			lies[] = {
	{"link-local.test", "169.254.169.254"},
	{"container.test", "169.254.170.2"},
	{"mapped.test", "::ffff:169.254.169.254"},
	{"compatible.test", "::169.254.169.254"},
	{"translated.test", "64:ff9b::169.254.169.254"},
	{"ipv6-link-local.test", "fe80::1"},
	{"ipv6-metadata.test", "fd00:ec2::254"},
	{"unspecified.test", "0.0.0.0"},
	{"ipv6-unspecified.test", "::"},
	{"here.test", "127.0.0.1"},
	{"translated-loopback.test", "64:ff9b::127.0.0.1"},
	{"rebinding.test", "127.0.0.1", .then = "169.254.169.254"},
	{"first-bad.test", "169.254.169.254", .also = "127.0.0.1"},
	{"all-bad.test", "169.254.169.254", .also = "::ffff:169.254.169.254"},
};

#define N_LIES (sizeof(lies) / sizeof(lies[0]))

static int	times[N_LIES];

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
			struct addrinfo **result)
{
	Resolve		real = (Resolve) dlsym(RTLD_NEXT, "getaddrinfo");

	for (size_t i = 0; node != NULL && i < N_LIES; i++)
	{
		struct addrinfo *last;
		int			status;

		if (strcmp(node, lies[i].name) != 0)
			continue;
		/* libcurl 8.22 asks for each family by itself, at the same time. */
		if (lies[i].then != NULL && hints != NULL && hints->ai_family == AF_INET6)
			return EAI_NONAME;
		status = real(times[i]++ > 0 && lies[i].then ? lies[i].then :
					  lies[i].address, service, NULL, result);
		if (status != 0 || lies[i].also == NULL)
			return status;
		for (last = *result; last->ai_next != NULL; last = last->ai_next)
			;
		return real(lies[i].also, service, NULL, &last->ai_next);
	}
	return real(node, service, hints, result);
}

int
connect(int fd, const struct sockaddr *address, socklen_t len)
{
	Connect		real = (Connect) dlsym(RTLD_NEXT, "connect");
	const char *path = getenv("LYING_RESOLVER_LOG");
	const struct sockaddr_in *ipv4 = (const struct sockaddr_in *) address;
	const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *) address;
	char		host[NI_MAXHOST];
	int			log;

	if (path == NULL ||
		(address->sa_family != AF_INET && address->sa_family != AF_INET6) ||
		(address->sa_family == AF_INET &&
		 ntohl(ipv4->sin_addr.s_addr) >> 24 == 127) ||
		(address->sa_family == AF_INET6 &&
		 IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr)) ||
		getnameinfo(address, len, host, sizeof(host) - 1, NULL, 0,
					NI_NUMERICHOST) != 0)
		return real(fd, address, len);
	strcat(host, "\n");
	log = open(path, O_WRONLY | O_APPEND);
	if (log < 0 || write(log, host, strlen(host)) < 0)
		abort();
	close(log);
	errno = ECONNREFUSED;
	return -1;
}
