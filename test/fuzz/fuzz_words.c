/*
 * Short texts that come from settings, from files and from the network: URLs,
 * hosts, S3 locations, times, error codes.  An input is two pieces.
 *
 * What is accepted has nothing in it that would make it another thing further on.
 */
#include "aws/endpoint.h"
#include "aws/fault.h"
#include "aws/metadata_uri.h"
#include "aws/profilepath.h"
#include "aws/retry.h"
#include "aws/s3location.h"
#include "aws/timestamp.h"
#include "aws/uri.h"
#include "aws/url.h"
#include "aws/xml.h"
#include "fuzz.h"

#define MAX_HOST 255

static void read_places(SmrtSpan text, SmrtSpan other, SmrtBuf *out);
static void read_hosts(SmrtSpan text, SmrtBuf *out);
static void read_times(SmrtSpan text, SmrtSpan other);
static bool is_plain(SmrtSpan text);
static bool lies_in(SmrtSpan part, SmrtSpan text);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t		lens[2];
	char	   *pieces[2];
	SmrtSpan	text;
	SmrtSpan	other;
	SmrtBuf		out;

	for (int i = 0; i < 2; i++)
		pieces[i] = take_piece(&data, &size, &lens[i]);
	text = smrt_span_of(pieces[0], lens[0]);
	other = smrt_span_of(pieces[1], lens[1]);
	smrt_buf_init(&out, &smrt_alloc_malloc, 8192);
	read_places(text, other, &out);
	read_hosts(text, &out);
	read_times(text, other);
	hold(lies_in(smrt_fault_code(text), text));
	(void) smrt_fault_kind((int) other.len * 4, text);
	hold(lies_in(smrt_xml_text(text, "Code"), text));
	smrt_buf_free(&out);
	for (int i = 0; i < 2; i++)
		free(pieces[i]);
	return 0;
}

static void
read_places(SmrtSpan text, SmrtSpan other, SmrtBuf *out)
{
	SmrtProfileEnvironment environment = {.config_file = text, .home = other};
	SmrtInstanceEndpoint sources[] = {{text, other}, {other, text}};
	SmrtMetadataReach reach;
	SmrtS3Location location;
	SmrtUrl		url;
	SmrtError	error;

	if (smrt_url_parse(text, &url, &error))
	{
		hold(is_plain(text) && lies_in(url.host, text) && lies_in(url.path, text));
		hold(url.host.len > 0 && url.port >= 1 && url.port <= 65535);
		hold(memchr(text.data, '@', text.len) == NULL || url.path.len > 0);
	}
	if (smrt_metadata_container(text, other, out, &reach, &error) == SMRT_METADATA_FOUND)
		hold(is_plain(smrt_buf_span(out)));
	smrt_buf_reset(out);
	if (smrt_metadata_instance(sources, 2, out, &reach, &error))
		hold(is_plain(smrt_buf_span(out)));
	smrt_buf_reset(out);
	(void) smrt_profilepath_find(&environment, SMRT_PROFILE_CONFIG, out, &error);
	smrt_buf_reset(out);
	if (smrt_s3location_parse(text, &location, &error))
	{
		(void) smrt_s3location_is_label(location.bucket);
		hold(smrt_s3location_path(location.key, out) && is_plain(smrt_buf_span(out)));
	}
	smrt_buf_reset(out);
}

static void
read_hosts(SmrtSpan text, SmrtBuf *out)
{
	SmrtError	error;

	for (int i = 0; i < 12; i++)
	{
		SmrtEndpointQuery query = {(SmrtService) (i % 3), text, i & 4, i >= 8};

		smrt_buf_reset(out);
		if (!smrt_endpoint_host(&query, out, &error))
			continue;
		hold(out->len <= MAX_HOST);
		for (size_t c = 0; c < out->len; c++)
			hold(smrt_ascii_alnum(out->data[c]) || out->data[c] == '-' ||
				 out->data[c] == '.');
	}
	smrt_buf_reset(out);
}

static void
read_times(SmrtSpan text, SmrtSpan other)
{
	char		written[SMRT_TIMESTAMP_LEN + 1];
	int64_t		seconds;

	if (smrt_timestamp_parse_http(text, &seconds) ||
		smrt_timestamp_parse_iso(text, &seconds))
		(void) smrt_timestamp_format(seconds, written);
	hold(smrt_retry_hint_ms(text, other, other) >= -1);
	hold(smrt_retry_hint_ms(other, text, other) >= -1);
}

static bool
is_plain(SmrtSpan text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return false;
	return true;
}

static bool
lies_in(SmrtSpan part, SmrtSpan text)
{
	return part.len == 0 || (part.data >= text.data &&
							 part.data + part.len <= text.data + text.len);
}
