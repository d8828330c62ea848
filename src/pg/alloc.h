/*
 * Pure code's memory from the current memory context.
 */
#ifndef SMRT_PG_ALLOC_H
#define SMRT_PG_ALLOC_H

#include "aws/buffer.h"

/*
 * Raises the server's own error when there is no memory, so it is not for
 * buffers that a foreign library's callback fills.
 */
extern const SmrtAlloc smrt_alloc_palloc;

#endif							/* SMRT_PG_ALLOC_H */
