/*
 * Percent-encoding and dot segments.
 *
 * The two may be applied in either order: encoding touches neither "/" nor
 * ".", so it cannot make or hide a dot segment.
 */
#include "aws/ascii.h"
#include "aws/uri.h"

static void drop_segment(SmrtBuf *out, size_t root);

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
