/*
 * An exchange as libcurl and the pump see it: inside net/ only.
 *
 * Transfers live in malloc'ed memory and are kept for the next request.  Their
 * states:
 *
 *     at rest --start--> running --libcurl or a deadline--> done --end--> at rest
 *                           |
 *                           +--end while a name is being resolved--> parked
 *
 * A parked transfer has lost its owner, but removing it from libcurl would wait
 * for the resolver's thread (libcurl before 7.87, and unless told otherwise
 * after).  So it stays until the resolver answers; no socket is opened for it
 * then, it fails, and the pump frees it.
 */
#ifndef SMRT_NET_TRANSFER_H
#define SMRT_NET_TRANSFER_H

#include <curl/curl.h>

#include "aws/buffer.h"
#include "net/exchange.h"
#include "net/lane.h"

/* A deadline that does not come; what is added to it does no harm. */
#define SMRT_NEVER_MS (PG_INT64_MAX / 2)

typedef struct SmrtTransfer
{
	SmrtExchange exchange;		/* first: what the owner holds */
	CURL	   *easy;
	SmrtLane   *lane;			/* where libcurl has it; NULL: it has not */
	bool		listed;			/* exchange.node is in the pump's list */
	bool		resolving;		/* a resolver may be at work */
	bool		parked;
	bool		fresh;			/* takes no kept connection: see send_anew() */
	bool		headers_ended;	/* the empty line after them has come */
	char	   *ca_file;		/* its route, for life: see set_route() */
	char	   *proxy;
	SmrtMethod	method;			/* set on easy last */
	SmrtAddressRule addresses;
	const char *refusal;		/* why a callback ended it, or NULL */
	curl_socket_t socket;		/* it uses, or used last; may be closed */
	bool		opened;			/* one was opened for it */
	int64		received;		/* bytes of body, those read out included */
	int64		deadlines_set_ms;	/* on the pump's clock, as the next */
	int64		connect_by_ms;
	int64		finish_by_ms;
	int			renewed_ms;		/* as in the spec, as the next */
	size_t		window;
	bool		paused;			/* the window is full */
	bool		has_news;		/* for who waits in the pump: it is answered, or
								 * there is something to read */
	SmrtBuf		lines;			/* header lines sent, each with its NUL */
	struct curl_slist *list;	/* nodes over lines, an array */
	int			list_size;
	SmrtBuf		headers;		/* header lines received */
	size_t		header_bytes;	/* of all answers, 1xx and trailers included */
	SmrtBuf		body;			/* with a window: what was not read yet; max is
								 * what may still come */
	SmrtBuf		taken;			/* what was read last */
	char		url[SMRT_EXCHANGE_MAX_URL + 1];	/* set on easy last */
	char		error[CURL_ERROR_SIZE];
} SmrtTransfer;

/* In net/pump.c: libcurl's side. */

/* Makes multi handle, poller and wait set on first use; may raise. */
extern void smrt_pump_ensure(void);

/* False when libcurl does not take it. */
extern bool smrt_transfer_submit(SmrtTransfer *transfer, const char *identity);

/* Takes it out of the pump's list and, unless it is parked, out of libcurl. */
extern void smrt_transfer_withdraw(SmrtTransfer *transfer);

/* Around whatever may start a thread in libcurl. */
extern void smrt_pump_mask_signals(void);
extern void smrt_pump_unmask_signals(void);

/* A socket of ours is opened (false: no memory for it), is closed. */
extern bool smrt_pump_adopt(int fd);
extern void smrt_pump_forget(int fd);

/*
 * What the socket says is left there, or is looked at again: a libcurl that is
 * paused may read on all the same, into memory of its own.
 */
extern void smrt_pump_hold(int fd, bool held);

/* libcurl's callbacks of a lane, which is their userp. */
extern int	smrt_pump_on_socket(CURL *easy, curl_socket_t fd, int what,
								void *userp, void *socketp);
extern int	smrt_pump_on_timer(CURLM *multi, long timeout_ms, void *userp);

/* In net/exchange.c: what the pump tells. */

/* libcurl is done with it. */
extern void smrt_transfer_finish(SmrtTransfer *transfer, CURLcode code);

/* libcurl had no memory to go on with it. */
extern void smrt_transfer_run_out(SmrtTransfer *transfer);

/* A deadline, for connecting or for all of it, has passed. */
extern void smrt_transfer_expire(SmrtTransfer *transfer, bool connecting);

/* A parked one is over: frees it. */
extern void smrt_transfer_unpark(SmrtTransfer *transfer);

/* In net/transfer.c. */

/* A transfer with the spec's route, which it keeps for life; may raise. */
extern SmrtTransfer *smrt_transfer_new(const SmrtExchangeSpec *spec);
extern bool smrt_transfer_fits(const SmrtTransfer *transfer,
							   const SmrtExchangeSpec *spec);

/* Sets everything else; false without memory. */
extern bool smrt_transfer_prepare(SmrtTransfer *transfer,
								  const SmrtExchangeSpec *spec);
extern void smrt_transfer_free(SmrtTransfer *transfer);

#endif							/* SMRT_NET_TRANSFER_H */
