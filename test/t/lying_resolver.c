/*
 * A name service with bad intentions: a library that a test preloads into a
 * server.  These names lead where no endpoint may be; all others are the C
 * library's business.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

typedef int (*Resolve) (const char *, const char *, const struct addrinfo *,
						struct addrinfo **);

static const struct
{
	const char *name;
	const char *address;
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
};

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
			struct addrinfo **result)
{
	Resolve		real = (Resolve) dlsym(RTLD_NEXT, "getaddrinfo");

	for (size_t i = 0; node != NULL && i < sizeof(lies) / sizeof(lies[0]); i++)
		if (strcmp(node, lies[i].name) == 0)
			return real(lies[i].address, service, NULL, result);
	return real(node, service, hints, result);
}
