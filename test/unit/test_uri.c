/*
 * Percent-encoding, paths, queries.
 */
#include "check.h"
#include "aws/uri.h"

static void
unreserved_bytes_stay(void)
{
	static const char unreserved[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (int c = 0; c < 256; c++)
	{
		char		byte = (char) c;
		bool		stays = c != 0 && strchr(unreserved, c) != NULL;
		SmrtBuf		out;

		smrt_buf_init(&out, &smrt_alloc_malloc, 10);
		CHECK(smrt_uri_encode(smrt_span_of(&byte, 1), false, &out));
		CHECK_INT(out.len, stays ? 1 : 3);
		CHECK_INT(out.data[0], stays ? byte : '%');
		smrt_buf_free(&out);
	}
}

static void
encoded_texts(void)
{
	static const struct
	{
		const char *text;
		bool		keep_slash;
		const char *encoded;
	}			rows[] =
	{
		{"", false, ""},
		{"plain", false, "plain"},
		{"a b", false, "a%20b"},
		{"a/b", false, "a%2Fb"},
		{"a/b", true, "a/b"},
		{"a%2Fb", true, "a%252Fb"},
		{"+*=&?#", false, "%2B%2A%3D%26%3F%23"},
		{"\xe1\x88\xb4", false, "%E1%88%B4"},
		{"\x01\x7f\xff", false, "%01%7F%FF"},
		{"/x.tar.gz?", true, "/x.tar.gz%3F"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtBuf		out;

		smrt_buf_init(&out, &smrt_alloc_malloc, 100);
		CHECK(smrt_uri_encode(smrt_span(rows[i].text), rows[i].keep_slash,
							  &out));
		CHECK_TEXT(smrt_buf_span(&out), rows[i].encoded);
		smrt_buf_free(&out);
	}
}

static void
normalised_paths(void)
{
	static const struct
	{
		const char *path;
		const char *normal;
	}			rows[] =
	{
		{"", ""},
		{"/", "/"},
		{"//", "/"},
		{"///", "/"},
		{"/.", "/"},
		{"/./", "/"},
		{"/..", "/"},
		{"/../", "/"},
		{"/../../..", "/"},
		{"/a", "/a"},
		{"/a/", "/a/"},
		{"//a//", "/a/"},
		{"/a/.", "/a"},
		{"/a/..", "/"},
		{"/a/../", "/"},
		{"/a/b/..", "/a"},
		{"/a/b/../", "/a/"},
		{"/a/b/../../..", "/"},
		{"/a/./b", "/a/b"},
		{"/a/../b", "/b"},
		{"/../a", "/a"},
		{"/a/b/../c/./d//e", "/a/c/d/e"},
		{"/...", "/..."},
		{"/.a/..b/c..", "/.a/..b/c.."},
		{"/%2e%2e/a", "/%2e%2e/a"},
		{"a/b", "a/b"},
		{"a/../b", "b"},
		{"../a", "a"},
		{"..", ""},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtBuf		out;

		smrt_buf_init(&out, &smrt_alloc_malloc, 100);
		CHECK(smrt_uri_normalise_path(smrt_span(rows[i].path), &out));
		CHECK_TEXT(smrt_buf_span(&out), rows[i].normal);
		smrt_buf_free(&out);
	}
}

static void
canonical_queries(void)
{
	static const struct
	{
		const char *query;
		const char *canonical;
	}			rows[] =
	{
		{"", ""},
		{"a", "a="},
		{"a=", "a="},
		{"a=1", "a=1"},
		{"b=2&a=1", "a=1&b=2"},
		{"a=2&a=1", "a=1&a=2"},
		{"a=1&a", "a=&a=1"},
		{"a-b=1&a=2&a.c=3&A=4", "A=4&a=2&a-b=1&a.c=3"},
		{"a=b=c", "a=b%3Dc"},
		{"a=%2f&b=%41", "a=%2F&b=A"},
		{"a=%&b=%4&c=%zz&d=%4", "a=%25&b=%254&c=%25zz&d=%254"},
		{"a= +/", "a=%20%2B%2F"},
		{"\xe1\x88\xb4=bar", "%E1%88%B4=bar"},
		{"%E1%88%B4=1&Z=2", "%E1%88%B4=1&Z=2"},
		{"&a=1", "=&a=1"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtBuf		out;

		smrt_buf_init(&out, &smrt_alloc_malloc, 100);
		CHECK(smrt_uri_canonical_query(smrt_span(rows[i].query), &out));
		CHECK_TEXT(smrt_buf_span(&out), rows[i].canonical);
		smrt_buf_free(&out);
	}
}

static void
what_was_there_stays(void)
{
	SmrtBuf		out;

	smrt_buf_init(&out, &smrt_alloc_malloc, 100);
	smrt_buf_append_string(&out, "GET/x");
	CHECK(smrt_uri_normalise_path(smrt_span("/../../a/.."), &out));
	CHECK_TEXT(smrt_buf_span(&out), "GET/x/");
	smrt_buf_free(&out);
}

static void
a_full_buffer_is_reported(void)
{
	for (size_t max = 0; max < 9; max++)
	{
		SmrtBuf		out;

		smrt_buf_init(&out, &smrt_alloc_malloc, max);
		CHECK_INT(smrt_uri_encode(smrt_span("a b c"), false, &out), false);
		smrt_buf_free(&out);
		smrt_buf_init(&out, &smrt_alloc_malloc, max);
		CHECK_INT(smrt_uri_normalise_path(smrt_span("/aaa/../bbbbbbbb/"), &out),
				  false);
		smrt_buf_free(&out);
		smrt_buf_init(&out, &smrt_alloc_malloc, max);
		CHECK_INT(smrt_uri_canonical_query(smrt_span("b=2&a=1&cc"), &out),
				  false);
		smrt_buf_free(&out);
	}
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"unreserved bytes stay, all others are encoded", unreserved_bytes_stay},
		{"encoded texts", encoded_texts},
		{"normalised paths", normalised_paths},
		{"queries are encoded and sorted", canonical_queries},
		{"no dot segment eats what was in the buffer", what_was_there_stays},
		{"a full buffer is reported", a_full_buffer_is_reported},
	};

	return check_run(cases, COUNT_OF(cases));
}
