/*
 * What the floors have in common: requests, each with an easy handle of its
 * own, signed by the extension's own signer and with the headers that it sends;
 * and the rows to send.  One endpoint a process, and every failure is its end.
 */
#ifndef BENCH_REQUEST_H
#define BENCH_REQUEST_H

#include <curl/curl.h>

#include "aws/span.h"

typedef struct Request Request;

/* Once: where all requests go.  Keys and region are in the environment. */
extern void requests_set_up(const char *url, const char *endpoint,
							const char *ca);

extern Request *request_new(void);
extern CURL *request_easy(Request *request);

/* Of a handle that curl_multi_info_read() gave. */
extern Request *request_of(CURL *easy);

/* Signs anew, for a body that must stay until the answer is there. */
extern void request_prepare(Request *request, SmrtSpan body);

/* The body of the answer, once libcurl is done; until request_prepare(). */
extern SmrtSpan request_answer(Request *request, CURLcode code);

/* The whole file, one row a line; each line, the last too, ends in "\n". */
extern SmrtSpan map_rows(const char *file);

/*
 * The n rows after these, or as many as there are before the file's end, as one
 * body without the last "\n"; after the end comes the first row again.
 */
extern SmrtSpan next_rows(SmrtSpan rows, SmrtSpan body, int n);

extern void fail(const char *what, const char *why);

#endif							/* BENCH_REQUEST_H */
