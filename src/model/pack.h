/*
 * Packing: the rows of one request, written into one body with what the format
 * puts around and between them.  Of a deterministic model's equal rows the body
 * has one.
 */
#ifndef SMRT_MODEL_PACK_H
#define SMRT_MODEL_PACK_H

#include "aws/buffer.h"
#include "model/model.h"

typedef enum SmrtPacked
{
	SMRT_PACKED,				/* in the body */
	SMRT_PACKED_WITH_EQUAL,		/* an equal row is */
	SMRT_PACKED_SKIPPED,		/* as was asked */
	SMRT_PACKED_NOT,			/* the body has no room for it */
} SmrtPacked;

typedef struct SmrtPackRow
{
	bool		skipped;
	int			piece;			/* of the answer: equal rows have the same */
	size_t		begin;			/* in the body, without what separates rows */
	size_t		end;
} SmrtPackRow;

typedef struct SmrtPack
{
	const SmrtModel *model;
	SmrtBuf		body;
	int			n_rows;
	int			n_pieces;		/* rows that are in the body */
	int			n_sent;			/* with the copies, once it is closed */
	SmrtPackRow *rows;

	/* Of pack.c only. */
	size_t		len;			/* of the body without the row being written */
	size_t		last_begin;		/* of the last row in it */
	int			size;			/* of rows */
	int			n_slots;		/* a power of 2; 0: equal rows are not sought */
	int		   *slots;			/* by a row's hash: its number, or -1 */
} SmrtPack;

/* In the current memory context, in which all of it stays. */
extern void smrt_pack_init(SmrtPack *pack, const SmrtModel *model);

/* Where to append the next row's bytes. */
extern SmrtBuf *smrt_pack_begin_row(SmrtPack *pack);

/*
 * The row is complete, or, with skip, not to be sent.  After SMRT_PACKED_NOT,
 * which it never is with skip, only smrt_pack_closed_len may follow, or
 * smrt_pack_move_row and smrt_pack_close.
 */
extern SmrtPacked smrt_pack_end_row(SmrtPack *pack, bool skip);

/* The row that did not fit into one body is begun in another, not yet ended. */
extern void smrt_pack_move_row(SmrtPack *from, SmrtPack *to);

/* Adds row i of one to another, which has room for it. */
extern void smrt_pack_copy_row(const SmrtPack *from, int i, SmrtPack *to);

/* Whether it has max_rows in the body, or too many that are not. */
extern bool smrt_pack_is_full(const SmrtPack *pack, int max_rows);

/* How long the body will be, in bytes, once it is closed. */
extern size_t smrt_pack_closed_len(const SmrtPack *pack);

/*
 * No more rows: the body is complete.  The last row stands in it again until there
 * are min_rows, or max_bytes are used up.
 */
extern void smrt_pack_close(SmrtPack *pack, int min_rows);

#endif							/* SMRT_MODEL_PACK_H */
