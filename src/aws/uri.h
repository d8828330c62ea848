/*
 * Percent-encoding and dot segments, as SigV4 wants them.
 */
#ifndef SMRT_AWS_URI_H
#define SMRT_AWS_URI_H

#include "aws/buffer.h"

/* Everything but A-Z a-z 0-9 - . _ ~ becomes %XX, "/" too unless kept. */
extern bool smrt_uri_encode(SmrtSpan text, bool keep_slash, SmrtBuf *out);

/*
 * Takes out ".", ".." with what it refers to, and empty segments.  A "/" at
 * the end stays; unlike in RFC 3986 none is made of a last "." or "..".
 */
extern bool smrt_uri_normalise_path(SmrtSpan path, SmrtBuf *out);

#endif							/* SMRT_AWS_URI_H */
