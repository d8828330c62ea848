/*
 * AWS's addresses on this machine: a library that a test preloads into a server.
 * Connections to the metadata addresses, to the hosts of amazonaws.com and api.aws and to
 * names that tests make up are led to ports of 127.0.0.1 that AWS_HOSTS_HTTP and
 * AWS_HOSTS_HTTPS name.
 *
 * And another time: the clocks that say how old keys are go ahead by as many
 * seconds as stand in the file that AWS_HOSTS_CLOCK names.  The one that requests
 * are signed by does not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* An address of documentation, that stands for all hosts of AWS's. */
#define AWS "192.0.2.1"

typedef int (*Resolve) (const char *, const char *, const struct addrinfo *,
						struct addrinfo **);
typedef int (*Connect) (int, const struct sockaddr *, socklen_t);
typedef int (*GetClock) (clockid_t, struct timespec *);

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
			struct addrinfo **result)
{
	static const char *const ends[] = {".amazonaws.com", ".api.aws", ".example", "-override"};
	Resolve		real = (Resolve) dlsym(RTLD_NEXT, "getaddrinfo");

	for (size_t i = 0; node != NULL && i < sizeof(ends) / sizeof(ends[0]); i++)
	{
		size_t		len = strlen(node);
		size_t		end_len = strlen(ends[i]);

		if (len > end_len && strcmp(node + len - end_len, ends[i]) == 0)
			return real(AWS, service, NULL, result);
	}
	return real(node, service, hints, result);
}

int
connect(int fd, const struct sockaddr *address, socklen_t len)
{
	Connect		real = (Connect) dlsym(RTLD_NEXT, "connect");
	struct sockaddr_in here;
	unsigned	ip;

	if (address->sa_family != AF_INET)
		return real(fd, address, len);
	memcpy(&here, address, sizeof(here));
	ip = ntohl(here.sin_addr.s_addr);
	if ((ip >> 16) == 0xa9fe || (ip >> 8) == 0xc00002)
	{
		const char *port = getenv(ntohs(here.sin_port) == 443 ?
								  "AWS_HOSTS_HTTPS" : "AWS_HOSTS_HTTP");

		here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		here.sin_port = htons(port ? atoi(port) : 1);
	}
	return real(fd, (struct sockaddr *) &here, sizeof(here));
}

static int
seconds_ahead(void)
{
	const char *path = getenv("AWS_HOSTS_CLOCK");
	int			file = path != NULL ? open(path, O_RDONLY) : -1;
	char		text[16] = "";

	if (file < 0)
		return 0;
	if (read(file, text, sizeof(text) - 1) < 0)
		abort();
	close(file);
	return atoi(text);
}

int
clock_gettime(clockid_t id, struct timespec *now)
{
	static GetClock real;
	int			status;

	if (real == NULL)
		real = (GetClock) dlsym(RTLD_NEXT, "clock_gettime");
	status = real(id, now);
	if (status == 0 && id == CLOCK_MONOTONIC)
		now->tv_sec += seconds_ahead();
	return status;
}

time_t
time(time_t *out)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += seconds_ahead();
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}
