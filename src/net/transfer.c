/*
 * Transfers: the libcurl handle of an exchange, its options and callbacks.
 *
 * Every libcurl callback here only appends to a capped buffer or returns short;
 * none can throw.  What a callback refused is read from the buffer's state, or
 * from refusal, after libcurl has returned.
 */
#include "postgres.h"

#include <fcntl.h>
#include <netdb.h>
#include <unistd.h>

#include "net/connection.h"
#include "net/pump.h"
#include "net/transfer.h"
#include "storage/fd.h"

/*
 * All header lines of all answers to one request, 1xx ones and trailers
 * included.  libcurl itself keeps a copy of each, without a limit before 8.3.
 */
#define MAX_HEADER_BYTES (128 * 1024)

/* All header lines that we send. */
#define MAX_REQUEST_HEADER_BYTES (64 * 1024)

/*
 * What libcurl would add, ask or wait for by itself: a header without a value
 * takes libcurl's own out.
 */
static char suppressed_lines[][16] = {"Accept:", "Content-Type:", "Expect:"};

#define N_SUPPRESSED lengthof(suppressed_lines)

static bool set_route(SmrtTransfer *transfer, const SmrtExchangeSpec *spec);
static void set_fixed_options(CURL *easy);
static void set_protocols(CURL *easy);
static bool set_method(SmrtTransfer *transfer, SmrtMethod method);
static bool set_body(SmrtTransfer *transfer, const SmrtExchangeSpec *spec);
static bool set_headers(SmrtTransfer *transfer, const SmrtExchangeSpec *spec);
static bool only_blanks(SmrtSpan value);
static bool header_given(const SmrtExchangeSpec *spec, const char *line);
static int	on_resolver_start(void *resolver_state, void *reserved,
							  void *userdata);
static curl_socket_t on_open_socket(void *userdata, curlsocktype purpose,
									struct curl_sockaddr *address);
static int	on_close_socket(void *userdata, curl_socket_t fd);
static size_t on_header(char *data, size_t size, size_t n, void *userdata);
static void note_answer(SmrtTransfer *transfer);
static size_t on_body(char *data, size_t size, size_t n, void *userdata);

SmrtTransfer *
smrt_transfer_new(const SmrtExchangeSpec *spec)
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
	transfer->socket = CURL_SOCKET_BAD;
	smrt_buf_init(&transfer->lines, &smrt_alloc_malloc,
				  MAX_REQUEST_HEADER_BYTES);
	smrt_buf_init(&transfer->headers, &smrt_alloc_malloc, MAX_HEADER_BYTES);
	smrt_buf_init(&transfer->body, &smrt_alloc_malloc, 0);
	smrt_buf_init(&transfer->taken, &smrt_alloc_malloc, 0);
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

void
smrt_transfer_free(SmrtTransfer *transfer)
{
	curl_easy_cleanup(transfer->easy);
	smrt_buf_wipe(&transfer->lines);	/* holds the session token */
	smrt_buf_free(&transfer->headers);
	smrt_buf_free(&transfer->body);
	smrt_buf_free(&transfer->taken);
	free(transfer->list);
	free(transfer->ca_file);
	free(transfer->proxy);
	free(transfer);
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

bool
smrt_transfer_fits(const SmrtTransfer *transfer, const SmrtExchangeSpec *spec)
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
	/*
	 * No cache of names: a transfer that took its address from the lookup of
	 * another one, while its own still hangs, would at its end wait for that.
	 */
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);

	/* A proxy's answer to CONNECT is none of the host's. */
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);

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

bool
smrt_transfer_prepare(SmrtTransfer *transfer, const SmrtExchangeSpec *spec)
{
	CURL	   *easy = transfer->easy;
	size_t		url_len = strlen(spec->url);

	transfer->addresses = spec->addresses;
	transfer->body.max = spec->max_response;
	transfer->window = spec->window;
	transfer->renewed_ms = spec->renewed_ms;
	if (transfer->fresh)
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 0L);
	transfer->fresh = false;
	if (url_len >= sizeof(transfer->url))
		return false;
	/* libcurl copies and parses a URL that is set: spare it the same one. */
	if (strcmp(transfer->url, spec->url) != 0)
	{
		/* One that cannot be set has still taken the former's place. */
		transfer->url[0] = '\0';
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
	if (curl_easy_setopt(transfer->easy, CURLOPT_CUSTOMREQUEST,
						 words[method]) != CURLE_OK ||
		curl_easy_setopt(transfer->easy, switches[method], 1L) != CURLE_OK)
		return false;
	transfer->method = method;
	return true;
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

		/*
		 * "Name;" is libcurl's way to write a header without a value.  One of
		 * blanks alone it would not send at all.
		 */
		smrt_buf_append_span(lines, header->name);
		if (only_blanks(header->value))
			smrt_buf_append_char(lines, ';');
		else
		{
			smrt_buf_append_string(lines, ": ");
			smrt_buf_append_span(lines, header->value);
		}
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
only_blanks(SmrtSpan value)
{
	size_t		n = 0;

	while (n < value.len && value.data[n] == ' ')
		n++;
	return n == value.len;
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
	const char *refusal = smrt_address_refusal(&address->addr,
											   transfer->addresses);
	curl_socket_t fd;

	transfer->resolving = false;
	/* A name with one bad address is not used at all. */
	if (transfer->parked || transfer->refusal != NULL)
		return CURL_SOCKET_BAD;
	(void) getnameinfo(&address->addr, address->addrlen,
					   transfer->exchange.address,
					   sizeof(transfer->exchange.address), NULL, 0,
					   NI_NUMERICHOST);
	if (refusal != NULL)
	{
		/* At once: libcurl may wait long before it tries the next address. */
		transfer->refusal = refusal;
		transfer->connect_by_ms = 0;
		return CURL_SOCKET_BAD;
	}
	if (!AcquireExternalFD())
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype, address->protocol);
	if (fd < 0)
	{
		ReleaseExternalFD();
		return CURL_SOCKET_BAD;
	}
	(void) fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (!smrt_pump_adopt(fd))
	{
		close(fd);
		ReleaseExternalFD();
		return CURL_SOCKET_BAD;
	}
	smrt_connection_opened(fd, &address->addr, address->addrlen);
	transfer->socket = fd;
	transfer->opened = true;
	return fd;
}

static int
on_close_socket(void *userdata, curl_socket_t fd)
{
	smrt_pump_forget(fd);
	smrt_connection_closed(fd);
	ReleaseExternalFD();
	return close(fd);
}

static size_t
on_header(char *data, size_t size, size_t n, void *userdata)
{
	SmrtTransfer *transfer = userdata;
	SmrtSpan	line = smrt_span_of(data, size * n);

	transfer->header_bytes += line.len;
	if (transfer->header_bytes > MAX_HEADER_BYTES)
	{
		transfer->refusal = "they are larger than 128 kB";
		return 0;
	}
	/* A status line begins a new answer: what came before was a 1xx. */
	if (smrt_span_starts_with(line, smrt_span("HTTP/")))
	{
		smrt_buf_reset(&transfer->headers);
		transfer->headers_ended = false;
		return line.len;
	}
	if (transfer->headers_ended)
		return line.len;		/* a trailer */
	if (!smrt_buf_append_span(&transfer->headers, line))
		return 0;
	if (line.len <= 2 && (line.data[0] == '\r' || line.data[0] == '\n'))
	{
		transfer->headers_ended = true;
		if (transfer->window > 0)
			note_answer(transfer);
	}
	return line.len;
}

/* From now on the owner may read; other answers than 2xx are gathered. */
static void
note_answer(SmrtTransfer *transfer)
{
	SmrtExchange *exchange = &transfer->exchange;
	long		status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status > 299)
		return;
	exchange->status = (int) status;
	exchange->headers = smrt_buf_span(&transfer->headers);
	exchange->answered = true;
	transfer->has_news = true;
}

static size_t
on_body(char *data, size_t size, size_t n, void *userdata)
{
	SmrtTransfer *transfer = userdata;

	if (transfer->exchange.answered)
	{
		/* libcurl keeps these bytes, and reads no more, until it is resumed. */
		if (transfer->body.len > 0 &&
			transfer->body.len + size * n > transfer->window)
		{
			transfer->paused = true;
			smrt_pump_hold(transfer->socket, true);
			return CURL_WRITEFUNC_PAUSE;
		}
		transfer->has_news = true;
	}
	if (transfer->renewed_ms > 0)
		transfer->finish_by_ms = smrt_pump_now_ms() + transfer->renewed_ms;
	if (!smrt_buf_append(&transfer->body, data, size * n))
		return 0;
	transfer->received += size * n;
	return size * n;
}
