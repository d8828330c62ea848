/*
 * The floor under one call: what one libcurl easy handle, kept alive, reaches
 * when each request is signed anew by the extension's own signer and carries the
 * same headers.  Whatever the extension takes beyond this is the price of
 * PostgreSQL and of our own code.
 *
 * It reads numbers from standard input; for each it makes that many calls, the
 * rows in turn, and prints how many answers had a body.  Time, CPU and memory
 * are read by the driver from outside, just as those of a backend.
 *
 * usage: floor URL ENDPOINT ROWS CA
 * with AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY set
 */
#include <stdio.h>

#include "request.h"

int
main(int argc, char **argv)
{
	Request    *request;
	SmrtSpan	rows;
	SmrtSpan	row = {0};
	long		n;

	if (argc != 5)
		fail("usage", "floor URL ENDPOINT ROWS CA");
	requests_set_up(argv[1], argv[2], argv[4]);
	request = request_new();
	rows = map_rows(argv[3]);

	while (scanf("%ld", &n) == 1)
	{
		long		answers = 0;

		for (long i = 0; i < n; i++)
		{
			CURLcode	code;

			row = next_rows(rows, row, 1);
			request_prepare(request, row);
			code = curl_easy_perform(request_easy(request));
			answers += request_answer(request, code).len > 0;
		}
		printf("%ld\n", answers);
		fflush(stdout);
	}
	return 0;
}
