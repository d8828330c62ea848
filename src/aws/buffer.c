/*
 * The capped, growing byte buffer.  A wiping free needs OPENSSL_cleanse(), or
 * the compiler may leave the overwriting out.
 */
#include <stdlib.h>

#include <openssl/crypto.h>

#include "aws/buffer.h"

/* The first allocation: a signed header block fits without growing again. */
#define FIRST_SIZE 512

static void *
malloc_resize(void *owner, void *ptr, size_t size)
{
	(void) owner;
	if (size == 0)
	{
		free(ptr);
		return NULL;
	}
	return realloc(ptr, size);
}

const SmrtAlloc smrt_alloc_malloc = {malloc_resize, NULL};

void
smrt_buf_init(SmrtBuf *buf, const SmrtAlloc *alloc, size_t max)
{
	memset(buf, 0, sizeof(*buf));
	buf->alloc = alloc;
	buf->max = max;
}

void
smrt_buf_reset(SmrtBuf *buf)
{
	buf->len = 0;
	buf->state = SMRT_BUF_OK;
	if (buf->data)
		buf->data[0] = '\0';
}

void
smrt_buf_free(SmrtBuf *buf)
{
	if (buf->data)
		buf->alloc->resize(buf->alloc->owner, buf->data, 0);
	smrt_buf_init(buf, buf->alloc, buf->max);
}

void
smrt_buf_wipe(SmrtBuf *buf)
{
	if (buf->data)
		OPENSSL_cleanse(buf->data, buf->size);
	smrt_buf_free(buf);
}

bool
smrt_buf_reserve(SmrtBuf *buf, size_t len)
{
	size_t		size;
	char	   *data;

	if (buf->state != SMRT_BUF_OK)
		return false;
	if (len > buf->max)
	{
		buf->state = SMRT_BUF_FULL;
		return false;
	}
	if (len < buf->size)
		return true;			/* the NUL fits too */
	/* Double, but neither past the cap nor past what size_t can count. */
	size = buf->size ? buf->size : FIRST_SIZE;
	while (size <= len)
		size = size > buf->max / 2 ? buf->max + 1 : size * 2;
	data = buf->alloc->resize(buf->alloc->owner, buf->data, size);
	if (data == NULL)
	{
		buf->state = SMRT_BUF_NO_MEMORY;
		return false;
	}
	buf->data = data;
	buf->size = size;
	return true;
}

bool
smrt_buf_append(SmrtBuf *buf, const void *data, size_t len)
{
	/* Where there is room, as nearly always, no more is asked. */
	if (buf->state != SMRT_BUF_OK || len > buf->max - buf->len ||
		buf->len + len >= buf->size)
	{
		if (buf->state == SMRT_BUF_OK && len > buf->max - buf->len)
			buf->state = SMRT_BUF_FULL;
		if (!smrt_buf_reserve(buf, buf->len + len))
			return false;
	}
	if (len > 0)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return true;
}

bool
smrt_buf_append_span(SmrtBuf *buf, SmrtSpan span)
{
	return smrt_buf_append(buf, span.data, span.len);
}

bool
smrt_buf_append_string(SmrtBuf *buf, const char *s)
{
	return smrt_buf_append(buf, s, strlen(s));
}

bool
smrt_buf_append_char(SmrtBuf *buf, char c)
{
	return smrt_buf_append(buf, &c, 1);
}
