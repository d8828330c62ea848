/*
 * Answers that are kept.  The table has a hash for each row; the bytes stay in the
 * batch.  Of two rows with one hash the later is found, and the other sent again.
 * The hash is a CRC, for which processors have an instruction: it is taken of all
 * that is sent.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "model/reuse.h"
#include "port/pg_crc32c.h"
#include "utils/memutils.h"

typedef struct Entry
{
	uint32		hash;			/* of the shared part and the row */
	char		status;			/* the table's */
	int			row;
	SmrtBatch  *batch;
} Entry;

#define SH_PREFIX entries
#define SH_ELEMENT_TYPE Entry
#define SH_KEY_TYPE uint32
#define SH_KEY hash
#define SH_HASH_KEY(table, key) murmurhash32(key)
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct SmrtReuse
{
	entries_hash *rows;
	dlist_head	kept;			/* batches, the oldest first */
	size_t		bytes;			/* of them all */
};

static size_t bytes_of(const SmrtBatch *batch);

SmrtReuse *
smrt_reuse_create(void)
{
	SmrtReuse  *reuse = palloc0(sizeof(SmrtReuse));

	reuse->rows = entries_create(CurrentMemoryContext, 256, NULL);
	dlist_init(&reuse->kept);
	return reuse;
}

uint32
smrt_reuse_hash(SmrtSpan shared, SmrtSpan row)
{
	pg_crc32c	hash;

	INIT_CRC32C(hash);
	COMP_CRC32C(hash, shared.data, shared.len);
	COMP_CRC32C(hash, row.data, row.len);
	FIN_CRC32C(hash);
	return hash;
}

SmrtBatch *
smrt_reuse_find(const SmrtReuse *reuse, uint32 hash, SmrtSpan shared,
				SmrtSpan row, int *i)
{
	const Entry *entry = entries_lookup(reuse->rows, hash);

	if (entry == NULL || !smrt_span_equal(entry->batch->pack.shared, shared) ||
		!smrt_span_equal(smrt_pack_row(&entry->batch->pack, entry->row), row))
		return NULL;
	*i = entry->row;
	return entry->batch;
}

void
smrt_reuse_enter(SmrtReuse *reuse, SmrtBatch *batch, int i)
{
	bool		found;
	Entry	   *entry = entries_insert(reuse->rows, batch->pack.rows[i].hash,
									   &found);

	entry->batch = batch;
	entry->row = i;
}

void
smrt_reuse_forget(SmrtReuse *reuse, SmrtBatch *batch)
{
	for (int i = 0; i < batch->pack.n_rows; i++)
	{
		Entry	   *entry = entries_lookup(reuse->rows, batch->pack.rows[i].hash);

		if (entry != NULL && entry->batch == batch)
			(void) entries_delete(reuse->rows, entry->hash);
	}
}

void
smrt_reuse_keep(SmrtReuse *reuse, SmrtBatch *batch)
{
	batch->is_kept = true;
	dlist_push_tail(&reuse->kept, &batch->node);
	batch->kept_bytes = bytes_of(batch);
	reuse->bytes += batch->kept_bytes;
}

SmrtBatch *
smrt_reuse_surplus(SmrtReuse *reuse, size_t permitted)
{
	SmrtBatch  *oldest;

	if (dlist_is_empty(&reuse->kept) || reuse->bytes <= permitted)
		return NULL;
	oldest = dlist_container(SmrtBatch, node, dlist_head_node(&reuse->kept));
	smrt_reuse_take(reuse, oldest);
	return oldest;
}

void
smrt_reuse_take(SmrtReuse *reuse, SmrtBatch *batch)
{
	batch->is_kept = false;
	dlist_delete(&batch->node);
	reuse->bytes -= batch->kept_bytes;
}

/* With two places in the table for each row, as it is half empty at worst. */
static size_t
bytes_of(const SmrtBatch *batch)
{
	return MemoryContextMemAllocated(batch->context, true) +
		batch->pack.n_rows * 2 * sizeof(Entry);
}
