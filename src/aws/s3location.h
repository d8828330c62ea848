/*
 * Where an object of S3 is: "s3://bucket/key".
 */
#ifndef SMRT_AWS_S3LOCATION_H
#define SMRT_AWS_S3LOCATION_H

#include "aws/buffer.h"
#include "aws/error.h"

/* S3's own limit, in bytes. */
#define SMRT_S3_MAX_KEY_LEN 1024

#define SMRT_S3_MAX_BUCKET_LEN 63

typedef struct SmrtS3Location
{
	SmrtSpan	bucket;
	SmrtSpan	key;			/* as it is, nothing percent-encoded */
} SmrtS3Location;

/*
 * Spans point into text.  False, with the reason in error, for another scheme,
 * a bucket that is not of 3 to 63 letters, digits, ".", "-" and "_", and a key
 * that is empty or over S3's limit.
 */
extern bool smrt_s3location_parse(SmrtSpan text, SmrtS3Location *location,
								  SmrtError *error);

/*
 * Whether the bucket can stand before S3's host as a label of it; else it
 * stands in the path.  One with a dot cannot: no certificate fits it.
 */
extern bool smrt_s3location_is_label(SmrtSpan bucket);

/* Appends the key percent-encoded once, each "/" left as it is. */
extern bool smrt_s3location_path(SmrtSpan key, SmrtBuf *path);

#endif							/* SMRT_AWS_S3LOCATION_H */
