/*
 * The floor under a set: what one libcurl multi handle reaches with so many
 * requests in flight and so many rows in each, signed and with headers as
 * floor.c has them.  Bodies are pieces of the file: nothing is packed, and of
 * answers only the lines are counted.
 *
 * It reads numbers from standard input; for each it sends that many rows and
 * prints how many predictions came back.
 *
 * usage: floor_set URL ENDPOINT ROWS CA IN_FLIGHT ROWS_A_REQUEST
 * with AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY set
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"

static CURLM *multi;
static SmrtSpan rows;
static SmrtSpan body;			/* sent last */
static int	in_flight;
static int	rows_a_request;
static long n_left;				/* rows to send */

static long send_all(Request **requests);
static int	send_next(Request *request);
static long collect(int *n_running);
static int	count_lines(SmrtSpan text);

int
main(int argc, char **argv)
{
	Request   **requests;
	long		n;

	if (argc != 7)
		fail("usage", "floor_set URL ENDPOINT ROWS CA IN_FLIGHT ROWS_A_REQUEST");
	requests_set_up(argv[1], argv[2], argv[4]);
	rows = map_rows(argv[3]);
	in_flight = atoi(argv[5]);
	rows_a_request = atoi(argv[6]);
	multi = curl_multi_init();
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) in_flight);
	requests = calloc(in_flight, sizeof(Request *));
	for (int i = 0; i < in_flight; i++)
		requests[i] = request_new();

	while (scanf("%ld", &n) == 1)
	{
		n_left = n;
		printf("%ld\n", send_all(requests));
		fflush(stdout);
	}
	return 0;
}

/* Gives how many predictions came back. */
static long
send_all(Request **requests)
{
	long		predictions = 0;
	int			n_running = 0;

	for (int i = 0; i < in_flight && n_left > 0; i++)
		n_running += send_next(requests[i]);
	while (n_running > 0)
	{
		int			unused;
		long		came;

		curl_multi_perform(multi, &unused);
		came = collect(&n_running);
		predictions += came;
		if (came == 0)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	return predictions;
}

/* Gives 1: so many requests are in flight more. */
static int
send_next(Request *request)
{
	int			n = n_left < rows_a_request ? (int) n_left : rows_a_request;

	body = next_rows(rows, body, n);
	n_left -= count_lines(body);
	request_prepare(request, body);
	curl_multi_add_handle(multi, request_easy(request));
	return 1;
}

/* Takes what has ended, and has each handle send what is next. */
static long
collect(int *n_running)
{
	long		predictions = 0;
	CURLMsg    *message;
	int			unused;

	while ((message = curl_multi_info_read(multi, &unused)) != NULL)
	{
		CURL	   *easy = message->easy_handle;
		CURLcode	code = message->data.result;
		Request    *request = request_of(easy);

		curl_multi_remove_handle(multi, easy);
		predictions += count_lines(request_answer(request, code));
		(*n_running)--;
		if (n_left > 0)
			*n_running += send_next(request);
	}
	return predictions;
}

/* The last one may lack its "\n". */
static int
count_lines(SmrtSpan text)
{
	const char *end = text.data + text.len;
	const char *at = text.data;
	int			n = 0;

	while (at < end)
	{
		at = memchr(at, '\n', end - at);
		at = at ? at + 1 : end;
		n++;
	}
	return n;
}
