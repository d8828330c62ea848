/*
 * The event queue on Linux (epoll) and on the BSDs and macOS (kqueue).  Both
 * are level-triggered here: an event left alone comes again.
 */
#include "postgres.h"

#include <errno.h>
#include <unistd.h>

#include "net/poller.h"

#define MAX_EVENTS 64

#ifdef __linux__

#include <sys/epoll.h>

int
smrt_poller_open(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

int
smrt_poller_change(int poller, int fd, int from, int to)
{
	struct epoll_event event = {0};

	event.data.fd = fd;
	if (to & SMRT_POLL_READ)
		event.events |= EPOLLIN;
	if (to & SMRT_POLL_WRITE)
		event.events |= EPOLLOUT;
	if (to == 0)
		return epoll_ctl(poller, EPOLL_CTL_DEL, fd, &event);
	return epoll_ctl(poller, from == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd,
					 &event);
}

int
smrt_poller_collect(int poller, SmrtPollEvent *events, int max)
{
	struct epoll_event ready[MAX_EVENTS];
	int			n = epoll_wait(poller, ready, Min(max, MAX_EVENTS), 0);

	for (int i = 0; i < n; i++)
	{
		events[i].fd = ready[i].data.fd;
		events[i].events = 0;
		if (ready[i].events & EPOLLIN)
			events[i].events |= SMRT_POLL_READ;
		if (ready[i].events & EPOLLOUT)
			events[i].events |= SMRT_POLL_WRITE;
		if (ready[i].events & (EPOLLERR | EPOLLHUP))
			events[i].events |= SMRT_POLL_ERROR;
	}
	return Max(n, 0);
}

#else

#include <fcntl.h>
#include <sys/event.h>

int
smrt_poller_open(void)
{
	int			fd = kqueue();

	if (fd >= 0)
		(void) fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

int
smrt_poller_change(int poller, int fd, int from, int to)
{
	static const struct
	{
		int			bit;
		short		filter;
	}			filters[] = {
		{SMRT_POLL_READ, EVFILT_READ},
		{SMRT_POLL_WRITE, EVFILT_WRITE},
	};
	struct kevent changes[2];
	int			n = 0;

	for (int i = 0; i < 2; i++)
		if ((from ^ to) & filters[i].bit)
		{
			EV_SET(&changes[n], fd, filters[i].filter,
				   (to & filters[i].bit) ? EV_ADD : EV_DELETE, 0, 0, 0);
			n++;
		}
	return kevent(poller, changes, n, NULL, 0, NULL);
}

int
smrt_poller_collect(int poller, SmrtPollEvent *events, int max)
{
	static const struct timespec no_wait = {0, 0};
	struct kevent ready[MAX_EVENTS];
	int			n = kevent(poller, NULL, 0, ready, Min(max, MAX_EVENTS), &no_wait);

	for (int i = 0; i < n; i++)
	{
		events[i].fd = (int) ready[i].ident;
		events[i].events = ready[i].filter == EVFILT_READ ? SMRT_POLL_READ :
			SMRT_POLL_WRITE;
		if (ready[i].flags & EV_ERROR)
			events[i].events |= SMRT_POLL_ERROR;
	}
	return Max(n, 0);
}

#endif
