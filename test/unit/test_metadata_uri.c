/*
 * Which metadata URLs may be contacted, and how far.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "aws/metadata_uri.h"

static SmrtMetadataOutcome
container(SmrtSpan relative, SmrtSpan full, SmrtBuf *url,
		  SmrtMetadataReach *reach, SmrtError *error)
{
	SmrtMetadataOutcome outcome;

	smrt_buf_init(url, &smrt_alloc_malloc, 300);
	smrt_buf_append_string(url, "what was there before");
	error->text[0] = '\0';
	outcome = smrt_metadata_container(relative, full, url, reach, error);
	CHECK_INT(error->text[0] != '\0', outcome == SMRT_METADATA_REFUSED);
	CHECK_INT(url->len > 0, outcome == SMRT_METADATA_FOUND);
	return outcome;
}

static void
permitted_urls(void)
{
	static const struct
	{
		const char *relative;
		const char *full;
		const char *url;		/* NULL: full, unchanged */
		SmrtMetadataReach reach;
	}			rows[] =
	{
		{"/c", NULL, "http://169.254.170.2/c", SMRT_REACH_METADATA},
		{"/", NULL, "http://169.254.170.2/", SMRT_REACH_METADATA},
		{"/a/b/", NULL, "http://169.254.170.2/a/b/", SMRT_REACH_METADATA},
		{"/c?id=1&x=http://y/@z?", NULL,
		"http://169.254.170.2/c?id=1&x=http://y/@z?", SMRT_REACH_METADATA},
		{"/@example.com/:80/", NULL, "http://169.254.170.2/@example.com/:80/",
		SMRT_REACH_METADATA},
		{"/c", "http://example.com", "http://169.254.170.2/c", SMRT_REACH_METADATA},
		{"", "http://localhost/c", NULL, SMRT_REACH_LOOPBACK},
		{NULL, "http://localhost", NULL, SMRT_REACH_LOOPBACK},
		{NULL, "http://LOCALHOST:1/c?d=e%20f", NULL, SMRT_REACH_LOOPBACK},
		{NULL, "http://127.0.0.1/", NULL, SMRT_REACH_LOOPBACK},
		{NULL, "http://127.9.8.7:8080/c/?", NULL, SMRT_REACH_LOOPBACK},
		{NULL, "http://[::1]:8080/c", NULL, SMRT_REACH_LOOPBACK},
		{NULL, "http://[0:0:0:0:0:0:0:1]/c", NULL, SMRT_REACH_LOOPBACK},
		{NULL, "http://169.254.170.2/c", NULL, SMRT_REACH_METADATA},
		{NULL, "http://169.254.170.2:8080/c", NULL, SMRT_REACH_METADATA},
		{NULL, "http://169.254.170.23/v1/credentials", NULL, SMRT_REACH_METADATA},
		{NULL, "http://[fd00:ec2::23]/c", NULL, SMRT_REACH_METADATA},
		{NULL, "HTTP://[FD00:0EC2:0::0:23]:80/c", NULL, SMRT_REACH_METADATA},
		{NULL, "https://example.com", NULL, SMRT_REACH_ANY},
		{NULL, "https://example.com:8443/c?d", NULL, SMRT_REACH_ANY},
		{NULL, "https://169.254.169.254/c", NULL, SMRT_REACH_ANY},
		{NULL, "https://169.254.170.2/c", NULL, SMRT_REACH_METADATA},
		{NULL, "https://localhost/c", NULL, SMRT_REACH_LOOPBACK},
		{NULL, "https://[2001:db8::1]/c", NULL, SMRT_REACH_ANY},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		const char *want = rows[i].url ? rows[i].url : rows[i].full;
		SmrtBuf		url;
		SmrtMetadataReach reach;
		SmrtError	error;

		if (CHECK_INT(container(smrt_span(rows[i].relative),
								smrt_span(rows[i].full), &url, &reach, &error),
					  SMRT_METADATA_FOUND))
		{
			CHECK_TEXT(smrt_buf_span(&url), want);
			CHECK_INT(reach, rows[i].reach);
		}
		else
			printf("# %s: %s\n", want, error.text);
		smrt_buf_free(&url);
	}
}

/* In a block of its own length, so that the sanitizer sees an overrun. */
static void
check_refused(bool relative, SmrtSpan text)
{
	char	   *copy = malloc(text.len ? text.len : 1);
	SmrtSpan	given = smrt_span_of(copy, text.len);
	SmrtBuf		url;
	SmrtMetadataReach reach;
	SmrtError	error;

	memcpy(copy, text.data, text.len);
	if (!CHECK_INT(container(relative ? given : smrt_span(NULL),
							 relative ? smrt_span(NULL) : given,
							 &url, &reach, &error),
				   SMRT_METADATA_REFUSED))
		printf("# %.*s\n", (int) text.len, text.data);
	CHECK(smrt_span_starts_with(smrt_span(error.text), relative ?
								smrt_span("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: ") :
								smrt_span("AWS_CONTAINER_CREDENTIALS_FULL_URI: ")));
	smrt_buf_free(&url);
	free(copy);
}

static void
refused_relative(void)
{
	static const char *const rows[] = {
		"c", ".example.com/c", "@example.com/c", ":80@example.com", "?c", "#c",
		" /c", "\t/c", "http://169.254.170.2/c", "//", "//example.com/c",
		"/\\example.com", "/c d", "/c\r\nHost: x", "/c\n", "/c#d", "/c?d#e",
		"/../c", "/c/..", "/./c", "/a//b", "/%", "/%4", "/%zz", "/c?%", "/c?%4",
		"/c?d=%4g", "/c?d e", "/c?\x7f", "/\xc3\xa4", "/c?\xc3\xa4", "/c?\"",
		"/c?<", "/c?\\", "/c?d\r\nX: y", "/{c}", "/c?{d}",
	};
	char		text[400];

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_refused(true, smrt_span(rows[i]));
	check_refused(true, smrt_span_of("/c\0", 3));
	check_refused(true, smrt_span_of("/\0?c", 4));
	check_refused(true, smrt_span_of("/c?\0d", 5));
	check_refused(true, smrt_span_of("\0/c", 3));
	memset(text, 'x', sizeof(text));
	text[0] = '/';
	check_refused(true, smrt_span_of(text, sizeof(text)));
}

static void
refused_full(void)
{
	static const char *const rows[] = {
		"/c", "c", "http:", "http://", "http:///c", "ftp://localhost/c",
		"file:///etc/passwd", "//localhost/c", "localhost:80",
		/* another host in plain text */
		"http://example.com/c", "http://10.0.0.1/c", "http://169.254.169.254/c",
		"http://169.254.170.1/c", "http://169.254.170.22/c",
		"http://169.254.170.230/c", "http://[fd00:ec2::254]/c",
		"http://[fd00:ec2::24]/c", "http://[fe80::1]/c", "http://0.0.0.0/c",
		"http://[::]/c", "http://localhost.example.com/c",
		"http://localhosts/c", "http://127.0.0.1.nip.io/c", "http://ip6-localhost/",
		/* tricks */
		"http://localhost@example.com/c", "http://169.254.170.2@example.com/",
		"http://localhost:80@example.com/", "http://localhost#@example.com/",
		"http://localhost?@example.com/", "http://localhost?c",
		"http://localhost:80?c", "https://example.com?c", "http://[::1]?c",
		"http://localhost\\@example.com/", "http://example.com\\localhost/",
		"http://2130706433/c", "http://0x7f.1/c", "http://127.1/c",
		"http://2852039166/", "http://0251.0376.0252.2/", "http://169.254.43522/",
		"http://[::ffff:127.0.0.1]/c", "http://[::ffff:169.254.170.2]/c",
		"http://[::ffff:a9fe:aa02]/c", "http://localhost./c",
		"http://localhost%2eexample.com/", "http://localhost%00.example.com/",
		"http://loc\xc4\xb1lhost/", "http://localhost:/c", "http://localhost:0/c",
		"http://localhost:99999/c", "http://localhost /c", "http://localhost/ c",
		"http://localhost/c\r\nX: y", "http://localhost/c#d", "http://localhost/..",
		"https://example.com/c?d#e", "https://u@example.com/", "https://a_b!/",
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_refused(false, smrt_span(rows[i]));
	check_refused(false, smrt_span_of("http://localhost\0.example.com/", 30));
	check_refused(false, smrt_span_of("http://localhost/c?\0", 20));
}

static void
nothing_configured(void)
{
	SmrtBuf		url;
	SmrtMetadataReach reach;
	SmrtError	error;

	CHECK_INT(container(smrt_span(NULL), smrt_span(NULL), &url, &reach, &error),
			  SMRT_METADATA_UNSET);
	smrt_buf_free(&url);
	CHECK_INT(container(smrt_span(""), smrt_span(""), &url, &reach, &error),
			  SMRT_METADATA_UNSET);
	smrt_buf_free(&url);
}

/* Sources in order: two of them, each an endpoint and a mode. */
static void
instance_urls(void)
{
	static const struct
	{
		const char *first_endpoint;
		const char *first_mode;
		const char *second_endpoint;
		const char *second_mode;
		const char *url;		/* NULL: refused */
		SmrtMetadataReach reach;
	}			rows[] =
	{
#define IPV4 "http://169.254.169.254"
#define IPV6 "http://[fd00:ec2::254]"
		{NULL, NULL, NULL, NULL, IPV4, SMRT_REACH_METADATA},
		{"", "", "", "", IPV4, SMRT_REACH_METADATA},
		{NULL, "IPv4", NULL, NULL, IPV4, SMRT_REACH_METADATA},
		{NULL, "ipv6", NULL, NULL, IPV6, SMRT_REACH_METADATA},
		{NULL, NULL, NULL, "IPV6", IPV6, SMRT_REACH_METADATA},
		{NULL, "", NULL, "IPv6", IPV6, SMRT_REACH_METADATA},
		{NULL, "IPv6", NULL, "IPv4", IPV6, SMRT_REACH_METADATA},
		{NULL, "IPv4", NULL, "IPv7", IPV4, SMRT_REACH_METADATA},
		{NULL, "IPv7", NULL, "IPv4", NULL, 0},
		{NULL, NULL, NULL, "IPv", NULL, 0},
		{NULL, " IPv4", NULL, NULL, NULL, 0},
		{NULL, "6", NULL, NULL, NULL, 0},
		{"http://a:1", "IPv7", "http://b", "IPv6", "http://a:1", SMRT_REACH_ANY},
		{NULL, "IPv6", "https://b/", NULL, "https://b", SMRT_REACH_ANY},
		{"", NULL, "http://b/c/", NULL, "http://b/c", SMRT_REACH_ANY},
		{"http://127.0.0.1:8", NULL, NULL, NULL, "http://127.0.0.1:8", SMRT_REACH_LOOPBACK},
		{"http://localhost", NULL, NULL, NULL, "http://localhost", SMRT_REACH_LOOPBACK},
		{IPV4 "/", NULL, NULL, NULL, IPV4, SMRT_REACH_METADATA},
		{"http://[fd00:ec2:0::254]", NULL, NULL, NULL, "http://[fd00:ec2:0::254]",
		SMRT_REACH_METADATA},
		{"http://169.254.170.2", NULL, NULL, NULL, "http://169.254.170.2", SMRT_REACH_ANY},
		{"169.254.169.254", NULL, NULL, NULL, NULL, 0},
		{"http://2852039166", NULL, NULL, NULL, NULL, 0},
		{"http://a?b", NULL, NULL, NULL, NULL, 0},
		{"http://a/b?c", NULL, NULL, NULL, NULL, 0},
		{"http://u@a", NULL, NULL, NULL, NULL, 0},
		{"http://a//", NULL, NULL, NULL, NULL, 0},
		{"ftp://a", NULL, "http://b", NULL, NULL, 0},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtInstanceEndpoint sources[] = {
			{smrt_span(rows[i].first_endpoint), smrt_span(rows[i].first_mode)},
			{smrt_span(rows[i].second_endpoint), smrt_span(rows[i].second_mode)},
		};
		SmrtMetadataReach reach = 0;
		SmrtError	error = {""};
		SmrtBuf		url;
		bool		found;

		smrt_buf_init(&url, &smrt_alloc_malloc, 300);
		smrt_buf_append_string(&url, "what was there before");
		found = smrt_metadata_instance(sources, 2, &url, &reach, &error);
		if (!CHECK_INT(found, rows[i].url != NULL))
			printf("# row %zu: %s\n", i, error.text);
		CHECK_TEXT(smrt_buf_span(&url), rows[i].url);
		CHECK_INT(error.text[0] == '\0', found);
		if (found)
			CHECK_INT(reach, rows[i].reach);
		smrt_buf_free(&url);
	}
}

static void
every_allocation_may_fail(void)
{
	SmrtSpan	path = smrt_span("/c");
	SmrtMetadataReach reach;
	CheckMemory memory;
	SmrtError	error = {""};
	SmrtBuf		url;

	check_memory_init(&memory, 0);
	smrt_buf_init(&url, &memory.alloc, 1000);
	CHECK_INT(smrt_metadata_container(path, path, &url, &reach, &error),
			  SMRT_METADATA_REFUSED);
	CHECK(error.text[0] != '\0');
	error.text[0] = '\0';
	CHECK(!smrt_metadata_instance(NULL, 0, &url, &reach, &error));
	CHECK(error.text[0] != '\0');
	CHECK_INT(memory.live, 0);
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"permitted container URLs, and how far they reach", permitted_urls},
		{"a relative URI is a path and nothing else", refused_relative},
		{"a full URI goes nowhere else in plain text", refused_full},
		{"nothing configured is no refusal", nothing_configured},
		{"the instance's endpoint comes before its mode", instance_urls},
		{"every allocation may fail", every_allocation_may_fail},
	};

	return check_run(cases, COUNT_OF(cases));
}
