/*
 * One descriptor that stands for many sockets: the kernel's own event queue
 * (epoll, kqueue).  PostgreSQL's WaitEventSet cannot forget a socket, so it
 * waits for the queue's descriptor, which never changes, and we ask the queue
 * which of libcurl's sockets it was.
 */
#ifndef SMRT_NET_POLLER_H
#define SMRT_NET_POLLER_H

#define SMRT_POLL_READ 1
#define SMRT_POLL_WRITE 2
#define SMRT_POLL_ERROR 4

typedef struct SmrtPollEvent
{
	int			fd;
	int			events;			/* SMRT_POLL_* bits */
} SmrtPollEvent;

/* A new queue's descriptor, close-on-exec; -1 and errno when there is none. */
extern int	smrt_poller_open(void);

/*
 * Changes what is watched of a socket from one set of bits to another; either
 * may be 0.  A socket that is closed leaves the queue by itself.  -1 and errno
 * on failure.
 */
extern int	smrt_poller_change(int poller, int fd, int from, int to);

/* Up to max events that are there now; never waits. */
extern int	smrt_poller_collect(int poller, SmrtPollEvent *events, int max);

#endif							/* SMRT_NET_POLLER_H */
