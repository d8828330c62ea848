/*
 * S3 locations: what is read out of good ones, what is refused, and how keys
 * and buckets become a URL.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "aws/s3location.h"

static void
good_locations(void)
{
	static const struct
	{
		const char *text;
		const char *bucket;
		const char *key;
	}			rows[] =
	{
		{"s3://bucket/key", "bucket", "key"},
		{"s3://bucket/a/b/c.out", "bucket", "a/b/c.out"},
		{"s3://bucket//a//b/", "bucket", "/a//b/"},
		{"s3://my.bucket-1/../x?y#z", "my.bucket-1", "../x?y#z"},
		{"s3://Old_Bucket/%41", "Old_Bucket", "%41"},
		{"s3://abc/s3://abc/k", "abc", "s3://abc/k"},
		{"s3://bucket/\xc3\xbc \x01", "bucket", "\xc3\xbc \x01"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtS3Location location;
		SmrtError	error = {""};

		if (!CHECK(smrt_s3location_parse(smrt_span(rows[i].text), &location, &error)))
			printf("# %s: %s\n", rows[i].text, error.text);
		CHECK_TEXT(location.bucket, rows[i].bucket);
		CHECK_TEXT(location.key, rows[i].key);
	}
}

/* In memory of just that size, so that a sanitizer sees each byte too many. */
static bool
parses(const char *text, size_t len)
{
	char	   *copy = malloc(len ? len : 1);
	SmrtS3Location location;
	SmrtError	error = {""};
	bool		ok;

	memcpy(copy, text, len);
	ok = smrt_s3location_parse(smrt_span_of(copy, len), &location, &error);
	CHECK(ok == (error.text[0] == '\0'));
	free(copy);
	return ok;
}

static void
bad_locations(void)
{
	static const char *const rows[] = {
		"", "s", "s3", "s3:", "s3:/", "s3://", "S3://bucket/key", " s3://bucket/key",
		"https://bucket.s3.amazonaws.com/key", "http://bucket/key", "bucket/key",
		"s3:///key", "s3://bucket", "s3://bucket/", "s3://ab/key",
		"s3://user@bucket/key", "s3://bucket:80/key", "s3://buck et/key",
		"s3://bucket%2e/key", "s3://b\xc3\xbc" "cket/key", "s3://bucket?/key",
		"s3://bucket#/key", "s3://bucket\\/key", "s3://bucket\n/key",
		"s3://arn:aws:s3:us-east-1:123456789012:accesspoint/ap/key",
		"s3://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/key",
	};
	SmrtS3Location location;
	SmrtError	error = {""};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (!CHECK(!parses(rows[i], strlen(rows[i]))))
			printf("# %s\n", rows[i]);
	CHECK(!smrt_s3location_parse(smrt_span(NULL), &location, &error));
}

static void
keys_have_a_limit(void)
{
	char		text[5 + 3 + 1 + SMRT_S3_MAX_KEY_LEN + 2];

	memset(text, 'k', sizeof(text));
	memcpy(text, "s3://abc/", 9);
	CHECK(parses(text, 9 + SMRT_S3_MAX_KEY_LEN));
	CHECK(!parses(text, 9 + SMRT_S3_MAX_KEY_LEN + 1));
}

static void
labels(void)
{
	static const struct
	{
		const char *bucket;
		bool		is_label;
	}			rows[] =
	{
		{"bucket", true}, {"a-1", true}, {"123", true}, {"a--b", true},
		{"my.bucket", false}, {"Bucket", false}, {"my_bucket", false},
		{"-ab", false}, {"ab-", false}, {"1.2.3.4", false},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (!CHECK(smrt_s3location_is_label(smrt_span(rows[i].bucket)) ==
				   rows[i].is_label))
			printf("# %s\n", rows[i].bucket);
}

static void
paths(void)
{
	SmrtBuf		path;

	smrt_buf_init(&path, &smrt_alloc_malloc, 200);
	CHECK(smrt_s3location_path(smrt_span("/a b//../c+d/%41~\xc3\xbc!*'().out"), &path));
	CHECK_TEXT(smrt_buf_span(&path),
			   "/a%20b//../c%2Bd/%2541~%C3%BC%21%2A%27%28%29.out");
	smrt_buf_free(&path);
	smrt_buf_init(&path, &smrt_alloc_malloc, 4);
	CHECK(!smrt_s3location_path(smrt_span("too long"), &path));
	smrt_buf_free(&path);
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"good locations are taken apart", good_locations},
		{"bad locations are refused", bad_locations},
		{"keys have a limit", keys_have_a_limit},
		{"buckets that are labels of a host", labels},
		{"keys are encoded once", paths},
	};

	return check_run(cases, COUNT_OF(cases));
}
