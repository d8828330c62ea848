/*
 * The loop that drives libcurl, and the wait for it.
 *
 * libcurl tells which sockets it wants watched and when it wants to be called
 * again; we keep its sockets in one poller whose descriptor stands in a
 * WaitEventSet beside the latch and the postmaster.  Nothing throws while
 * libcurl is on the stack: its callbacks note what happened, and errors and
 * interrupts are raised between two calls into it.
 *
 * libcurl resolves names in threads of its own.  A thread inherits the signal
 * mask of the one that makes it, and PostgreSQL's handlers must run in the main
 * thread only; so all signals are blocked when a resolver starts
 * (smrt_pump_mask_signals) and unblocked when that call into libcurl is over.
 * That costs nothing while connections are reused.
 *
 * Deadlines are ours and not libcurl's, since its own would join a resolver
 * thread that hangs.  Time in which nobody listened, because the rest of the
 * statement was at work, does not count: the answer may have come meanwhile.
 * Nothing is cleaned up at exit, as a resolver may hang: the process takes all of
 * it along.
 */
#include "postgres.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include <curl/curl.h>

#include "miscadmin.h"
#include "net/lane.h"
#include "net/poller.h"
#include "net/pump.h"
#include "net/transfer.h"
#include "pg/compat.h"
#include "storage/fd.h"

/* Longest sleep: an upper bound only, every event wakes us. */
#define MAX_SLEEP_MS 60000
/* Calls into libcurl between two looks at interrupts; each reads up to 1.6 MB. */
#define MAX_TURNS 8

typedef struct Watch
{
	SmrtLane   *lane;
	uint8		wanted;			/* SMRT_POLL_* bits that libcurl asked for */
	uint8		registered;		/* those the poller has; may lag behind */
	bool		ours;			/* opened by us: we learn when it is closed */
	bool		held;			/* who reads there takes his time */
} Watch;

static bool libcurl_started;
static int	poller = -1;
static WaitEventSet *wait_set;
static uint32 wait_event;		/* for an answer */
static uint32 turn_event;		/* for the time to send */
static Watch *watches;			/* indexed by descriptor */
static int	n_watches;
static dlist_head running = DLIST_STATIC_INIT(running);
static int64 listened_until_ms;	/* outside smrt_pump_run() nobody listens */

static bool signals_masked;
static sigset_t signals_before;

static void start_libcurl(void);
static void forgive_absence(void);
static void drive_sockets(void);
static void drive_timers(void);
static void drive(SmrtLane *lane, curl_socket_t fd, int action);
static void tell_poller(int fd, uint8 wanted);
static void expire_transfers(void);
static int	collect_news(void);
static Watch *watch_of(int fd);
static void read_messages(SmrtLane *lane);
static bool send_anew(SmrtTransfer *transfer, CURLcode code);
static void take_out(SmrtTransfer *transfer);
static int64 next_wake_ms(int64 until);

void
smrt_pump_sleep(int64 ms)
{
	int64		until = smrt_pump_now_ms() + ms;
	int64		left;

	while ((left = until - smrt_pump_now_ms()) > 0)
		smrt_pump_run(left);
}

int64
smrt_pump_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
smrt_pump_run(int64 wait_ms)
{
	int64		until = smrt_pump_now_ms() + wait_ms;

	smrt_pump_ensure();
	for (;;)
	{
		WaitEvent	events[3];
		int			n;

		CHECK_FOR_INTERRUPTS();
		forgive_absence();
		drive_timers();
		if (collect_news() > 0)
			return;
		n = WaitEventSetWait(wait_set, next_wake_ms(until), events,
							 lengthof(events),
							 dlist_is_empty(&running) ? turn_event : wait_event);
		listened_until_ms = smrt_pump_now_ms();
		for (int i = 0; i < n; i++)
		{
			if (events[i].events & WL_LATCH_SET)
				ResetLatch(MyLatch);
			if (events[i].events & WL_SOCKET_READABLE)
				drive_sockets();
		}
		/* Behind the sockets: what came in time may have waited for us. */
		expire_transfers();
		if (collect_news() > 0 || smrt_pump_now_ms() >= until)
			return;
	}
}

void
smrt_pump_send(void)
{
	CHECK_FOR_INTERRUPTS();
	drive_timers();
}

/* Puts deadlines off by the time in which nobody listened. */
static void
forgive_absence(void)
{
	int64		now = smrt_pump_now_ms();
	dlist_iter	iter;

	dlist_foreach(iter, &running)
	{
		SmrtTransfer *transfer = dlist_container(SmrtTransfer, exchange.node,
												 iter.cur);
		int64		away_ms = now - Max(listened_until_ms,
										transfer->deadlines_set_ms);

		transfer->connect_by_ms += away_ms;
		transfer->finish_by_ms += away_ms;
	}
	listened_until_ms = now;
}

static int64
next_wake_ms(int64 until)
{
	int64		now = smrt_pump_now_ms();
	dlist_iter	iter;

	dlist_foreach(iter, &smrt_lanes)
	{
		SmrtLane   *lane = dlist_container(SmrtLane, node, iter.cur);

		if (lane->timer_ms >= 0)
			until = Min(until, lane->timer_ms);
	}
	dlist_foreach(iter, &running)
	{
		SmrtTransfer *transfer = dlist_container(SmrtTransfer, exchange.node,
												 iter.cur);

		until = Min(until, Min(transfer->connect_by_ms,
							   transfer->finish_by_ms));
	}
	return Max(0, Min(until - now, MAX_SLEEP_MS));
}

/* A call may ask for another one at once, and for ever if a server is fast enough. */
static void
drive_timers(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &smrt_lanes)
	{
		SmrtLane   *lane = dlist_container(SmrtLane, node, iter.cur);

		for (int i = 0; i < MAX_TURNS && lane->timer_ms >= 0 &&
			 lane->timer_ms <= smrt_pump_now_ms(); i++)
		{
			lane->timer_ms = -1;
			drive(lane, CURL_SOCKET_TIMEOUT, 0);
		}
	}
}

/*
 * Without memory, libcurl returns with a socket that nobody watches, and does not
 * tell whose: transfers would wait until their deadlines.  So all of the lane end
 * here, and leave it at once, even if that waits for a resolver.
 */
static void
drive(SmrtLane *lane, curl_socket_t fd, int action)
{
	int			still_running;
	CURLMcode	code = curl_multi_socket_action(lane->multi, fd, action,
												&still_running);
	dlist_iter	iter;

	smrt_pump_unmask_signals();
	if (code == CURLM_OK)
		return;
	lane->broken = true;
	dlist_foreach(iter, &running)
	{
		SmrtTransfer *transfer = dlist_container(SmrtTransfer, exchange.node,
												 iter.cur);

		if (transfer->lane != lane)
			continue;
		if (!transfer->exchange.done)
			smrt_transfer_run_out(transfer);
		take_out(transfer);
	}
}

static void
drive_sockets(void)
{
	SmrtPollEvent events[64];
	int			n = smrt_poller_collect(poller, events, lengthof(events));

	for (int i = 0; i < n; i++)
	{
		Watch	   *watch = &watches[events[i].fd];
		int			action;

		if (watch->held)
		{
			tell_poller(events[i].fd, 0);
			continue;
		}
		/* libcurl lost interest and we had not told the poller yet */
		if ((events[i].events & (watch->wanted | SMRT_POLL_ERROR)) == 0 ||
			watch->wanted == 0)
		{
			/*
			 * Nobody waits for what a kept connection says now: it is its end, or
			 * an answer too many, which the next request would take for its own.
			 * That it could be written to, as after a long body, is neither.
			 */
			if (watch->ours && watch->wanted == 0 &&
				(events[i].events & ~SMRT_POLL_WRITE) != 0)
				(void) shutdown(events[i].fd, SHUT_RDWR);
			tell_poller(events[i].fd, watch->wanted);
			continue;
		}
		action = ((events[i].events & SMRT_POLL_READ) ? CURL_CSELECT_IN : 0) |
			((events[i].events & SMRT_POLL_WRITE) ? CURL_CSELECT_OUT : 0) |
			((events[i].events & SMRT_POLL_ERROR) ? CURL_CSELECT_ERR : 0);
		drive(watch->lane, events[i].fd, action);
	}
}

static void
tell_poller(int fd, uint8 wanted)
{
	(void) smrt_poller_change(poller, fd, watches[fd].registered, wanted);
	watches[fd].registered = wanted;
}

void
smrt_pump_hold(int fd, bool held)
{
	if (fd < 0 || fd >= n_watches)
		return;
	watches[fd].held = held;
	if (!held && watches[fd].registered != watches[fd].wanted)
		tell_poller(fd, watches[fd].wanted);
}

/* Ends what has run too long, in our own words and without libcurl's clock. */
static void
expire_transfers(void)
{
	int64		now = smrt_pump_now_ms();
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &running)
	{
		SmrtTransfer *transfer = dlist_container(SmrtTransfer, exchange.node,
												 iter.cur);

		if (transfer->exchange.done)
			continue;
		if (now >= transfer->finish_by_ms)
			smrt_transfer_expire(transfer, false);
		else if (now >= transfer->connect_by_ms)
			smrt_transfer_expire(transfer, true);
	}
}

/*
 * Takes finished transfers out of the list; tells of how many there is something
 * to say.
 */
static int
collect_news(void)
{
	dlist_iter	lane;
	dlist_mutable_iter iter;
	int			n = 0;

	dlist_foreach(lane, &smrt_lanes)
		read_messages(dlist_container(SmrtLane, node, lane.cur));
	dlist_foreach_modify(iter, &running)
	{
		SmrtTransfer *transfer = dlist_container(SmrtTransfer, exchange.node,
												 iter.cur);

		n += transfer->exchange.done || transfer->has_news;
		transfer->has_news = false;
		if (transfer->exchange.done)
		{
			dlist_delete(iter.cur);
			transfer->listed = false;
		}
	}
	return n;
}

/* What libcurl is done with, parked transfers among it. */
static void
read_messages(SmrtLane *lane)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(lane->multi, &left)) != NULL)
	{
		SmrtTransfer *transfer;
		CURLcode	code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
						  (char **) &transfer);
		if (send_anew(transfer, code))
			continue;
		smrt_transfer_finish(transfer, code);
		take_out(transfer);
		if (transfer->parked)
			smrt_transfer_unpark(transfer);
	}
}

/*
 * A kept connection that turns out to be dead is not held against the request:
 * libcurl sends it over another one by itself if it notices while it reads, but
 * not while it sends, which is where a long body finds out.  Once only.
 */
static bool
send_anew(SmrtTransfer *transfer, CURLcode code)
{
	CURLM	   *multi = transfer->lane->multi;
	long		connections_made = 1;
	bool		added;

	if (code != CURLE_SEND_ERROR || transfer->header_bytes > 0 ||
		transfer->fresh || transfer->parked || transfer->exchange.done)
		return false;
	curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connections_made);
	if (connections_made > 0)
		return false;
	transfer->fresh = true;
	transfer->error[0] = '\0';
	curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_multi_remove_handle(multi, transfer->easy);
	added = curl_multi_add_handle(multi, transfer->easy) == CURLM_OK;
	smrt_pump_unmask_signals();
	return added;
}

bool
smrt_transfer_submit(SmrtTransfer *transfer, const char *identity)
{
	SmrtLane   *lane = smrt_lane_get(identity);
	CURLMcode	code;

	if (lane == NULL)
		return false;
	drive_sockets();			/* ends kept connections that spoke unasked */
	code = curl_multi_add_handle(lane->multi, transfer->easy);
	smrt_pump_unmask_signals();
	if (code != CURLM_OK)
	{
		lane->broken = true;
		return false;
	}
	lane->n_transfers++;
	transfer->lane = lane;
	transfer->listed = true;
	dlist_push_tail(&running, &transfer->exchange.node);
	return true;
}

void
smrt_transfer_withdraw(SmrtTransfer *transfer)
{
	if (transfer->listed)
		dlist_delete(&transfer->exchange.node);
	transfer->listed = false;
	if (transfer->lane != NULL && !transfer->parked)
		take_out(transfer);
}

static void
take_out(SmrtTransfer *transfer)
{
	curl_multi_remove_handle(transfer->lane->multi, transfer->easy);
	smrt_pump_unmask_signals();
	transfer->lane->n_transfers--;
	transfer->lane = NULL;
}

void
smrt_pump_ensure(void)
{
	WaitEventSet *set;

	if (wait_set != NULL)
		return;
	start_libcurl();
	if (poller < 0)
	{
		if (!AcquireExternalFD())
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("no file descriptor left for network transfers")));
		poller = smrt_poller_open();
		if (poller < 0)
		{
			ReleaseExternalFD();
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("could not make an event queue: %m")));
		}
	}
	wait_event = smrt_wait_event("SageMakerInvoke");
	turn_event = smrt_wait_event("SageMakerTurn");
	set = smrt_wait_set_create(3);
	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	if (IsUnderPostmaster)
		AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL,
						  NULL);
	AddWaitEventToSet(set, WL_SOCKET_READABLE, poller, NULL, NULL);
	wait_set = set;				/* whole, or not at all */
}

/*
 * In the backend on first use and never in the postmaster: libcurl is not made
 * to be forked.
 */
static void
start_libcurl(void)
{
	CURLcode	code;

	if (libcurl_started)
		return;
	if ((curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("libcurl was built without an asynchronous resolver"),
				 errdetail("A name lookup could not be cancelled."),
				 errhint("Install a libcurl with the AsynchDNS feature.")));
	smrt_pump_mask_signals();
	code = curl_global_init(CURL_GLOBAL_DEFAULT);
	smrt_pump_unmask_signals();
	if (code != CURLE_OK)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not start libcurl: %s",
						curl_easy_strerror(code))));
	libcurl_started = true;
}

/*
 * libcurl's wish about one socket.  A wish for less is not passed on at once: a
 * kept connection is dropped and wanted again around every request, and two
 * system calls a request would be spent on it.  drive_sockets() corrects the
 * poller when an unwanted event comes.  But only for sockets whose closing we
 * are told: any other may be closed and its number come back as a new socket
 * that the poller does not know.
 */
int
smrt_pump_on_socket(CURL *easy, curl_socket_t fd, int what, void *userp,
					void *socketp)
{
	Watch	   *watch = watch_of(fd);
	SmrtTransfer *transfer = NULL;
	uint8		wanted = 0;

	if (watch == NULL)
		return -1;
	/* A connection that was kept was opened for another transfer. */
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &transfer);
	if (transfer != NULL && watch->ours)
		transfer->socket = fd;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		wanted |= SMRT_POLL_READ;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		wanted |= SMRT_POLL_WRITE;
	if ((wanted & ~watch->registered) != 0 ||
		(wanted != watch->registered && !watch->ours))
	{
		/* A removal that fails leaves nothing behind; -1 would end the lane. */
		if (smrt_poller_change(poller, fd, watch->registered, wanted) < 0 &&
			wanted != 0)
			return -1;
		watch->registered = wanted;
	}
	watch->wanted = wanted;
	watch->lane = userp;
	return 0;
}

/* NULL: no memory. */
static Watch *
watch_of(int fd)
{
	if (fd >= n_watches)
	{
		int			n = Max(fd + 1, 64);
		Watch	   *grown = realloc(watches, n * sizeof(Watch));

		if (grown == NULL)
			return NULL;
		memset(grown + n_watches, 0, (n - n_watches) * sizeof(Watch));
		watches = grown;
		n_watches = n;
	}
	return &watches[fd];
}

bool
smrt_pump_adopt(int fd)
{
	Watch	   *watch = watch_of(fd);

	if (watch == NULL)
		return false;
	*watch = (Watch) {.ours = true};
	return true;
}

int
smrt_pump_on_timer(CURLM *multi, long timeout_ms, void *userp)
{
	SmrtLane   *lane = userp;

	lane->timer_ms = timeout_ms < 0 ? -1 : smrt_pump_now_ms() + timeout_ms;
	return 0;
}

/* A closed descriptor has left the poller; its number may come back. */
void
smrt_pump_forget(int fd)
{
	if (fd < n_watches)
		watches[fd] = (Watch) {0};
}

void
smrt_pump_mask_signals(void)
{
	sigset_t	all;

	if (signals_masked)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &signals_before);
	signals_masked = true;
}

void
smrt_pump_unmask_signals(void)
{
	if (!signals_masked)
		return;
	pthread_sigmask(SIG_SETMASK, &signals_before, NULL);
	signals_masked = false;
}
