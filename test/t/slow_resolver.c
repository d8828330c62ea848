/*
 * A name service that can be made to hang: a library that a test preloads into
 * a server.  The folder that SLOW_RESOLVER names is its switchboard.
 *
 * slow.test is this machine; but while the folder has a file "hold", whoever
 * looks it up waits.  A file "one" lets one of them go, who removes it.
 * nowhere.test does not exist.  All other names are the C library's business.
 *
 * Each lookup of slow.test appends a line to the file "lookups": process,
 * thread, and which of the signals that PostgreSQL uses the thread would take,
 * or "none".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A forgotten hold must not keep a thread for ever: a minute. */
#define POLL_US 5000
#define MAX_POLLS (60 * 1000000 / POLL_US)

typedef int (*Resolve) (const char *, const char *, const struct addrinfo *,
						struct addrinfo **);

static void record(const char *folder);

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
			struct addrinfo **result)
{
	Resolve		real = (Resolve) dlsym(RTLD_NEXT, "getaddrinfo");
	const char *folder = getenv("SLOW_RESOLVER");
	char		hold[1024];
	char		one[1024];

	if (node != NULL && strcmp(node, "nowhere.test") == 0)
		return EAI_NONAME;
	if (node == NULL || folder == NULL || strcmp(node, "slow.test") != 0)
		return real(node, service, hints, result);

	record(folder);
	snprintf(hold, sizeof(hold), "%s/hold", folder);
	snprintf(one, sizeof(one), "%s/one", folder);
	for (int i = 0; i < MAX_POLLS && access(hold, F_OK) == 0; i++)
	{
		if (unlink(one) == 0)
			break;
		usleep(POLL_US);
	}
	return real("127.0.0.1", service, hints, result);
}

static void
record(const char *folder)
{
	static const struct
	{
		int			number;
		const char *name;
	}			signals[] = {
		{SIGHUP, "HUP"}, {SIGINT, "INT"}, {SIGQUIT, "QUIT"},
		{SIGTERM, "TERM"}, {SIGALRM, "ALRM"}, {SIGUSR1, "USR1"},
		{SIGUSR2, "USR2"}, {SIGCHLD, "CHLD"}, {SIGURG, "URG"},
	};
	char		line[256];
	char		path[1024];
	sigset_t	blocked;
	int			len;
	int			taken = 0;
	int			fd;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	len = sprintf(line, "%d %ld", (int) getpid(), (long) syscall(SYS_gettid));
	for (int i = 0; i < (int) (sizeof(signals) / sizeof(signals[0])); i++)
		if (!sigismember(&blocked, signals[i].number))
		{
			len += sprintf(line + len, " %s", signals[i].name);
			taken++;
		}
	len += sprintf(line + len, taken ? "\n" : " none\n");

	snprintf(path, sizeof(path), "%s/lookups", folder);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, len) != len)
		abort();
	close(fd);
}
