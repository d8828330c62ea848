/*
 * A library that is preloaded into a server, and makes the n-th allocation or the
 * n-th system call of a kind fail.  It is a module of the server, too, whose
 * functions say which, and what became of it.
 *
 * Kinds are the C library's functions, "malloc" for all that allocate, and
 * "palloc" for the server's as our library calls them, which is then linked with
 * them wrapped (see WRAPPED in Injector.pm).  Allocations and what waits count
 * whoever calls; other system calls do when libraries make them, as what the
 * server says to its client and reads of its tables is not ours to break.
 */
#define _GNU_SOURCE
#include "postgres.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(injector_arm);
PG_FUNCTION_INFO_V1(injector_disarm);
PG_FUNCTION_INFO_V1(injector_heap);

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *ptr, size_t size);

#define HOUR_S 3600

static const struct
{
	const char *name;
	int			number;
}			faults[] = {
	{"EACCES", EACCES}, {"EADDRNOTAVAIL", EADDRNOTAVAIL},
	{"EAFNOSUPPORT", EAFNOSUPPORT}, {"EAGAIN", EAGAIN},
	{"EBADF", EBADF}, {"ECONNREFUSED", ECONNREFUSED},
	{"ECONNRESET", ECONNRESET}, {"EINTR", EINTR}, {"EINVAL", EINVAL},
	{"EIO", EIO}, {"EMFILE", EMFILE}, {"ENETUNREACH", ENETUNREACH},
	{"ENFILE", ENFILE}, {"ENOBUFS", ENOBUFS}, {"ENOENT", ENOENT},
	{"ENOMEM", ENOMEM}, {"ENOSPC", ENOSPC}, {"ENOTCONN", ENOTCONN},
	{"EPIPE", EPIPE}, {"ETIMEDOUT", ETIMEDOUT}, {"short", 0},
	{"ahead", HOUR_S}, {"behind", -HOUR_S},
};

static char armed[32];			/* the kind; "": none */
static int	nth;
static int	fault;
static bool is_short;
static atomic_int count;
static bool fired;

static bool is_armed(const char *kind);
static bool strikes(void);
static void tell_place(void);
static bool strikes_library(const char *kind, void *caller);

Datum
injector_arm(PG_FUNCTION_ARGS)
{
	char	   *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(2));
	size_t		i = 0;

	while (i < lengthof(faults) && strcmp(faults[i].name, name) != 0)
		i++;
	if (i == lengthof(faults))
		elog(ERROR, "no such fault: %s", name);
	nth = PG_GETARG_INT32(1);
	fault = faults[i].number;
	is_short = fault == 0;
	fired = false;
	atomic_store(&count, 0);
	strlcpy(armed, kind, sizeof(armed));
	PG_RETURN_VOID();
}

/* Whether it has come to the n-th. */
Datum
injector_disarm(PG_FUNCTION_ARGS)
{
	armed[0] = '\0';
	PG_RETURN_BOOL(fired);
}

/* Bytes that the C library has handed out. */
Datum
injector_heap(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(mallinfo2().uordblks);
}

static bool
is_armed(const char *kind)
{
	return armed[0] == kind[0] && strcmp(armed, kind) == 0;
}

static bool
strikes(void)
{
	if (atomic_fetch_add(&count, 1) + 1 != nth)
		return false;
	fired = true;
	tell_place();
	return true;
}

/* With INJECTOR_TRACE=FILE, where it struck is appended there. */
static void
tell_place(void)
{
	const char *path = getenv("INJECTOR_TRACE");
	void	   *frames[16];
	int			fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT, 0666) : -1;

	if (fd < 0)
		return;
	dprintf(fd, "%s %d\n", armed, nth);
	backtrace_symbols_fd(frames, backtrace(frames, lengthof(frames)), fd);
	close(fd);
}

static bool
strikes_library(const char *kind, void *caller)
{
	Dl_info		server;
	Dl_info		library;

	return is_armed(kind) && dladdr(palloc, &server) != 0 &&
		dladdr(caller, &library) != 0 &&
		library.dli_fbase != server.dli_fbase && strikes();
}

/*
 * Memory.
 */

#define NO_MEMORY(kind) (is_armed(kind) && strikes() && (errno = ENOMEM, true))

void *
malloc(size_t size)
{
	return NO_MEMORY("malloc") ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	return NO_MEMORY("malloc") ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *ptr, size_t size)
{
	return NO_MEMORY("malloc") ? NULL : __libc_realloc(ptr, size);
}

#define RAISE_OUT_OF_MEMORY() \
	do { \
		if (NO_MEMORY("palloc")) \
			ereport(ERROR, \
					(errcode(ERRCODE_OUT_OF_MEMORY), \
					 errmsg("out of memory"), \
					 errdetail("An allocation of the test fails."))); \
	} while (0)

/* __wrap_NAME is what our library calls instead of NAME. */
#define WRAP(result, name, parameters, arguments) \
	extern result __wrap_##name parameters; \
	result \
	__wrap_##name parameters \
	{ \
		RAISE_OUT_OF_MEMORY(); \
		return name arguments; \
	}

WRAP(void *, palloc, (Size size), (size))
WRAP(void *, palloc0, (Size size), (size))
WRAP(void *, repalloc, (void *ptr, Size size), (ptr, size))
WRAP(char *, pstrdup, (const char *s), (s))
WRAP(char *, pnstrdup, (const char *s, Size n), (s, n))
WRAP(char *, MemoryContextStrdup, (MemoryContext c, const char *s), (c, s))
WRAP(void *, MemoryContextAlloc, (MemoryContext c, Size size), (c, size))
WRAP(void *, MemoryContextAllocZero, (MemoryContext c, Size size), (c, size))
WRAP(void *, MemoryContextAllocExtended, (MemoryContext c, Size size, int flags), (c, size, flags))
WRAP(MemoryContext, AllocSetContextCreateInternal,
	 (MemoryContext parent, const char *name, Size min, Size initial, Size max),
	 (parent, name, min, initial, max))

/*
 * System calls.
 */

#define CALLER __builtin_return_address(0)

/* A call that is made by libraries, and has no short form. */
#define FAIL(result, name, parameters, arguments, failed, counts) \
	result \
	name parameters \
	{ \
		static result (*real) parameters; \
		if (real == NULL) \
			real = dlsym(RTLD_NEXT, #name); \
		if (counts) \
		{ \
			errno = fault; \
			return failed; \
		} \
		return real arguments; \
	}

#define OF_LIBRARY(name) strikes_library(name, CALLER)
#define OF_ANYBODY(name) (is_armed(name) && strikes())

FAIL(int, socket, (int family, int type, int protocol), (family, type, protocol), -1, OF_LIBRARY("socket"))
FAIL(int, connect, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len), -1, OF_LIBRARY("connect"))
FAIL(int, getsockname, (int fd, struct sockaddr *a, socklen_t *len), (fd, a, len), -1, OF_LIBRARY("getsockname"))
FAIL(int, getpeername, (int fd, struct sockaddr *a, socklen_t *len), (fd, a, len), -1, OF_LIBRARY("getpeername"))
FAIL(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *len), (fd, level, name, value, len), -1, OF_LIBRARY("getsockopt"))
FAIL(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len), (fd, level, name, value, len), -1, OF_LIBRARY("setsockopt"))
FAIL(int, socketpair, (int family, int type, int protocol, int fds[2]), (family, type, protocol, fds), -1, OF_LIBRARY("socketpair"))
FAIL(int, poll, (struct pollfd *fds, nfds_t n, int timeout), (fds, n, timeout), -1, OF_ANYBODY("poll"))
FAIL(int, epoll_create1, (int flags), (flags), -1, OF_ANYBODY("epoll_create1"))
FAIL(int, epoll_ctl, (int set, int op, int fd, struct epoll_event *event), (set, op, fd, event), -1, OF_ANYBODY("epoll_ctl"))
FAIL(int, epoll_wait, (int set, struct epoll_event *events, int max, int timeout), (set, events, max, timeout), -1, OF_ANYBODY("epoll_wait"))
FAIL(FILE *, fopen, (const char *path, const char *mode), (path, mode), NULL, OF_ANYBODY("fopen"))
FAIL(FILE *, fopen64, (const char *path, const char *mode), (path, mode), NULL, OF_ANYBODY("fopen"))
FAIL(char *, fgets, (char *s, int size, FILE *file), (s, size, file), NULL, OF_LIBRARY("fgets"))
FAIL(int, fstat, (int fd, struct stat *facts), (fd, facts), -1, OF_ANYBODY("fstat"))
FAIL(int, fstat64, (int fd, struct stat64 *facts), (fd, facts), -1, OF_ANYBODY("fstat"))
FAIL(int, pthread_create, (pthread_t *thread, const pthread_attr_t *how, void *(*start) (void *), void *argument), (thread, how, start, argument), fault, OF_ANYBODY("pthread_create"))
FAIL(int, getaddrinfo, (const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result), (node, service, hints, result),
	 fault == ENOMEM ? EAI_MEMORY : fault == EAGAIN ? EAI_AGAIN : EAI_SYSTEM, OF_LIBRARY("getaddrinfo"))

/* Those that move bytes may move one only. */
#define SHORTEN(name, parameters, arguments, size, counts) \
	ssize_t \
	name parameters \
	{ \
		static ssize_t (*real) parameters; \
		if (real == NULL) \
			real = dlsym(RTLD_NEXT, #name); \
		if (counts) \
		{ \
			if (!is_short) \
			{ \
				errno = fault; \
				return -1; \
			} \
			size = Min(size, 1); \
		} \
		return real arguments; \
	}

SHORTEN(send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags), size, OF_LIBRARY("send"))
SHORTEN(recv, (int fd, void *data, size_t size, int flags), (fd, data, size, flags), size, OF_LIBRARY("recv"))
SHORTEN(read, (int fd, void *data, size_t size), (fd, data, size), size, OF_LIBRARY("read"))
SHORTEN(write, (int fd, const void *data, size_t size), (fd, data, size), size, OF_LIBRARY("write"))

size_t
fread(void *data, size_t size, size_t n, FILE *file)
{
	static size_t (*real) (void *, size_t, size_t, FILE *);

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "fread");
	if (OF_ANYBODY("fread"))
	{
		if (is_short)
			n = Min(n, 1);
		else
		{
			errno = fault;
			return 0;
		}
	}
	return real(data, size, n, file);
}

/* A clock does not fail, but somebody may set it. */
int
gettimeofday(struct timeval *now, void *zone)
{
	static int	(*real) (struct timeval *, void *);
	int			result;

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "gettimeofday");
	result = real(now, zone);
	if (OF_ANYBODY("gettimeofday"))
		now->tv_sec += fault;
	return result;
}
