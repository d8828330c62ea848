/*
 * Pure code's memory from the current memory context.
 */
#ifndef SMRT_PG_ALLOC_H
#define SMRT_PG_ALLOC_H

#include "aws/buffer.h"
#include "aws/span.h"

/*
 * Raises the server's own error when there is no memory, so it is not for
 * buffers that a foreign library's callback fills.
 */
extern const SmrtAlloc smrt_alloc_palloc;

/*
 * A palloc'ed copy with a NUL behind it, whatever bytes are in it; what is
 * absent stays so.
 */
extern SmrtSpan smrt_span_copy(SmrtSpan span);

#endif							/* SMRT_PG_ALLOC_H */
