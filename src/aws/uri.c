/*
 * Percent-encoding, dot segments, queries.
 *
 * The first two may be applied in either order: encoding touches neither "/" nor
 * ".", so it cannot make or hide a dot segment.
 */
#include "aws/uri.h"

#define MAX_QUERY_LEN (256 * 1024)	/* no server takes one that long */

static void drop_segment(SmrtBuf *out, size_t root);
static bool encode_query(SmrtSpan query, SmrtBuf *out);
static int	compare_parameters(SmrtSpan a, SmrtSpan b);

bool
smrt_uri_encode(SmrtSpan text, bool keep_slash, SmrtBuf *out)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t		done = 0;

	for (size_t i = 0; i < text.len; i++)
	{
		unsigned char c = (unsigned char) text.data[i];
		char		triplet[3];

		if (smrt_ascii_alnum(text.data[i]) || c == '-' || c == '.' ||
			c == '_' || c == '~' || (c == '/' && keep_slash))
			continue;
		triplet[0] = '%';
		triplet[1] = digits[c >> 4];
		triplet[2] = digits[c & 0x0f];
		smrt_buf_append(out, text.data + done, i - done);
		smrt_buf_append(out, triplet, sizeof(triplet));
		done = i + 1;
	}
	if (done < text.len)
		smrt_buf_append(out, text.data + done, text.len - done);
	return smrt_buf_ok(out);
}

bool
smrt_uri_normalise_path(SmrtSpan path, SmrtBuf *out)
{
	size_t		root;			/* what stands before it is never dropped */

	if (path.len == 0)
		return smrt_buf_ok(out);
	if (path.data[0] == '/')
		smrt_buf_append_char(out, '/');
	root = out->len;

	for (size_t start = 0, end; start < path.len; start = end + 1)
	{
		SmrtSpan	segment;

		for (end = start; end < path.len && path.data[end] != '/'; end++)
			;
		segment = smrt_span_of(path.data + start, end - start);
		if (smrt_span_equal(segment, smrt_span("..")))
			drop_segment(out, root);
		else if (segment.len > 0 && !smrt_span_equal(segment, smrt_span(".")))
		{
			if (out->len > root)
				smrt_buf_append_char(out, '/');
			smrt_buf_append_span(out, segment);
		}
	}
	if (path.data[path.len - 1] == '/' && out->len > root)
		smrt_buf_append_char(out, '/');
	return smrt_buf_ok(out);
}

bool
smrt_uri_canonical_query(SmrtSpan query, SmrtBuf *out)
{
	SmrtSpan	sorted[SMRT_URI_MAX_PARAMETERS];
	SmrtBuf		encoded;
	int			n = 0;
	bool		ok;

	if (query.len == 0)
		return smrt_buf_ok(out);
	smrt_buf_init(&encoded, out->alloc, MAX_QUERY_LEN);
	ok = encode_query(query, &encoded);
	for (size_t start = 0, end; ok && start <= encoded.len; start = end + 1)
	{
		SmrtSpan	parameter;
		int			at;

		for (end = start; end < encoded.len && encoded.data[end] != '&'; end++)
			;
		parameter = smrt_span_of(encoded.data + start, end - start);
		if (n == SMRT_URI_MAX_PARAMETERS)
		{
			ok = false;
			break;
		}
		for (at = n++; at > 0; at--)
		{
			if (compare_parameters(sorted[at - 1], parameter) <= 0)
				break;
			sorted[at] = sorted[at - 1];
		}
		sorted[at] = parameter;
	}
	for (int i = 0; ok && i < n; i++)
	{
		if (i > 0)
			smrt_buf_append_char(out, '&');
		smrt_buf_append_span(out, sorted[i]);
	}
	smrt_buf_free(&encoded);
	return ok && smrt_buf_ok(out);
}

/* Takes back the last segment written and the "/" before it, if any. */
static void
drop_segment(SmrtBuf *out, size_t root)
{
	if (out->len == root)
		return;
	while (out->len > root && out->data[--out->len] != '/')
		;
	out->data[out->len] = '\0';
}

/*
 * Names and values, taken for what they mean (%41 is "A", a stray "%" itself),
 * encoded anew, so that each parameter has exactly one "=".
 */
static bool
encode_query(SmrtSpan query, SmrtBuf *out)
{
	bool		in_value = false;

	for (size_t i = 0; i < query.len; i++)
	{
		char		c = query.data[i];

		if (c == '&' || (c == '=' && !in_value))
		{
			if (c == '&' && !in_value)
				smrt_buf_append_char(out, '=');
			smrt_buf_append_char(out, c);
			in_value = c == '=';
			continue;
		}
		if (c == '%' && i + 2 < query.len &&
			smrt_ascii_hex(query.data[i + 1]) >= 0 &&
			smrt_ascii_hex(query.data[i + 2]) >= 0)
		{
			c = (char) (smrt_ascii_hex(query.data[i + 1]) << 4 |
						smrt_ascii_hex(query.data[i + 2]));
			i += 2;
		}
		smrt_uri_encode(smrt_span_of(&c, 1), false, out);
	}
	if (!in_value)
		smrt_buf_append_char(out, '=');
	return smrt_buf_ok(out);
}

/* By name, then value: the "=" between them comes before any other byte. */
static int
compare_parameters(SmrtSpan a, SmrtSpan b)
{
	size_t		len = a.len < b.len ? a.len : b.len;

	for (size_t i = 0; i < len; i++)
	{
		int			left = a.data[i] == '=' ? 0 : (unsigned char) a.data[i];
		int			right = b.data[i] == '=' ? 0 : (unsigned char) b.data[i];

		if (left != right)
			return left - right;
	}
	return (a.len > b.len) - (a.len < b.len);
}
