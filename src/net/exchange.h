/*
 * One HTTP request and its answer.
 *
 * An exchange is started, driven by smrt_pump_run() together with all others of
 * this backend until done is true, read, and ended.  Whoever starts it must
 * end it, on errors too: hang that on the reset of a memory context.  Ending
 * never waits, whatever state the transfer is in.
 *
 * The body of an answer is gathered, or, if the spec has a window and the status
 * is 2xx, handed out while it arrives, by smrt_exchange_read().
 */
#ifndef SMRT_NET_EXCHANGE_H
#define SMRT_NET_EXCHANGE_H

#include "aws/fault.h"
#include "aws/header.h"
#include "lib/ilist.h"
#include "net/address.h"

typedef enum SmrtMethod
{
	SMRT_METHOD_POST,
	SMRT_METHOD_GET,			/* without a body */
	SMRT_METHOD_PUT
} SmrtMethod;

/*
 * Longest URL, in bytes: an endpoint's with an object's key behind it, all of it
 * percent-encoded.
 */
#define SMRT_EXCHANGE_MAX_URL 5119

/* Everything points to the starter's memory and must stay until the end. */
typedef struct SmrtExchangeSpec
{
	const char *url;			/* path and all, sent as it stands */
	const SmrtHeader *headers;	/* all that are sent, but content-length */
	int			n_headers;
	SmrtMethod	method;
	SmrtSpan	body;			/* may be empty */
	const char *identity;		/* whose: connections are not shared between
								 * two */
	const char *ca_file;		/* PEM; NULL: what libcurl was built to trust */
	const char *proxy;			/* URL; NULL: none, whatever the environment
								 * says */
	SmrtAddressRule addresses;
	int			connect_timeout_ms; /* name, connection and TLS together */
	int			timeout_ms;		/* all of it; with a window: until the answer
								 * begins */
	int			renewed_ms;		/* after each piece of body the rest may take so
								 * long; 0: nothing changes */
	int			idle_timeout_s; /* older kept connections are not used again */
	size_t		max_response;	/* bytes of body */
	size_t		window;			/* about as many bytes of body are kept until
								 * they are read, then the transfer pauses; 0:
								 * the body is gathered */
} SmrtExchangeSpec;

/* How far it came: for messages about what took so long. */
typedef enum SmrtPhase
{
	SMRT_PHASE_RESOLVING,
	SMRT_PHASE_CONNECTING,
	SMRT_PHASE_HANDSHAKE,
	SMRT_PHASE_SENDING,
	SMRT_PHASE_WAITING,
	SMRT_PHASE_READING,
	SMRT_PHASE_COUNT
} SmrtPhase;

typedef struct SmrtExchange
{
	dlist_node	node;			/* running: the pump's; else at rest */
	bool		done;
	bool		answered;		/* 2xx with a window: status and headers are
								 * valid, the body is to be read */

	/* valid once done */
	SmrtFaultKind failure;		/* NONE: there is an answer, of any status */
	const char *failure_text;	/* libcurl's or ours */
	SmrtPhase	phase;			/* reached */
	char		address[46];	/* of the host, or the proxy, that was contacted
								 * last; "": none */
	int			status;
	SmrtSpan	headers;		/* lines of the last answer, without the first */
	SmrtSpan	body;
	int64		started_us;		/* wall clock, microseconds from 1970 */
	int64		finished_us;
} SmrtExchange;

/* Raises an error only when this backend can make no transfers at all. */
extern SmrtExchange *smrt_exchange_start(const SmrtExchangeSpec *spec);

/*
 * What has come of the body since the last call; if that is nothing, waits for
 * some, but no longer than timeout_ms, which then is the exchange's failure.
 * Empty when done, and only then.  Valid until the next call here or the end.
 * Interruptible.  Only after answered.
 */
extern SmrtSpan smrt_exchange_read(SmrtExchange *exchange, int timeout_ms);

/* Drops it if it still runs; the spans of the answer are invalid then. */
extern void smrt_exchange_end(SmrtExchange *exchange);

/* Whether one that is answered or done has an answer of status 2xx. */
static inline bool
smrt_exchange_is_success(const SmrtExchange *exchange)
{
	return exchange->answered || (exchange->failure == SMRT_FAULT_NONE &&
								  exchange->status >= 200 && exchange->status <= 299);
}

/* What became of one so far, done or not. */
typedef struct SmrtTrace
{
	bool		connected;
	bool		reused;			/* over a connection that was there */
	bool		sent;			/* all of it has left this process */
	int64		received;		/* bytes of the answer's body */
} SmrtTrace;

extern void smrt_exchange_trace(const SmrtExchange *exchange,
								SmrtTrace *trace);

/* The name of a phase, for messages: "connecting". */
extern const char *smrt_phase_name(SmrtPhase phase);

#endif							/* SMRT_NET_EXCHANGE_H */
