/*
 * Exchanges: where their transfers come from, how they end, and what became of
 * them.
 */
#include "postgres.h"

#include <sys/time.h>

#include "aws/digest.h"
#include "net/connection.h"
#include "net/pump.h"
#include "net/transfer.h"

/* Transfers at rest that are kept for the next request. */
#define MAX_RESTING 64

/* A body buffer larger than this is given back between two requests. */
#define MAX_RESTING_BODY (256 * 1024)

/* Name lookups that nobody waits for any more; each may hold a thread. */
#define MAX_PARKED 16

/* Bound on a sleep with nothing to wait for but bytes and interrupts. */
#define LONG_MS 60000

/* CURLE_TOO_LARGE, which libcurl's header has since 8.6. */
#define TOO_LARGE 100

static const char *const phase_names[] = {
	[SMRT_PHASE_RESOLVING] = "resolving",
	[SMRT_PHASE_CONNECTING] = "connecting",
	[SMRT_PHASE_HANDSHAKE] = "handshaking",
	[SMRT_PHASE_SENDING] = "sending",
	[SMRT_PHASE_WAITING] = "waiting",
	[SMRT_PHASE_READING] = "reading",
};

StaticAssertDecl(lengthof(phase_names) == SMRT_PHASE_COUNT,
				 "every phase needs a name");

static dlist_head resting = DLIST_STATIC_INIT(resting);
static int	n_resting;
static int	n_parked;

static SmrtTransfer *take_transfer(const SmrtExchangeSpec *spec);
static void take_body(SmrtTransfer *transfer);
static void resume(SmrtTransfer *transfer);
static void park(SmrtTransfer *transfer);
static const char *refusal_beyond_proxy(const SmrtExchangeSpec *spec);
static void fail(SmrtTransfer *transfer, SmrtFaultKind kind, const char *text);
static SmrtFaultKind fault_of(const SmrtTransfer *transfer, CURLcode code);
static const char *text_of(const SmrtTransfer *transfer, SmrtFaultKind kind,
						   CURLcode code);
static SmrtPhase phase_of(const SmrtTransfer *transfer);
static bool connected(const SmrtTransfer *transfer);
static int64 wall_clock_us(void);

const char *
smrt_phase_name(SmrtPhase phase)
{
	return phase_names[phase];
}

SmrtExchange *
smrt_exchange_start(const SmrtExchangeSpec *spec)
{
	SmrtTransfer *transfer;
	const char *refusal;
	int64		now;

	smrt_pump_ensure();
	refusal = refusal_beyond_proxy(spec);
	if (n_parked >= MAX_PARKED)
		smrt_pump_run(0);		/* some may have been answered meanwhile */
	transfer = take_transfer(spec);
	now = smrt_pump_now_ms();
	transfer->deadlines_set_ms = now;
	transfer->connect_by_ms = now + spec->connect_timeout_ms;
	transfer->finish_by_ms = now + spec->timeout_ms;
	transfer->exchange.started_us = wall_clock_us();
	if (n_parked >= MAX_PARKED)
		fail(transfer, SMRT_FAULT_RESOLVE,
			 "earlier name lookups are still unanswered");
	else if (refusal != NULL)
		fail(transfer, SMRT_FAULT_ADDRESS, refusal);
	else if (!smrt_transfer_prepare(transfer, spec) ||
			 !smrt_transfer_submit(transfer, spec->identity))
		fail(transfer, SMRT_FAULT_NO_MEMORY, "libcurl is out of memory");
	return &transfer->exchange;
}

/*
 * The connection is the proxy's to make, so an address is judged as it stands in
 * the URL.  What a name leads to is up to the proxy.
 */
static const char *
refusal_beyond_proxy(const SmrtExchangeSpec *spec)
{
	const char *refusal = "it cannot be read";
	char	   *host = NULL;
	CURLU	   *url;

	if (spec->proxy == NULL)
		return NULL;
	url = curl_url();
	if (url != NULL &&
		curl_url_set(url, CURLUPART_URL, spec->url, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		refusal = smrt_address_literal_refusal(host, spec->addresses);
	curl_free(host);
	curl_url_cleanup(url);
	return refusal;
}

SmrtSpan
smrt_exchange_read(SmrtExchange *exchange, int timeout_ms)
{
	SmrtTransfer *transfer = (SmrtTransfer *) exchange;

	/* Who reads waits; a reader that takes its time does not count. */
	transfer->deadlines_set_ms = smrt_pump_now_ms();
	transfer->finish_by_ms = transfer->deadlines_set_ms + timeout_ms;
	while (transfer->body.len == 0 && !exchange->done)
		smrt_pump_run(LONG_MS);
	transfer->finish_by_ms = SMRT_NEVER_MS;
	take_body(transfer);
	if (transfer->paused)
		resume(transfer);
	return smrt_buf_span(&transfer->taken);
}

/* Whatever came is the reader's; there is as much less that may come. */
static void
take_body(SmrtTransfer *transfer)
{
	SmrtBuf		body = transfer->body;

	transfer->body = transfer->taken;
	transfer->taken = body;
	smrt_buf_reset(&transfer->body);
	transfer->body.max = body.max - body.len;
}

/* May at once append what libcurl had kept. */
static void
resume(SmrtTransfer *transfer)
{
	CURLcode	code;

	transfer->paused = false;
	smrt_pump_hold(transfer->socket, false);
	if (transfer->exchange.done)
		return;
	code = curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
	smrt_pump_unmask_signals();
	if (code != CURLE_OK && !transfer->exchange.done)
		smrt_transfer_finish(transfer, code);
}

void
smrt_exchange_end(SmrtExchange *exchange)
{
	SmrtTransfer *transfer = (SmrtTransfer *) exchange;

	if (transfer->lane != NULL && transfer->resolving)
	{
		park(transfer);
		return;
	}
	smrt_transfer_withdraw(transfer);
	/*
	 * The next answer would begin with what libcurl has made of this one's
	 * headers: since 8.18 it does not forget that it has begun to unfold one.
	 */
	if (!transfer->headers_ended)
	{
		smrt_transfer_free(transfer);
		return;
	}
	/* The session token stood there. */
	if (transfer->lines.len > 0)
		smrt_cleanse(transfer->lines.data, transfer->lines.len);
	if (transfer->body.size > MAX_RESTING_BODY)
		smrt_buf_free(&transfer->body);
	if (transfer->taken.size > MAX_RESTING_BODY)
		smrt_buf_free(&transfer->taken);
	dlist_push_head(&resting, &exchange->node);
	if (++n_resting > MAX_RESTING)
	{
		transfer = dlist_container(SmrtTransfer, exchange.node,
								   dlist_tail_node(&resting));
		dlist_delete(&transfer->exchange.node);
		smrt_transfer_free(transfer);
		n_resting--;
	}
}

void
smrt_exchange_trace(const SmrtExchange *exchange, SmrtTrace *trace)
{
	const SmrtTransfer *transfer = (const SmrtTransfer *) exchange;
	SmrtPhase	phase = exchange->phase;

	if (!exchange->done)
		phase = phase_of(transfer);
	else if (exchange->failure == SMRT_FAULT_NONE)
		phase = SMRT_PHASE_READING;
	trace->connected = phase >= SMRT_PHASE_SENDING;
	trace->reused = trace->connected && !transfer->opened;
	trace->sent = phase >= SMRT_PHASE_WAITING;
	trace->received = transfer->received;
}

static void
park(SmrtTransfer *transfer)
{
	transfer->parked = true;
	n_parked++;
	smrt_transfer_withdraw(transfer);
}

/* The resolver of a parked transfer has answered at last. */
void
smrt_transfer_unpark(SmrtTransfer *transfer)
{
	n_parked--;
	smrt_transfer_free(transfer);
}

void
smrt_transfer_finish(SmrtTransfer *transfer, CURLcode code)
{
	SmrtExchange *exchange = &transfer->exchange;
	long		status = 0;
	char	   *ip;
	curl_socket_t fd = CURL_SOCKET_BAD;

	if (code != CURLE_OK)
	{
		SmrtFaultKind kind = fault_of(transfer, code);

		fail(transfer, kind, text_of(transfer, kind, code));
		/*
		 * The socket is closed by now, and so cannot tell; libcurl 8.22 has set
		 * all times.
		 */
		if (kind == SMRT_FAULT_TLS)
			exchange->phase = SMRT_PHASE_HANDSHAKE;
		else if (kind == SMRT_FAULT_RESOLVE)
			exchange->phase = SMRT_PHASE_RESOLVING;
		else if (code == CURLE_COULDNT_CONNECT)
			exchange->phase = SMRT_PHASE_CONNECTING;
		return;
	}
	/* libcurl takes headers that were cut off for an answer without body. */
	if (!transfer->headers_ended)
	{
		fail(transfer, SMRT_FAULT_CUT_OFF,
			 "the connection was closed within the answer's headers");
		return;
	}
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(transfer->easy, CURLINFO_ACTIVESOCKET, &fd);
	smrt_connection_used(fd);
	exchange->status = (int) status;
	exchange->headers = smrt_buf_span(&transfer->headers);
	exchange->body = smrt_buf_span(&transfer->body);
	/* A connection that was there is used without a word to us. */
	if (exchange->address[0] == '\0' &&
		curl_easy_getinfo(transfer->easy, CURLINFO_PRIMARY_IP, &ip) == CURLE_OK)
		strlcpy(exchange->address, ip, sizeof(exchange->address));
	exchange->failure = SMRT_FAULT_NONE;
	exchange->finished_us = wall_clock_us();
	exchange->done = true;
	transfer->resolving = false;
}

/*
 * A deadline has passed.  The one for connecting means nothing once there is a
 * connection.
 */
void
smrt_transfer_expire(SmrtTransfer *transfer, bool connecting)
{
	if (connecting && phase_of(transfer) >= SMRT_PHASE_SENDING)
	{
		transfer->connect_by_ms = transfer->finish_by_ms;
		return;
	}
	if (connecting && transfer->refusal != NULL)
		fail(transfer, SMRT_FAULT_ADDRESS, transfer->refusal);
	else
		fail(transfer, connecting ? SMRT_FAULT_CONNECT_TIMEOUT : SMRT_FAULT_TIMEOUT,
			 NULL);
}

void
smrt_transfer_run_out(SmrtTransfer *transfer)
{
	fail(transfer, SMRT_FAULT_NO_MEMORY, "libcurl is out of memory");
}

static void
fail(SmrtTransfer *transfer, SmrtFaultKind kind, const char *text)
{
	SmrtExchange *exchange = &transfer->exchange;

	exchange->failure = kind;
	exchange->failure_text = text;
	exchange->phase = transfer->lane ? phase_of(transfer) :
		SMRT_PHASE_RESOLVING;
	exchange->finished_us = wall_clock_us();
	exchange->done = true;
}

static SmrtFaultKind
fault_of(const SmrtTransfer *transfer, CURLcode code)
{
	switch ((int) code)
	{
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_RESOLVE_PROXY:
			return SMRT_FAULT_RESOLVE;
		case CURLE_COULDNT_CONNECT:
			return transfer->refusal ? SMRT_FAULT_ADDRESS : SMRT_FAULT_CONNECT;
		case CURLE_PROXY:
			return SMRT_FAULT_CONNECT;
		case CURLE_OPERATION_TIMEDOUT:
			/* The kernel's patience, not ours: see pump.c. */
			return phase_of(transfer) >= SMRT_PHASE_SENDING ?
				SMRT_FAULT_TIMEOUT : SMRT_FAULT_CONNECT_TIMEOUT;
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CONNECT_ERROR:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_SSL_CIPHER:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_INVALIDCERTSTATUS:
		case CURLE_USE_SSL_FAILED:
			return SMRT_FAULT_TLS;
		case CURLE_GOT_NOTHING:
		case CURLE_SEND_ERROR:
		case CURLE_RECV_ERROR:
		case CURLE_PARTIAL_FILE:
			return SMRT_FAULT_CUT_OFF;
		case CURLE_FILESIZE_EXCEEDED:
			return SMRT_FAULT_REPLY_TOO_LARGE;
		case CURLE_OUT_OF_MEMORY:
			/* libcurl before 8.6 says so of a header line over its limit, too. */
			return curl_version_info(CURLVERSION_NOW)->version_num < 0x080600 &&
				phase_of(transfer) >= SMRT_PHASE_WAITING &&
				!transfer->headers_ended ? SMRT_FAULT_HEADERS_TOO_LARGE :
				SMRT_FAULT_NO_MEMORY;
		case TOO_LARGE:
			return SMRT_FAULT_HEADERS_TOO_LARGE;
		case CURLE_WRITE_ERROR:
			if (transfer->body.state == SMRT_BUF_NO_MEMORY ||
				transfer->headers.state == SMRT_BUF_NO_MEMORY)
				return SMRT_FAULT_NO_MEMORY;
			return transfer->body.state == SMRT_BUF_FULL ?
				SMRT_FAULT_REPLY_TOO_LARGE : SMRT_FAULT_HEADERS_TOO_LARGE;
		default:
			return SMRT_FAULT_REPLY;
	}
}

static const char *
text_of(const SmrtTransfer *transfer, SmrtFaultKind kind, CURLcode code)
{
	/* A refused address may not be the one that failed in the end. */
	if (transfer->refusal != NULL && (kind == SMRT_FAULT_ADDRESS ||
									  kind == SMRT_FAULT_HEADERS_TOO_LARGE))
		return transfer->refusal;
	if (kind == SMRT_FAULT_REPLY_TOO_LARGE)
		return "the answer's body is larger than max_response_size";
	if (kind == SMRT_FAULT_HEADERS_TOO_LARGE)
		return "one line is longer than libcurl reads";
	return transfer->error[0] ? transfer->error : curl_easy_strerror(code);
}

/*
 * CURLINFO_STARTTRANSFER_TIME is no mark of reading: libcurl sets it when it
 * sends a large body, and when it reads the end of a connection.
 */
static SmrtPhase
phase_of(const SmrtTransfer *transfer)
{
	static const struct
	{
		CURLINFO	info;
		SmrtPhase	reached;
	}			marks[] = {
		{CURLINFO_PRETRANSFER_TIME_T, SMRT_PHASE_SENDING},
		{CURLINFO_CONNECT_TIME_T, SMRT_PHASE_HANDSHAKE},
		{CURLINFO_NAMELOOKUP_TIME_T, SMRT_PHASE_CONNECTING},
	};
	curl_off_t	sent = 0;
	curl_off_t	length = 0;

	if (transfer->header_bytes > 0)
		return SMRT_PHASE_READING;
	for (int i = 0; i < lengthof(marks); i++)
	{
		curl_off_t	us = 0;

		curl_easy_getinfo(transfer->easy, marks[i].info, &us);
		if (us <= 0)
			continue;
		if (marks[i].reached == SMRT_PHASE_CONNECTING && connected(transfer))
			return SMRT_PHASE_HANDSHAKE;
		if (marks[i].reached != SMRT_PHASE_SENDING)
			return marks[i].reached;
		curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
		curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_UPLOAD_T,
						  &length);
		return sent >= length ? SMRT_PHASE_WAITING : SMRT_PHASE_SENDING;
	}
	return SMRT_PHASE_RESOLVING;
}

/*
 * CURLINFO_CONNECT_TIME does not tell: some libcurls, 7.88 among them, set it
 * only when the handshake is over.
 */
static bool
connected(const SmrtTransfer *transfer)
{
	struct sockaddr_storage peer;
	socklen_t	len = sizeof(peer);

	return transfer->socket != CURL_SOCKET_BAD &&
		getpeername(transfer->socket, (struct sockaddr *) &peer, &len) == 0;
}

static int64
wall_clock_us(void)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	return (int64) now.tv_sec * 1000000 + now.tv_usec;
}

static SmrtTransfer *
take_transfer(const SmrtExchangeSpec *spec)
{
	SmrtTransfer *transfer = NULL;
	dlist_iter	iter;

	dlist_foreach(iter, &resting)
	{
		transfer = dlist_container(SmrtTransfer, exchange.node, iter.cur);
		if (smrt_transfer_fits(transfer, spec))
			break;
		transfer = NULL;
	}
	if (transfer == NULL)
		return smrt_transfer_new(spec);

	dlist_delete(&transfer->exchange.node);
	n_resting--;
	memset(&transfer->exchange, 0, sizeof(transfer->exchange));
	transfer->resolving = false;	/* still true after a lookup that failed */
	transfer->headers_ended = false;
	transfer->refusal = NULL;
	transfer->socket = CURL_SOCKET_BAD;
	transfer->opened = false;
	transfer->received = 0;
	transfer->paused = false;
	transfer->has_news = false;
	transfer->header_bytes = 0;
	transfer->error[0] = '\0';
	smrt_buf_reset(&transfer->headers);
	smrt_buf_reset(&transfer->body);
	smrt_buf_reset(&transfer->taken);
	smrt_buf_reset(&transfer->lines);
	return transfer;
}
