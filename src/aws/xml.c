/*
 * Finding an element by its tags.  No tree is built: AWS's answers have neither
 * attributes nor two elements of one name that matter here.
 */
#include <stdio.h>

#include "aws/xml.h"

#define MAX_TAG 64

static SmrtSpan after(SmrtSpan text, SmrtSpan what);
static bool find(SmrtSpan text, SmrtSpan what, size_t *at);

SmrtSpan
smrt_xml_text(SmrtSpan document, const char *element)
{
	char		begin[MAX_TAG];
	char		end[MAX_TAG];
	SmrtSpan	rest;
	size_t		len;

	snprintf(begin, sizeof(begin), "<%s>", element);
	snprintf(end, sizeof(end), "</%s>", element);
	rest = after(document, smrt_span(begin));
	if (smrt_span_absent(rest) || !find(rest, smrt_span(end), &len))
		return smrt_span(NULL);
	return smrt_span_of(rest.data, len);
}

static SmrtSpan
after(SmrtSpan text, SmrtSpan what)
{
	size_t		at;

	if (!find(text, what, &at))
		return smrt_span(NULL);
	return smrt_span_of(text.data + at + what.len, text.len - at - what.len);
}

static bool
find(SmrtSpan text, SmrtSpan what, size_t *at)
{
	for (size_t i = 0; i + what.len <= text.len; i++)
		if (memcmp(text.data + i, what.data, what.len) == 0)
		{
			*at = i;
			return true;
		}
	return false;
}
