/*
 * palloc() as an SmrtAlloc.
 */
#include "postgres.h"

#include "pg/alloc.h"

static void *
palloc_resize(void *owner, void *ptr, size_t size)
{
	if (size == 0)
	{
		pfree(ptr);
		return NULL;
	}
	return ptr ? repalloc(ptr, size) : palloc(size);
}

const SmrtAlloc smrt_alloc_palloc = {palloc_resize, NULL};

/* Not pnstrdup(), which stops at a NUL: the span would be longer than it. */
SmrtSpan
smrt_span_copy(SmrtSpan span)
{
	char	   *copy;

	if (smrt_span_absent(span))
		return span;
	copy = palloc(span.len + 1);
	memcpy(copy, span.data, span.len);
	copy[span.len] = '\0';
	return smrt_span_of(copy, span.len);
}
