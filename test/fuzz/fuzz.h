/*
 * What the fuzzers share.
 */
#ifndef SMRT_TEST_FUZZ_H
#define SMRT_TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* libFuzzer's: one run; a crash is a finding. */
extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Whether an allocation was made to fail in this run (exhaust.c): what is read
 * then need not be what is read otherwise.
 */
#ifdef EXHAUST
extern bool memory_ran_out(void);
#else
static inline bool
memory_ran_out(void)
{
	return false;
}
#endif

/* Aborts unless a property holds, as it must while there is memory. */
static inline void
hold(bool property)
{
	if (!property && !memory_ran_out())
		abort();
}

/*
 * Takes the next piece off an input: its first byte tells how long it is, and its
 * memory ends where it ends.  For free().
 */
static inline char *
take_piece(const uint8_t **data, size_t *size, size_t *len)
{
	char	   *piece;

	*len = *size > 0 ? (*data)[0] : 0;
	if (*size > 0)
	{
		(*data)++;
		(*size)--;
	}
	if (*len > *size)
		*len = *size;
	piece = malloc(*len + !*len);
	memcpy(piece, *data, *len);
	*data += *len;
	*size -= *len;
	return piece;
}

/* What was read, as one number. */
typedef uint64_t Digest;

#define DIGEST_START UINT64_C(0xcbf29ce484222325)

static inline Digest
digest(Digest so_far, const void *data, size_t len)
{
	const unsigned char *c = data;

	for (size_t i = 0; i < len; i++)
		so_far = (so_far ^ c[i]) * UINT64_C(0x100000001b3);
	return (so_far ^ len) * UINT64_C(0x100000001b3);
}

/* Reads in pieces of that size; each ends where its memory ends. */
typedef Digest (*ReadPiece) (void *reader, const char *piece, size_t len,
							 Digest so_far);

static inline Digest
read_in_pieces(ReadPiece read, void *reader, const uint8_t *data, size_t size,
			   size_t piece_size)
{
	Digest		so_far = DIGEST_START;

	for (size_t at = 0; at < size; at += piece_size)
	{
		size_t		len = size - at < piece_size ? size - at : piece_size;
		char	   *piece = malloc(len);

		memcpy(piece, data + at, len);
		so_far = read(reader, piece, len, so_far);
		free(piece);
	}
	return so_far;
}

#endif							/* SMRT_TEST_FUZZ_H */
