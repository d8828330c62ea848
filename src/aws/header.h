/*
 * One HTTP header field, as it is both signed and sent: the same list goes to
 * the signer and to the transport.
 */
#ifndef SMRT_AWS_HEADER_H
#define SMRT_AWS_HEADER_H

#include "aws/span.h"

typedef struct SmrtHeader
{
	SmrtSpan	name;			/* as sent; compared without case */
	SmrtSpan	value;			/* as sent; may be empty */
} SmrtHeader;

#endif							/* SMRT_AWS_HEADER_H */
