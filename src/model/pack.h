/*
 * Packing: the rows of one request, written into one body with what the format
 * puts around and between them.
 */
#ifndef SMRT_MODEL_PACK_H
#define SMRT_MODEL_PACK_H

#include "aws/buffer.h"
#include "model/model.h"
#include "pg/compat.h"

typedef struct SmrtPackRow
{
	size_t		begin;			/* in the body, behind what separates rows */
	size_t		len;
	uint32		hash;			/* for who looks for equal rows */
	int64		number;			/* the engine's */
} SmrtPackRow;

typedef struct SmrtPack
{
	const SmrtModel *model;
	SmrtSpan	shared;			/* what all of its rows have in common */
	SmrtBuf		body;
	int			n_rows;
	int			n_sent;			/* with the copies, once it is closed */

	/* Of pack.c only. */
	SmrtPackRow *rows;
	int			size;			/* of rows */
} SmrtPack;

/* In the current memory context, in which all of it stays. */
extern void smrt_pack_init(SmrtPack *pack, const SmrtModel *model,
						   SmrtSpan shared);

/*
 * Adds a row, as smrt_row_write() has written it, without what is shared.  False:
 * the body has no room for it.
 */
extern bool smrt_pack_add(SmrtPack *pack, SmrtSpan row, uint32 hash);

/* Raises 54000: a row of so many bytes does not even fit alone. */
pg_noreturn extern void smrt_pack_refuse(const SmrtPack *pack, size_t len);

/* Row i as it was added; valid until the next one is. */
extern SmrtSpan smrt_pack_row(const SmrtPack *pack, int i);

/* How long the body will be, in bytes, once it is closed. */
extern size_t smrt_pack_closed_len(const SmrtPack *pack);

/*
 * No more rows: the body is complete.  The last row stands in it again until there
 * are min_rows, or max_bytes are used up.
 */
extern void smrt_pack_close(SmrtPack *pack, int min_rows);

#endif							/* SMRT_MODEL_PACK_H */
