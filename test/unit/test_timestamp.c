/*
 * Time stamps.
 */
#include <time.h>

#include "check.h"
#include "aws/timestamp.h"

#define LAST_SECOND INT64_C(253402300799)	/* 9999-12-31 23:59:59 */

static void
known_times(void)
{
	static const struct
	{
		int64_t		seconds;
		const char *text;
	}			rows[] =
	{
		{0, "19700101T000000Z"},
		{59, "19700101T000059Z"},
		{86399, "19700101T235959Z"},
		{86400, "19700102T000000Z"},
		{951782400, "20000229T000000Z"},
		{951868800, "20000301T000000Z"},
		{1440938160, "20150830T123600Z"},
		{INT64_C(2147483648), "20380119T031408Z"},
		{INT64_C(4107542399), "21000228T235959Z"},
		{INT64_C(4107542400), "21000301T000000Z"},
		{LAST_SECOND, "99991231T235959Z"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		char		out[SMRT_TIMESTAMP_LEN + 1];

		CHECK(smrt_timestamp_format(rows[i].seconds, out));
		CHECK_TEXT(smrt_span(out), rows[i].text);
	}
}

static void
years_out_of_range(void)
{
	static const int64_t rows[] = {
		-1, INT64_MIN, LAST_SECOND + 1, INT64_MAX
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		char		out[SMRT_TIMESTAMP_LEN + 1];

		CHECK(!smrt_timestamp_format(rows[i], out));
	}
}

/* Both directions against the C library, a day and a bit apart. */
static void
every_day_as_gmtime(void)
{
	for (int64_t seconds = 0; seconds < LAST_SECOND; seconds += 86400 + 3607)
	{
		time_t		t = (time_t) seconds;
		struct tm  *tm = gmtime(&t);
		char		out[SMRT_TIMESTAMP_LEN + 1];
		char		want[64];
		int64_t		back = -1;

		CHECK(smrt_timestamp_format(seconds, out));
		strftime(want, sizeof(want), "%Y%m%dT%H%M%SZ", tm);
		CHECK_TEXT(smrt_span(out), want);
		strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", tm);
		CHECK(smrt_timestamp_parse_http(smrt_span(want), &back));
		if (!CHECK_INT(back, seconds))
			return;
		strftime(want, sizeof(want), "%a %b %e %H:%M:%S %Y", tm);
		CHECK(smrt_timestamp_parse_http(smrt_span(want), &back));
		if (!CHECK_INT(back, seconds))
			return;
	}
}

static void
http_dates(void)
{
	static const struct
	{
		const char *text;
		int64_t		seconds;
	}			rows[] =
	{
		{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
		{"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
		{"Sun Nov  6 08:49:37 1994", 784111777},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Wed, 31 Dec 1969 23:59:59 GMT", -1},
		{"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
		{"Sat Nov 16 08:49:37 2024", 1731746977},
		{"Tuesday, 01-Jan-69 00:00:00 GMT", INT64_C(3124224000)},
		{"Thursday, 01-Jan-70 00:00:00 GMT", 0},
		{"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
		{"Fri, 31 Dec 9999 23:59:59 GMT", LAST_SECOND},
		{"Sat, 01 Jan 0000 00:00:00 GMT", INT64_C(-62167219200)},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		int64_t		seconds = 42;

		CHECK(smrt_timestamp_parse_http(smrt_span(rows[i].text), &seconds));
		CHECK_INT(seconds, rows[i].seconds);
	}
}

static void
no_http_dates(void)
{
	static const char *const rows[] = {
		"", " ", "GMT", "Sun", "Sun,", "0", "784111777",
		"2015-08-30T12:36:00Z", "20150830T123600Z",
		"Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 GMT ", " Sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMTx", "Sun, 06 Nov 1994 08:49:37 +0000",
		"Sun, 6 Nov 1994 08:49:37 GMT", "Sun,06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06 Nov 19940 08:49:37 GMT",
		"Sun, 06 NOV 1994 08:49:37 GMT", "sun, 06 Nov 1994 08:49:37 GMT",
		"Xyz, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Xyz 1994 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
		"Wed, 29 Feb 2023 00:00:00 GMT", "Thu, 29 Feb 1900 00:00:00 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1994 8:49:37 GMT",
		"Sun, -6 Nov 1994 08:49:37 GMT", "Sun, +6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov -994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:3\n GMT",
		"Sun, 06-Nov-94 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
		"Sun Nov   6 08:49:37 1994", "Sun Nov 6 08:49:37 1994",
		"Sun Nov  6 08:49:37 1994 GMT", "Sun Nov  6 08:49:37 94",
		"Sun Nov  0 08:49:37 1994",
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		int64_t		seconds = 42;

		CHECK(!smrt_timestamp_parse_http(smrt_span(rows[i]), &seconds));
		CHECK_INT(seconds, 42);
	}
}

/* Each byte of each form replaced by each other byte, and each prefix. */
static void
damaged_dates(void)
{
	static const char *const rows[] = {
		"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		size_t		len = strlen(rows[i]);
		char		text[40];
		int64_t		seconds;

		for (size_t at = 0; at < len; at++)
		{
			/* A block of its own length lets the sanitizer see an overrun. */
			SmrtBuf		exact;

			smrt_buf_init(&exact, &smrt_alloc_malloc, at);
			smrt_buf_append(&exact, rows[i], at);
			CHECK(!smrt_timestamp_parse_http(smrt_buf_span(&exact), &seconds));
			smrt_buf_free(&exact);

			memcpy(text, rows[i], len);
			for (int c = 0; c < 256; c++)
			{
				text[at] = (char) c;
				if (smrt_timestamp_parse_http(smrt_span_of(text, len), &seconds))
					CHECK((c >= '0' && c <= '9') || c == rows[i][at] ||
						  (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
						  c == ' ');
			}
		}
	}
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"known times", known_times},
		{"years out of range are refused", years_out_of_range},
		{"every day is as gmtime() has it", every_day_as_gmtime},
		{"HTTP dates in three forms", http_dates},
		{"what is no HTTP date is refused", no_http_dates},
		{"damaged HTTP dates do no harm", damaged_dates},
	};

	return check_run(cases, COUNT_OF(cases));
}
