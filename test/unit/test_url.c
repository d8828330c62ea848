/*
 * URLs of endpoints: what is read out of good ones, and what is refused.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "aws/url.h"

static void
good_urls(void)
{
	static const struct
	{
		const char *text;
		bool		tls;
		const char *host;
		bool		ipv6;
		int			port;
		const char *authority;
		const char *path;
	}			rows[] =
	{
		{"https://runtime.sagemaker.us-east-1.amazonaws.com", true,
			"runtime.sagemaker.us-east-1.amazonaws.com", false, 443,
		"runtime.sagemaker.us-east-1.amazonaws.com", ""},
		{"https://h/", true, "h", false, 443, "h", ""},
		{"HTTPS://H", true, "H", false, 443, "H", ""},
		{"https://h:443", true, "h", false, 443, "h", ""},
		{"https://h:80", true, "h", false, 80, "h:80", ""},
		{"http://h:80/", false, "h", false, 80, "h", ""},
		{"http://h:443", false, "h", false, 443, "h:443", ""},
		{"http://localhost:4566/a/b/", false, "localhost", false, 4566,
		"localhost:4566", "/a/b"},
		{"http://127.0.0.1:8080", false, "127.0.0.1", false, 8080,
		"127.0.0.1:8080", ""},
		{"http://255.255.255.255:1", false, "255.255.255.255", false, 1,
		"255.255.255.255:1", ""},
		{"http://h:65535", false, "h", false, 65535, "h:65535", ""},
		{"http://[::1]", false, "::1", true, 80, "[::1]", ""},
		{"http://[::1]:80/x", false, "::1", true, 80, "[::1]", "/x"},
		{"https://[2001:db8::1]:8443", true, "2001:db8::1", true, 8443,
		"[2001:db8::1]:8443", ""},
		{"http://my_emulator:9000", false, "my_emulator", false, 9000,
		"my_emulator:9000", ""},
		{"https://1a.2b", true, "1a.2b", false, 443, "1a.2b", ""},
		{"https://0x7g", true, "0x7g", false, 443, "0x7g", ""},
		{"https://127.0.0.1.example.com", true, "127.0.0.1.example.com", false,
		443, "127.0.0.1.example.com", ""},
		{"https://h/a%20b/~c/;d=1,2/@e:f", true, "h", false, 443, "h",
		"/a%20b/~c/;d=1,2/@e:f"},
		{"https://h/.a/b..", true, "h", false, 443, "h", "/.a/b.."},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtUrl		url;
		SmrtError	error = {""};

		if (!CHECK(smrt_url_parse(smrt_span(rows[i].text), &url, &error)))
			printf("# %s: %s\n", rows[i].text, error.text);
		CHECK_INT(url.tls, rows[i].tls);
		CHECK_TEXT(url.host, rows[i].host);
		CHECK_INT(url.ipv6, rows[i].ipv6);
		CHECK_INT(url.port, rows[i].port);
		CHECK_TEXT(url.authority, rows[i].authority);
		CHECK_TEXT(url.path, rows[i].path);
	}
}

/* In a block of its own length, so that the sanitizer sees an overrun. */
static bool
refused(SmrtSpan text)
{
	char	   *copy = malloc(text.len ? text.len : 1);
	SmrtUrl		url;
	SmrtError	error = {""};
	bool		accepted;

	memcpy(copy, text.data, text.len);
	accepted = smrt_url_parse(smrt_span_of(copy, text.len), &url, &error);
	free(copy);
	return !accepted && error.text[0] != '\0';
}

static void
refused_urls(void)
{
	static const char *const rows[] = {
		/* schemes */
		"", "h", "//h", "https", "https:", "https:/h", "https//h", "ftp://h",
		"file:///etc/passwd", "httpss://h", "http:h", "javascript:alert(1)",
		"unix:///run/x", "gopher://h", ":https://h", " https://h", "https ://h",
		/* hosts that are none */
		"https://", "https:///", "https:///x", "https://:443", "https://.",
		"https://.h", "https://h.", "https://a..b", "https://-h", "https://h-",
		"https://a.-b", "https://h*", "https://a,b", "https://h!",
		"https://a=b", "https://a;b", "https://a&b", "https://(h)",
		"https://%68", "https://h%2ecom", "https://h%00", "https://a%40b",
		"https://h~", "https://'h'", "https://$h", "https://h+",
		/* user info, and what hides the host */
		"https://u@h", "https://u:p@h", "https://@h", "https://u%40@h",
		"https://169.254.169.254@h", "https://h@169.254.169.254",
		"https://h:443@169.254.169.254", "https://h\\@evil", "https://h\\x",
		"https:\\\\h", "https://h/x\\y", "https://a b", "https://h x",
		"https://h\t", "https://h/\t", "https://h\r\nX: y", "https://h\n",
		"https://h/\r", "https://h/a b", "https://h/\x7f", "https://\xc3\xa9",
		"https://h/\xc3\xa9", "https://h\xe3\x80\x82.com",
		"https://h/\x01", "https://h\x0b", "https://h/<x>", "https://h/{x}",
		"https://h/\"", "https://h/^", "https://h/`", "https://h/|",
		/* query and fragment */
		"https://h?x", "https://h/?x=y", "https://h/a?b", "https://h#x",
		"https://h/#", "https://h?", "https://a#@b", "https://a?@b",
		/* ports */
		"https://h:", "https://h:/", "https://h:0", "https://h:00",
		"https://h:080", "https://h:65536", "https://h:99999",
		"https://h:100000", "https://h:4294967739", "https://h:-1",
		"https://h:+1", "https://h:1x", "https://h:x", "https://h:80:80",
		"https://h: 80", "https://h:8.0", "https://h:0x50",
		/* IPv4 in disguise */
		"http://2130706433", "http://0x7f000001", "http://0X7F000001",
		"http://017700000001", "http://0177.0.0.1", "http://0x7f.0.0.1",
		"http://0x7f.1", "http://127.1", "http://127.0.1", "http://127.0.0.01",
		"http://127.0.0.001", "http://1.2.3.4.5", "http://256.1.1.1",
		"http://1.2.3.256", "http://1.2.3.999", "http://1.2.3.0x4",
		"http://1.2.3.04", "http://0", "http://0x", "http://00", "http://1",
		"http://0xa9fea9fe", "http://2852039166", "http://0251.0376.0251.0376",
		"http://169.254.43518", "http://a.0x7f", "http://a.1", "http://1.2.3.",
		"http://a.b.c.256", "http://99999999999999999999",
		/* IPv6 */
		"http://[", "http://]", "http://[]", "http://[::1", "http://::1",
		"http://[::1]x", "http://[::1]:", "http://[::1]:0", "http://[::1]80",
		"http://[::g]", "http://[1:2]", "http://[::1%25eth0]",
		"http://[::1%eth0]", "http://[fe80::1%251]", "http://[127.0.0.1]",
		"http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]",
		"http://[0:0:0:0:0:ffff:a9fe:a9fe]", "http://[::FFFF:169.254.169.254]",
		"http://[::127.0.0.1]", "http://[::7f00:1]", "http://[[::1]]",
		"http://x[::1]", "http://[::1].com", "http://[v1.x]",
		"http://[1:2:3:4:5:6:7:8:9]",
		"http://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]",
		/* paths that are signed in one form and sent in another */
		"https://h//", "https://h//a", "https://h/a//", "https://h/a//b",
		"https://h/.", "https://h/..", "https://h/./a", "https://h/a/../b",
		"https://h/a/..", "https://h/a/./", "https://h/%", "https://h/%4",
		"https://h/%4g", "https://h/a%", "https://h/%zz/b",
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		if (!CHECK(refused(smrt_span(rows[i]))))
			printf("# %s\n", rows[i]);
	}
}

static void
nul_bytes(void)
{
	static const char text[] = "https://h.example:8443/path";

	for (size_t at = 0; at < sizeof(text) - 1; at++)
	{
		char		copy[sizeof(text)];

		memcpy(copy, text, sizeof(text));
		copy[at] = '\0';
		CHECK(refused(smrt_span_of(copy, sizeof(text) - 1)));
	}
	CHECK(refused(smrt_span_of("https://h\0", 10)));
	CHECK(refused(smrt_span_of("https://h/\0", 11)));
}

/* Every byte at every place: whatever is accepted has a harmless host. */
static void
every_byte_everywhere(void)
{
	static const char text[] = "https://h.example:8443/path";
	size_t		len = sizeof(text) - 1;

	for (size_t at = 0; at <= len; at++)
	{
		for (int c = 0; c < 256; c++)
		{
			char		copy[sizeof(text)];
			SmrtUrl		url;
			SmrtError	error;

			memcpy(copy, text, at);
			copy[at] = (char) c;
			memcpy(copy + at + 1, text + at, len - at);
			if (!smrt_url_parse(smrt_span_of(copy, len + 1), &url, &error))
				continue;
			CHECK(c > ' ' && c < 0x7f && c != '\\');
			for (size_t i = 0; i < url.host.len; i++)
				CHECK(strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
							 "0123456789._-", url.host.data[i]) != NULL);
		}
	}
}

static void
lengths_of_hosts(void)
{
	char		text[400];
	char	   *p = text;
	SmrtUrl		url;
	SmrtError	error;

	p += sprintf(p, "https://");
	memset(p, 'a', 63);
	CHECK(smrt_url_parse(smrt_span_of(text, 8 + 63), &url, &error));
	p[63] = 'a';
	CHECK(!smrt_url_parse(smrt_span_of(text, 8 + 64), &url, &error));
	for (int i = 0; i < 300; i++)
		p[i] = i % 2 ? '.' : 'a';
	CHECK(smrt_url_parse(smrt_span_of(text, 8 + 253), &url, &error));
	CHECK(!smrt_url_parse(smrt_span_of(text, 8 + 255), &url, &error));
}

static void
lengths_of_urls(void)
{
	char		text[SMRT_URL_MAX_LEN + 2] = "https://gateway.example/";
	size_t		len = strlen(text);
	SmrtUrl		url;
	SmrtError	error;

	memset(text + len, 'a', sizeof(text) - len);
	CHECK(smrt_url_parse(smrt_span_of(text, SMRT_URL_MAX_LEN), &url, &error));
	CHECK_INT(url.path.len, SMRT_URL_MAX_LEN - strlen("https://gateway.example"));
	CHECK(!smrt_url_parse(smrt_span_of(text, SMRT_URL_MAX_LEN + 1), &url, &error));
	CHECK(strcmp(error.text, "the URL is longer than 1900 bytes") == 0);
}

static void
loopback_by_spelling(void)
{
	static const struct
	{
		const char *text;
		bool		loopback;
	}			rows[] =
	{
		{"http://localhost", true},
		{"http://LocalHost:8080/x", true},
		{"http://127.0.0.1", true},
		{"http://127.255.255.254:1", true},
		{"http://[::1]:8080", true},
		{"http://[0:0:0:0:0:0:0:1]", true},
		{"http://[0000::0001]", true},
		{"http://[::]", false},
		{"http://[::2]", false},
		{"http://[1::1]", false},
		{"http://0.0.0.0", false},
		{"http://128.0.0.1", false},
		{"http://12.7.0.0", false},
		{"http://127.example.com", false},
		{"http://127.0.0.1.example.com", false},
		{"http://localhost.example.com", false},
		{"http://xlocalhost", false},
		{"http://localhos", false},
		{"https://runtime.sagemaker.us-east-1.amazonaws.com", false},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtUrl		url;
		SmrtError	error;

		CHECK(smrt_url_parse(smrt_span(rows[i].text), &url, &error));
		if (!CHECK_INT(smrt_url_loopback(&url), rows[i].loopback))
			printf("# %s\n", rows[i].text);
	}
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"good URLs", good_urls},
		{"refused URLs", refused_urls},
		{"a NUL byte is refused anywhere", nul_bytes},
		{"every byte at every place", every_byte_everywhere},
		{"lengths of hosts and labels", lengths_of_hosts},
		{"lengths of URLs", lengths_of_urls},
		{"loopback, by the spelling", loopback_by_spelling},
	};

	return check_run(cases, COUNT_OF(cases));
}
