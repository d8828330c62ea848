/*
 * Transfers: their options, their callbacks, and what became of them.
 *
 * Every libcurl callback here only appends to a capped buffer or returns short;
 * none can throw.  What a callback refused is read from the buffer's state
 * after libcurl has returned.
 */
#include "postgres.h"

#include <sys/time.h>
#include <unistd.h>

#include "net/pump.h"
#include "net/transfer.h"
#include "storage/fd.h"

/* All header lines of all answers to one request, 1xx ones included. */
#define MAX_HEADER_BYTES (128 * 1024)

/* All header lines that we send. */
#define MAX_REQUEST_HEADER_BYTES (64 * 1024)

/* Transfers at rest that are kept for the next request. */
#define MAX_RESTING 64

/* A body buffer larger than this is given back between two requests. */
#define MAX_RESTING_BODY (256 * 1024)

/* Name lookups that nobody waits for any more; each may hold a thread. */
#define MAX_PARKED 16

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

/*
 * What libcurl would add, ask or wait for by itself: a header without a value
 * takes libcurl's own out.
 */
static char suppressed_lines[][16] = {"Accept:", "Content-Type:", "Expect:"};

#define N_SUPPRESSED lengthof(suppressed_lines)

static dlist_head resting = DLIST_STATIC_INIT(resting);
static int	n_resting;
static int	n_parked;

static SmrtTransfer *take_transfer(const SmrtExchangeSpec *spec);
static SmrtTransfer *new_transfer(const SmrtExchangeSpec *spec);
static bool set_route(SmrtTransfer *transfer, const SmrtExchangeSpec *spec);
static bool same_route(const SmrtTransfer *transfer,
					   const SmrtExchangeSpec *spec);
static void set_fixed_options(CURL *easy);
static void set_protocols(CURL *easy);
static bool set_request(SmrtTransfer *transfer, const SmrtExchangeSpec *spec);
static bool set_method(SmrtTransfer *transfer, SmrtMethod method);
static bool set_body(SmrtTransfer *transfer, const SmrtExchangeSpec *spec);
static bool set_headers(SmrtTransfer *transfer, const SmrtExchangeSpec *spec);
static bool header_given(const SmrtExchangeSpec *spec, const char *line);
static void fail(SmrtTransfer *transfer, SmrtFaultKind kind, const char *text);
static SmrtFaultKind fault_of(const SmrtTransfer *transfer, CURLcode code);
static SmrtPhase phase_of(const SmrtTransfer *transfer);
static void park(SmrtTransfer *transfer);
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
	int64		now;

	smrt_pump_ensure();
	transfer = take_transfer(spec);
	now = smrt_pump_now_ms();
	transfer->connect_by_ms = now + spec->connect_timeout_ms;
	transfer->finish_by_ms = now + spec->timeout_ms;
	transfer->exchange.started_us = wall_clock_us();
	if (n_parked >= MAX_PARKED)
		fail(transfer, SMRT_FAULT_RESOLVE,
			 "earlier name lookups are still unanswered");
	else if (!set_request(transfer, spec) ||
			 !smrt_transfer_submit(transfer, spec->identity))
		fail(transfer, SMRT_FAULT_NO_MEMORY, "libcurl is out of memory");
	return &transfer->exchange;
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
	if (transfer->body.size > MAX_RESTING_BODY)
		smrt_buf_free(&transfer->body);
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

static void
park(SmrtTransfer *transfer)
{
	transfer->parked = true;
	n_parked++;
	smrt_transfer_withdraw(transfer);
}

void
smrt_transfer_free(SmrtTransfer *transfer)
{
	if (transfer->parked)
		n_parked--;
	curl_easy_cleanup(transfer->easy);
	smrt_buf_wipe(&transfer->lines);	/* holds the session token */
	smrt_buf_free(&transfer->headers);
	smrt_buf_free(&transfer->body);
	free(transfer->list);
	free(transfer->ca_file);
	free(transfer->proxy);
	free(transfer);
}

void
smrt_transfer_finish(SmrtTransfer *transfer, CURLcode code)
{
	SmrtExchange *exchange = &transfer->exchange;
	long		status = 0;

	if (code != CURLE_OK)
	{
		const char *text = transfer->error[0] ? transfer->error :
			curl_easy_strerror(code);

		if (code == CURLE_FILESIZE_EXCEEDED || code == CURLE_WRITE_ERROR)
			text = "the answer's body is larger than max_response_size";
		fail(transfer, fault_of(transfer, code),
			 transfer->refusal ? transfer->refusal : text);
		/* libcurl takes the end of a connection for a first byte. */
		if (code == CURLE_GOT_NOTHING)
			exchange->phase = SMRT_PHASE_WAITING;
		return;
	}
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	exchange->status = (int) status;
	exchange->headers = smrt_buf_span(&transfer->headers);
	exchange->body = smrt_buf_span(&transfer->body);
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
	fail(transfer, connecting ? SMRT_FAULT_CONNECT_TIMEOUT : SMRT_FAULT_TIMEOUT,
		 NULL);
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
	switch (code)
	{
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_RESOLVE_PROXY:
			return SMRT_FAULT_RESOLVE;
		case CURLE_COULDNT_CONNECT:
			return transfer->refusal ? SMRT_FAULT_ADDRESS : SMRT_FAULT_CONNECT;
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
			return SMRT_FAULT_NO_MEMORY;
		case CURLE_WRITE_ERROR:
			if (transfer->body.state == SMRT_BUF_NO_MEMORY ||
				transfer->headers.state == SMRT_BUF_NO_MEMORY)
				return SMRT_FAULT_NO_MEMORY;
			return SMRT_FAULT_REPLY_TOO_LARGE;
		default:
			return SMRT_FAULT_REPLY;
	}
}

static SmrtPhase
phase_of(const SmrtTransfer *transfer)
{
	static const struct
	{
		CURLINFO	info;
		SmrtPhase	reached;
	}			marks[] = {
		{CURLINFO_STARTTRANSFER_TIME_T, SMRT_PHASE_READING},
		{CURLINFO_PRETRANSFER_TIME_T, SMRT_PHASE_SENDING},
		{CURLINFO_CONNECT_TIME_T, SMRT_PHASE_HANDSHAKE},
		{CURLINFO_NAMELOOKUP_TIME_T, SMRT_PHASE_CONNECTING},
	};
	curl_off_t	sent = 0;
	curl_off_t	length = 0;

	for (int i = 0; i < lengthof(marks); i++)
	{
		curl_off_t	us = 0;

		curl_easy_getinfo(transfer->easy, marks[i].info, &us);
		if (us <= 0)
			continue;
		if (marks[i].reached != SMRT_PHASE_SENDING)
			return marks[i].reached;
		curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
		curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_UPLOAD_T,
						  &length);
		return sent >= length ? SMRT_PHASE_WAITING : SMRT_PHASE_SENDING;
	}
	return SMRT_PHASE_RESOLVING;
}

static int64
wall_clock_us(void)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	return (int64) now.tv_sec * 1000000 + now.tv_usec;
}

/*
 * Callbacks.  Each gets the transfer, which may have lost its owner.
 */

static int
on_resolver_start(void *resolver_state, void *reserved, void *userdata)
{
	SmrtTransfer *transfer = userdata;

	smrt_pump_mask_signals();
	transfer->resolving = true;
	return 0;
}

static curl_socket_t
on_open_socket(void *userdata, curlsocktype purpose, struct curl_sockaddr *address)
{
	SmrtTransfer *transfer = userdata;
	curl_socket_t fd;

	transfer->resolving = false;
	if (transfer->parked)
		return CURL_SOCKET_BAD;
	transfer->refusal = smrt_address_refusal(&address->addr,
											 transfer->addresses);
	if (transfer->refusal != NULL)
		return CURL_SOCKET_BAD;
	if (!AcquireExternalFD())
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype, address->protocol);
	if (fd < 0)
	{
		ReleaseExternalFD();
		return CURL_SOCKET_BAD;
	}
	return fd;
}

static int
on_close_socket(void *userdata, curl_socket_t fd)
{
	smrt_pump_forget(fd);
	ReleaseExternalFD();
	return close(fd);
}

static size_t
on_header(char *data, size_t size, size_t n, void *userdata)
{
	SmrtTransfer *transfer = userdata;
	SmrtSpan	line = smrt_span_of(data, size * n);

	if (transfer->body_begun)
		return line.len;
	transfer->header_bytes += line.len;
	if (transfer->header_bytes > MAX_HEADER_BYTES)
	{
		transfer->refusal = "the answer's headers are larger than 128 kB";
		return 0;
	}
	/* A status line begins a new answer: what came before was a 1xx. */
	if (smrt_span_starts_with(line, smrt_span("HTTP/")))
	{
		smrt_buf_reset(&transfer->headers);
		return line.len;
	}
	return smrt_buf_append_span(&transfer->headers, line) ? line.len : 0;
}

static size_t
on_body(char *data, size_t size, size_t n, void *userdata)
{
	SmrtTransfer *transfer = userdata;

	transfer->body_begun = true;
	return smrt_buf_append(&transfer->body, data, size * n) ? size * n : 0;
}

/*
 * Options.
 */

static SmrtTransfer *
take_transfer(const SmrtExchangeSpec *spec)
{
	SmrtTransfer *transfer = NULL;
	dlist_iter	iter;

	dlist_foreach(iter, &resting)
	{
		transfer = dlist_container(SmrtTransfer, exchange.node, iter.cur);
		if (same_route(transfer, spec))
			break;
		transfer = NULL;
	}
	if (transfer == NULL)
		return new_transfer(spec);

	dlist_delete(&transfer->exchange.node);
	n_resting--;
	memset(&transfer->exchange, 0, sizeof(transfer->exchange));
	transfer->body_begun = false;
	transfer->refusal = NULL;
	transfer->header_bytes = 0;
	transfer->error[0] = '\0';
	smrt_buf_reset(&transfer->headers);
	smrt_buf_reset(&transfer->body);
	smrt_buf_reset(&transfer->lines);
	return transfer;
}

static SmrtTransfer *
new_transfer(const SmrtExchangeSpec *spec)
{
	SmrtTransfer *transfer = calloc(1, sizeof(*transfer));

	if (transfer == NULL || (transfer->easy = curl_easy_init()) == NULL)
	{
		free(transfer);
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("libcurl has no memory for a transfer.")));
	}
	smrt_buf_init(&transfer->lines, &smrt_alloc_malloc,
				  MAX_REQUEST_HEADER_BYTES);
	smrt_buf_init(&transfer->headers, &smrt_alloc_malloc, MAX_HEADER_BYTES);
	smrt_buf_init(&transfer->body, &smrt_alloc_malloc, 0);
	set_fixed_options(transfer->easy);
	curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(transfer->easy, CURLOPT_ERRORBUFFER, transfer->error);
	curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(transfer->easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(transfer->easy, CURLOPT_OPENSOCKETDATA, transfer);
	curl_easy_setopt(transfer->easy, CURLOPT_RESOLVER_START_DATA, transfer);
	if (!set_route(transfer, spec))
	{
		smrt_transfer_free(transfer);
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("libcurl has no memory for a transfer.")));
	}
	return transfer;
}

/*
 * What a transfer trusts and goes through is set when it is made and never
 * changed, as libcurl has no way back to its built-in trust.
 */
static bool
set_route(SmrtTransfer *transfer, const SmrtExchangeSpec *spec)
{
	CURL	   *easy = transfer->easy;

	if (spec->ca_file != NULL)
	{
		transfer->ca_file = strdup(spec->ca_file);
		if (transfer->ca_file == NULL ||
			curl_easy_setopt(easy, CURLOPT_CAINFO, spec->ca_file) != CURLE_OK ||
			curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) != CURLE_OK)
			return false;
	}
	if (spec->proxy != NULL)
	{
		transfer->proxy = strdup(spec->proxy);
		if (transfer->proxy == NULL)
			return false;
	}
	/* An empty proxy is none, and keeps libcurl from asking the environment. */
	return curl_easy_setopt(easy, CURLOPT_PROXY,
							spec->proxy ? spec->proxy : "") == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "") == CURLE_OK;
}

static bool
same_route(const SmrtTransfer *transfer, const SmrtExchangeSpec *spec)
{
	return smrt_span_equal(smrt_span(transfer->ca_file),
						   smrt_span(spec->ca_file)) &&
		smrt_span_equal(smrt_span(transfer->proxy), smrt_span(spec->proxy));
}

static void
set_fixed_options(CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_resolver_start);

	/* SIGALRM is PostgreSQL's. */
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* Deadlines are the pump's: keep libcurl's own out of the way. */
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) INT_MAX);

	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	set_protocols(easy);
}

static void
set_protocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS,
					 (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static bool
set_request(SmrtTransfer *transfer, const SmrtExchangeSpec *spec)
{
	CURL	   *easy = transfer->easy;
	size_t		url_len = strlen(spec->url);

	transfer->addresses = spec->addresses;
	transfer->body.max = spec->max_response;
	if (url_len >= sizeof(transfer->url))
		return false;
	/* libcurl copies and parses a URL that is set: spare it the same one. */
	if (strcmp(transfer->url, spec->url) != 0)
	{
		if (curl_easy_setopt(easy, CURLOPT_URL, spec->url) != CURLE_OK)
			return false;
		memcpy(transfer->url, spec->url, url_len + 1);
	}
	return set_method(transfer, spec->method) &&
		set_headers(transfer, spec) &&
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->list) == CURLE_OK &&
		set_body(transfer, spec) &&
		curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
						 (curl_off_t) spec->max_response) == CURLE_OK &&
		curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN,
						 (long) spec->idle_timeout_s) == CURLE_OK;
}

static bool
set_method(SmrtTransfer *transfer, SmrtMethod method)
{
	static const CURLoption switches[] = {
		[SMRT_METHOD_POST] = CURLOPT_POST,
		[SMRT_METHOD_GET] = CURLOPT_HTTPGET,
		[SMRT_METHOD_PUT] = CURLOPT_POST,
	};
	static const char *const words[] = {
		[SMRT_METHOD_POST] = NULL,
		[SMRT_METHOD_GET] = NULL,
		[SMRT_METHOD_PUT] = "PUT",	/* a POST by another name */
	};

	if (transfer->method == method)
		return true;
	transfer->method = method;
	return curl_easy_setopt(transfer->easy, switches[method], 1L) == CURLE_OK &&
		curl_easy_setopt(transfer->easy, CURLOPT_CUSTOMREQUEST,
						 words[method]) == CURLE_OK;
}

/* Setting a body makes a request a POST, so none is set for GET. */
static bool
set_body(SmrtTransfer *transfer, const SmrtExchangeSpec *spec)
{
	if (spec->method == SMRT_METHOD_GET)
		return true;
	return curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS,
							spec->body.len ? spec->body.data : "") == CURLE_OK &&
		curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE,
						 (curl_off_t) spec->body.len) == CURLE_OK;
}

/*
 * Writes the header lines one after another and chains list nodes over them:
 * libcurl only reads the list, and this way a request needs no allocation.
 */
static bool
set_headers(SmrtTransfer *transfer, const SmrtExchangeSpec *spec)
{
	SmrtBuf    *lines = &transfer->lines;
	int			n = 0;
	char	   *line;

	if (transfer->list_size < spec->n_headers + (int) N_SUPPRESSED)
	{
		int			size = spec->n_headers + N_SUPPRESSED + 8;
		struct curl_slist *list = realloc(transfer->list,
										  size * sizeof(*list));

		if (list == NULL)
			return false;
		transfer->list = list;
		transfer->list_size = size;
	}
	for (int i = 0; i < spec->n_headers; i++)
	{
		const SmrtHeader *header = &spec->headers[i];

		/* "Name;" is libcurl's way to write a header without a value. */
		smrt_buf_append_span(lines, header->name);
		smrt_buf_append_string(lines, header->value.len ? ": " : ";");
		smrt_buf_append_span(lines, header->value);
		smrt_buf_append_char(lines, '\0');
	}
	if (!smrt_buf_ok(lines))
		return false;

	line = lines->data;
	for (; n < spec->n_headers; n++)
	{
		transfer->list[n].data = line;
		line += strlen(line) + 1;
	}
	for (int i = 0; i < (int) N_SUPPRESSED; i++)
		if (!header_given(spec, suppressed_lines[i]))
			transfer->list[n++].data = suppressed_lines[i];
	for (int i = 0; i < n; i++)
		transfer->list[i].next = i + 1 < n ? &transfer->list[i + 1] : NULL;
	return true;
}

static bool
header_given(const SmrtExchangeSpec *spec, const char *line)
{
	SmrtSpan	name = smrt_span_of(line, strlen(line) - 1);

	for (int i = 0; i < spec->n_headers; i++)
		if (smrt_span_equal_nocase(spec->headers[i].name, name))
			return true;
	return false;
}
