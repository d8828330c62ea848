/*
 * Reading S3 locations.
 *
 * S3 takes a key as it is: dot segments and empty ones belong to it, so nothing
 * is normalised here or by the signer.
 */
#include "aws/s3location.h"
#include "aws/uri.h"

#define MIN_BUCKET_LEN 3

static bool is_bucket(SmrtSpan s);

bool
smrt_s3location_parse(SmrtSpan text, SmrtS3Location *location, SmrtError *error)
{
	static const SmrtSpan scheme = SMRT_LITERAL("s3://");
	SmrtSpan	rest;

	if (!smrt_span_starts_with(text, scheme))
		return smrt_error_set(error, "it does not begin with s3://");
	rest = smrt_span_after(text, scheme.len);
	location->bucket = smrt_span_up_to(rest, '/');
	if (!is_bucket(location->bucket))
		return smrt_error_set(error, "the bucket is not a name of %d to %d letters, digits, dots, hyphens and underscores",
							  MIN_BUCKET_LEN, SMRT_S3_MAX_BUCKET_LEN);
	rest = smrt_span_after(rest, location->bucket.len);
	location->key = rest.len > 0 ? smrt_span_after(rest, 1) : rest;
	if (location->key.len == 0)
		return smrt_error_set(error, "it has no key");
	if (location->key.len > SMRT_S3_MAX_KEY_LEN)
		return smrt_error_set(error, "the key has %zu bytes, %d are permitted",
							  location->key.len, SMRT_S3_MAX_KEY_LEN);
	return true;
}

bool
smrt_s3location_is_label(SmrtSpan bucket)
{
	for (size_t i = 0; i < bucket.len; i++)
	{
		char		c = bucket.data[i];
		bool		inside = i > 0 && i + 1 < bucket.len;

		/* Host names have no case, so an old bucket with capitals is none. */
		if (!(c >= 'a' && c <= 'z') && !smrt_ascii_digit(c) &&
			!(inside && c == '-'))
			return false;
	}
	return true;
}

bool
smrt_s3location_path(SmrtSpan key, SmrtBuf *path)
{
	return smrt_uri_encode(key, true, path);
}

/* Old buckets may have what new ones must not. */
static bool
is_bucket(SmrtSpan s)
{
	if (s.len < MIN_BUCKET_LEN || s.len > SMRT_S3_MAX_BUCKET_LEN)
		return false;
	for (size_t i = 0; i < s.len; i++)
	{
		char		c = s.data[i];

		if (!smrt_ascii_alnum(c) && c != '.' && c != '-' && c != '_')
			return false;
	}
	return true;
}
