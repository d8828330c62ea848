/*
 * Signing cases kept in files, found in the folders given, at any depth.  Every
 * intermediate result is compared.  Two published layouts are understood:
 *
 * aws-c-auth: a folder with request.txt, context.json and header-*.txt.  With
 * "normalize": false the case is S3's, whose path is sent percent-encoded and
 * signed as it is.  Without context.json the scope is that of the expected
 * string to sign, the keys are AWS's examples.
 *
 * botocore: NAME.req, .creq, .sts and .authz.
 *
 * The path in a request is given to the signer as it stands, encoded or not:
 * the one encoding that the signer adds is the one that the cases expect.
 */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "check.h"
#include "aws/sigv4.h"
#include "aws/uri.h"

#define MAX_FILE_LEN (1024 * 1024)

typedef struct Case
{
	SmrtBuf		request;
	SmrtBuf		context;
	SmrtBuf		canonical;
	SmrtBuf		string_to_sign;
	SmrtBuf		signature;
	SmrtBuf		authorization;
	SmrtBuf		path;			/* encoded, for S3 */
	SmrtHeader	headers[SMRT_SIGV4_MAX_HEADERS];
	SmrtSignable signable;
	SmrtKeys	keys;
	SmrtScope	scope;
	char		payload_hash[SMRT_SHA256_HEX_LEN + 1];
} Case;

static void walk(const char *folder);
static bool ends_with(const char *s, const char *end);
static void run_folder(const char *folder);
static void run_files(const char *stem);
static void run_case(const char *name, Case *c);
static const char *why_skipped(const Case *c);
static void parse_request(Case *c);
static void parse_target(Case *c, SmrtSpan line);
static void parse_context(Case *c);
static void parse_expected_scope(Case *c);
static void add_headers(Case *c);
static void compare(Case *c);

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		walk(argv[i]);
	return check_status();
}

static void
walk(const char *folder)
{
	struct dirent **entries;
	int			n = scandir(folder, &entries, NULL, alphasort);

	if (n < 0)
	{
		check_begin();
		CHECK(n >= 0);
		check_end(folder);
		return;
	}
	for (int i = 0; i < n; i++)
	{
		const char *name = entries[i]->d_name;
		char		path[4096];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", folder, name);
		if (name[0] == '.' || stat(path, &st) != 0)
			;
		else if (S_ISDIR(st.st_mode))
			walk(path);
		else if (strcmp(name, "request.txt") == 0)
			run_folder(folder);
		else if (ends_with(name, ".req"))
		{
			path[strlen(path) - 4] = '\0';
			run_files(path);
		}
		free(entries[i]);
	}
	free(entries);
}

static bool
ends_with(const char *s, const char *end)
{
	size_t		len = strlen(s);

	return len >= strlen(end) && strcmp(s + len - strlen(end), end) == 0;
}

/* Missing files leave the buffer empty. */
static void
read_file(const char *stem, const char *rest, SmrtBuf *out)
{
	char		path[4200];
	char		chunk[4096];
	FILE	   *file;
	size_t		n;

	smrt_buf_init(out, &smrt_alloc_malloc, MAX_FILE_LEN);
	snprintf(path, sizeof(path), "%s%s", stem, rest);
	file = fopen(path, "rb");
	if (file == NULL)
		return;
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		smrt_buf_append(out, chunk, n);
	fclose(file);
}

/* The newline that editors put at the end is no part of an expected text. */
static void
read_expected(const char *stem, const char *rest, SmrtBuf *out)
{
	read_file(stem, rest, out);
	while (out->len > 0 && (out->data[out->len - 1] == '\n' ||
							out->data[out->len - 1] == '\r'))
		out->len--;
}

static void
run_folder(const char *folder)
{
	static const char label[] = "\nAuthorization:";
	Case		c;
	char	   *found;

	read_file(folder, "/request.txt", &c.request);
	read_file(folder, "/context.json", &c.context);
	read_expected(folder, "/header-canonical-request.txt", &c.canonical);
	read_expected(folder, "/header-string-to-sign.txt", &c.string_to_sign);
	read_expected(folder, "/header-signature.txt", &c.signature);
	read_file(folder, "/header-signed-request.txt", &c.authorization);

	/* Of the signed request one line is of interest. */
	found = c.authorization.data ? strstr(c.authorization.data, label) : NULL;
	if (found)
	{
		size_t		len;

		found += strlen(label);
		found += strspn(found, " ");
		len = strcspn(found, "\r\n");
		memmove(c.authorization.data, found, len);
		c.authorization.len = len;
	}
	else
		c.authorization.len = 0;
	run_case(folder, &c);
}

static void
run_files(const char *stem)
{
	Case		c;

	read_file(stem, ".req", &c.request);
	smrt_buf_init(&c.context, &smrt_alloc_malloc, 0);
	smrt_buf_init(&c.signature, &smrt_alloc_malloc, 0);
	read_expected(stem, ".creq", &c.canonical);
	read_expected(stem, ".sts", &c.string_to_sign);
	read_expected(stem, ".authz", &c.authorization);
	run_case(stem, &c);
}

static void
run_case(const char *name, Case *c)
{
	const char *reason = why_skipped(c);

	smrt_buf_init(&c->path, &smrt_alloc_malloc, MAX_FILE_LEN);
	if (reason)
		check_skip(name, reason);
	else
	{
		check_begin();
		parse_request(c);
		parse_context(c);
		add_headers(c);
		compare(c);
		check_end(name);
	}
	smrt_buf_free(&c->request);
	smrt_buf_free(&c->context);
	smrt_buf_free(&c->canonical);
	smrt_buf_free(&c->string_to_sign);
	smrt_buf_free(&c->signature);
	smrt_buf_free(&c->authorization);
	smrt_buf_free(&c->path);
}

static const char *
why_skipped(const Case *c)
{
	if (c->canonical.len == 0 || c->string_to_sign.len == 0)
		return "nothing for the Authorization header";
	if (!smrt_span_starts_with(smrt_buf_span(&c->string_to_sign),
							   smrt_span("AWS4-HMAC-SHA256\n")))
		return "another algorithm";
	return NULL;
}

/* Cuts the first line off, without its end. */
static SmrtSpan
take_line(SmrtSpan *rest)
{
	const char *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
	size_t		len = end ? (size_t) (end - rest->data) : rest->len;
	SmrtSpan	line = smrt_span_of(rest->data, len);

	len += end != NULL;
	*rest = smrt_span_of(rest->data + len, rest->len - len);
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	return line;
}

static void
parse_request(Case *c)
{
	SmrtSpan	rest = smrt_buf_span(&c->request);
	int			n = 0;

	memset(&c->signable, 0, sizeof(c->signable));
	parse_target(c, take_line(&rest));
	while (rest.len > 0)
	{
		SmrtSpan	line = take_line(&rest);
		const char *colon;

		if (line.len == 0)
			break;
		if (line.data[0] == ' ' || line.data[0] == '\t')
		{
			/* A folded header: its value goes on up to here. */
			SmrtSpan   *value = &c->headers[n - 1].value;

			value->len = (size_t) (line.data + line.len - value->data);
			continue;
		}
		colon = memchr(line.data, ':', line.len);
		if (!CHECK(colon != NULL) || !CHECK(n < SMRT_SIGV4_MAX_HEADERS - 3))
			return;
		c->headers[n].name = smrt_span_of(line.data, (size_t) (colon - line.data));
		c->headers[n].value = smrt_span_of(colon + 1, (size_t)
										   (line.data + line.len - colon - 1));
		n++;
	}
	c->signable.headers = c->headers;
	c->signable.n_headers = n;
	CHECK(smrt_sha256_hex(rest, c->payload_hash));
	c->signable.payload_hash = c->payload_hash;
}

/* METHOD, blank, path and query, which may contain blanks, " HTTP/1.1". */
static void
parse_target(Case *c, SmrtSpan line)
{
	size_t		blank = 0;
	size_t		end = line.len;
	size_t		query;

	while (blank < line.len && line.data[blank] != ' ')
		blank++;
	while (end > blank && line.data[end - 1] != ' ')
		end--;
	if (!CHECK(end > blank + 1))
		return;
	end--;
	for (query = blank + 1; query < end && line.data[query] != '?'; query++)
		;
	c->signable.method = smrt_span_of(line.data, blank);
	c->signable.path = smrt_span_of(line.data + blank + 1, query - blank - 1);
	if (query < end)
		c->signable.query = smrt_span_of(line.data + query + 1, end - query - 1);
}

/*
 * The value of a member: a string without escapes, or the letters of a word.
 * Enough for context.json, whose member names are all different.
 */
static SmrtSpan
json_member(const SmrtBuf *text, const char *name)
{
	char		quoted[100];
	const char *p;

	snprintf(quoted, sizeof(quoted), "\"%s\"", name);
	p = text->data ? strstr(text->data, quoted) : NULL;
	if (p == NULL)
		return smrt_span(NULL);
	p += strlen(quoted);
	p += strspn(p, " \t\r\n:");
	if (*p == '"')
		return smrt_span_of(p + 1, strcspn(p + 1, "\""));
	return smrt_span_of(p, strspn(p, "abcdefghijklmnopqrstuvwxyz"));
}

static bool
json_true(const SmrtBuf *text, const char *name)
{
	return smrt_span_equal(json_member(text, name), smrt_span("true"));
}

static void
parse_context(Case *c)
{
	SmrtSpan	time = json_member(&c->context, "timestamp");
	size_t		n = 0;

	memset(&c->scope, 0, sizeof(c->scope));
	if (c->context.len == 0)
	{
		c->keys.access_key_id = smrt_span("AKIDEXAMPLE");
		c->keys.secret_access_key =
			smrt_span("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
		c->keys.session_token = smrt_span(NULL);
		parse_expected_scope(c);
		return;
	}
	c->keys.access_key_id = json_member(&c->context, "access_key_id");
	c->keys.secret_access_key = json_member(&c->context, "secret_access_key");
	c->keys.session_token = json_member(&c->context, "token");
	c->scope.region = json_member(&c->context, "region");
	c->scope.service = json_member(&c->context, "service");
	for (size_t i = 0; i < time.len && n < SMRT_TIMESTAMP_LEN; i++)
	{
		if (time.data[i] != '-' && time.data[i] != ':')
			c->scope.timestamp[n++] = time.data[i];
	}
	if (smrt_span_equal(json_member(&c->context, "normalize"),
						smrt_span("false")))
	{
		smrt_uri_encode(c->signable.path, true, &c->path);
		c->signable.path = smrt_buf_span(&c->path);
		c->signable.raw_path = true;
	}
}

/* Second line: the time; third: DAY/REGION/SERVICE/aws4_request. */
static void
parse_expected_scope(Case *c)
{
	SmrtSpan	rest = smrt_buf_span(&c->string_to_sign);
	SmrtSpan	line;
	SmrtSpan   *const parts[] = {NULL, &c->scope.region, &c->scope.service};

	take_line(&rest);
	line = take_line(&rest);
	if (!CHECK_INT(line.len, SMRT_TIMESTAMP_LEN))
		return;
	memcpy(c->scope.timestamp, line.data, line.len);
	line = take_line(&rest);
	for (size_t i = 0; i < COUNT_OF(parts); i++)
	{
		size_t		len = 0;

		while (len < line.len && line.data[len] != '/')
			len++;
		if (parts[i])
			*parts[i] = smrt_span_of(line.data, len);
		len += len < line.len;
		line = smrt_span_of(line.data + len, line.len - len);
	}
}

static SmrtHeader *
find_header(Case *c, const char *name)
{
	for (int i = 0; i < c->signable.n_headers; i++)
	{
		if (smrt_span_equal_nocase(c->headers[i].name, smrt_span(name)))
			return &c->headers[i];
	}
	return NULL;
}

static void
add_header(Case *c, const char *name, SmrtSpan value)
{
	SmrtHeader *header = &c->headers[c->signable.n_headers++];

	header->name = smrt_span(name);
	header->value = value;
}

/* Those that an SDK adds before it signs. */
static void
add_headers(Case *c)
{
	static const char token_line[] = "\nx-amz-security-token:";
	const char *token = strstr(c->canonical.data, token_line);

	if (!find_header(c, "x-amz-date") && !find_header(c, "date"))
		add_header(c, "X-Amz-Date", smrt_span(c->scope.timestamp));

	/* botocore's files have the token in what is expected only. */
	if (c->context.len == 0 && token)
	{
		token += strlen(token_line);
		c->keys.session_token = smrt_span_of(token, strcspn(token, "\r\n"));
	}
	if (!smrt_span_absent(c->keys.session_token) &&
		!json_true(&c->context, "omit_session_token") &&
		!find_header(c, "x-amz-security-token"))
		add_header(c, "X-Amz-Security-Token", c->keys.session_token);
	if (json_true(&c->context, "sign_body") &&
		!find_header(c, "x-amz-content-sha256"))
		add_header(c, "X-Amz-Content-SHA256", smrt_span(c->payload_hash));
}

static void
compare(Case *c)
{
	SmrtBuf		canonical;
	SmrtBuf		names;
	SmrtBuf		string_to_sign;
	SmrtBuf		signature;
	SmrtBuf		authorization;
	SmrtBuf    *const all[] = {
		&canonical, &names, &string_to_sign, &signature, &authorization
	};

	for (size_t i = 0; i < COUNT_OF(all); i++)
		smrt_buf_init(all[i], &smrt_alloc_malloc, MAX_FILE_LEN);
	CHECK(smrt_sigv4_canonical_request(&c->signable, &canonical, &names));
	CHECK(smrt_sigv4_string_to_sign(&c->scope, smrt_buf_span(&canonical),
									&string_to_sign));
	CHECK(smrt_sigv4_signature(NULL, &c->keys, &c->scope,
							   smrt_buf_span(&string_to_sign), &signature));
	CHECK(smrt_sigv4_authorization(NULL, &c->keys, &c->scope, &c->signable,
								   &authorization));

	CHECK_SPAN(smrt_buf_span(&canonical), smrt_buf_span(&c->canonical));
	CHECK_SPAN(smrt_buf_span(&string_to_sign),
			   smrt_buf_span(&c->string_to_sign));
	CHECK(c->signature.len > 0 || c->authorization.len > 0);
	if (c->signature.len > 0)
		CHECK_SPAN(smrt_buf_span(&signature), smrt_buf_span(&c->signature));
	if (c->authorization.len > 0)
		CHECK_SPAN(smrt_buf_span(&authorization),
				   smrt_buf_span(&c->authorization));
	for (size_t i = 0; i < COUNT_OF(all); i++)
		smrt_buf_free(all[i]);
}
