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
