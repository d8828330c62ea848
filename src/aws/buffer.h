/*
 * A byte buffer that grows up to a cap.  Failure is sticky: write as often as
 * needed, ask once at the end.  After a failure the content is what fitted
 * before it and further writes change nothing.
 */
#ifndef SMRT_AWS_BUFFER_H
#define SMRT_AWS_BUFFER_H

#include "aws/span.h"

/*
 * Where memory comes from.  resize() behaves like realloc(): ptr NULL
 * allocates, size 0 frees and gives NULL, NULL for any other size means that
 * there is none, the old block then still being valid.  It must not jump.
 */
typedef struct SmrtAlloc
{
	void	   *(*resize) (void *owner, void *ptr, size_t size);
	void	   *owner;
} SmrtAlloc;

typedef enum SmrtBufState
{
	SMRT_BUF_OK,
	SMRT_BUF_FULL,				/* the cap was reached */
	SMRT_BUF_NO_MEMORY			/* the allocator had none */
} SmrtBufState;

typedef struct SmrtBuf
{
	char	   *data;			/* NUL after the last byte once written to */
	size_t		len;			/* bytes in use, the NUL not counted */
	size_t		size;			/* bytes allocated */
	size_t		max;			/* most bytes that len may reach */
	SmrtBufState state;
	const SmrtAlloc *alloc;		/* not owned; outlives the buffer */
} SmrtBuf;

/* malloc() and free(), for what must outlive every memory context. */
extern const SmrtAlloc smrt_alloc_malloc;

extern void smrt_buf_init(SmrtBuf *buf, const SmrtAlloc *alloc, size_t max);

/* Forgets the content and the failure, keeps the memory. */
extern void smrt_buf_reset(SmrtBuf *buf);

/* Gives the memory back.  The buffer may be initialised again. */
extern void smrt_buf_free(SmrtBuf *buf);

/* The same, after overwriting what was in it: for secrets. */
extern void smrt_buf_wipe(SmrtBuf *buf);

/* Makes room for that many bytes in all, so that appends up to it need none. */
extern bool smrt_buf_reserve(SmrtBuf *buf, size_t len);

/* Each returns false once the buffer has failed. */
extern bool smrt_buf_append(SmrtBuf *buf, const void *data, size_t len);
extern bool smrt_buf_append_span(SmrtBuf *buf, SmrtSpan span);
extern bool smrt_buf_append_string(SmrtBuf *buf, const char *s);
extern bool smrt_buf_append_char(SmrtBuf *buf, char c);

static inline SmrtSpan
smrt_buf_span(const SmrtBuf *buf)
{
	return smrt_span_of(buf->data, buf->len);
}

static inline bool
smrt_buf_ok(const SmrtBuf *buf)
{
	return buf->state == SMRT_BUF_OK;
}

#endif							/* SMRT_AWS_BUFFER_H */
