/*
 * The two spellings of time on AWS's wire.  Seconds are counted from 1970 in
 * UTC; nothing here reads the clock.
 */
#ifndef SMRT_AWS_TIMESTAMP_H
#define SMRT_AWS_TIMESTAMP_H

#include <stdint.h>

#include "aws/span.h"

#define SMRT_TIMESTAMP_LEN 16	/* YYYYMMDDTHHMMSSZ */
#define SMRT_DATE_LEN 8			/* its first part */

/* Writes YYYYMMDDTHHMMSSZ and a NUL; false for a year outside 1970..9999. */
extern bool smrt_timestamp_format(int64_t seconds,
								  char out[SMRT_TIMESTAMP_LEN + 1]);

/*
 * Reads an HTTP date (RFC 9110 5.6.7: IMF-fixdate, and the two obsolete forms);
 * false when it is none.  A year of two digits is one of 1970..2069, as POSIX
 * reads it, there being no clock to compare with.
 */
extern bool smrt_timestamp_parse_http(SmrtSpan text, int64_t *seconds);

/*
 * Reads an ISO 8601 time as AWS writes it: 2026-01-02T03:04:05Z, perhaps with a
 * fraction, which is cut off, or with an offset like +01:00 instead of Z.
 */
extern bool smrt_timestamp_parse_iso(SmrtSpan text, int64_t *seconds);

#endif							/* SMRT_AWS_TIMESTAMP_H */
