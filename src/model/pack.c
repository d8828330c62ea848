/*
 * Packing.  Equal rows are found by a hash table with open addressing, whose
 * entries are row numbers; the bytes themselves stay in the body.  The hash is a
 * CRC, for which processors have an instruction: it is taken of all that is sent.
 */
#include "postgres.h"

#include "aws/npy.h"
#include "model/pack.h"
#include "model/row.h"
#include "pg/alloc.h"
#include "port/pg_crc32c.h"
#include "utils/memutils.h"

/*
 * Rows that are skipped or merged cost no bytes of the request but memory here.
 * This many times max_rows of them all are permitted.
 */
#define ROWS_PER_PIECE 4

typedef struct Frame
{
	const char *begin;			/* of the body */
	const char *between;		/* two rows */
	const char *end;
} Frame;

static const Frame frames[] = {
	[SMRT_FORMAT_CSV] = {"", "\n", "\n"},
	[SMRT_FORMAT_INSTANCES] = {"{\"instances\":[", ",", "]"},
	[SMRT_FORMAT_ARRAY] = {"[", ",", "]"},
	[SMRT_FORMAT_JSONLINES] = {"", "\n", "\n"},
	[SMRT_FORMAT_INPUTS] = {"{\"inputs\":[", ",", "]"},
	[SMRT_FORMAT_SINGLE] = {"", "", ""},
	[SMRT_FORMAT_LIBSVM] = {"", "\n", "\n"},
	[SMRT_FORMAT_RECORDIO] = {"", "", ""},
	[SMRT_FORMAT_NPY] = {"", "", ""},	/* and a header, see below */
	[SMRT_FORMAT_LINES] = {"", "\n", "\n"},
	[SMRT_FORMAT_CHAT] = {"", "", ""},
};

StaticAssertDecl(lengthof(frames) == SMRT_FORMAT_COUNT,
				 "every format needs a frame");

static size_t row_begin(const SmrtPack *pack);
static SmrtSpan row_bytes(const SmrtPack *pack, int i);
static int *find_slot(const SmrtPack *pack, SmrtSpan row);
static void make_slots(SmrtPack *pack);
static void add_row(SmrtPack *pack, SmrtPackRow row);
static void repeat_last(SmrtPack *pack, int min_rows);
static bool has_width(const SmrtPack *pack, size_t len);
static bool has_constant(const SmrtModel *model);
static bool is_object(const SmrtModel *model);

void
smrt_pack_init(SmrtPack *pack, const SmrtModel *model)
{
	memset(pack, 0, sizeof(*pack));
	pack->model = model;
	pack->size = 16;
	pack->rows = palloc(pack->size * sizeof(SmrtPackRow));
	if (model->deterministic)
		make_slots(pack);
	/* One row may be larger than a request before it is refused. */
	smrt_buf_init(&pack->body, &smrt_alloc_palloc, MaxAllocSize - 1);
	smrt_buf_append_string(&pack->body, frames[model->format].begin);
	if (model->format == SMRT_FORMAT_NPY)
	{
		/* Room for what is known at the end only. */
		char		header[SMRT_NPY_HEADER] = {0};

		smrt_buf_append(&pack->body, header, sizeof(header));
	}
	if (model->header)
	{
		smrt_row_write_header(model, &pack->body);
		smrt_buf_append_char(&pack->body, '\n');
	}
	pack->len = pack->body.len;
}

SmrtBuf *
smrt_pack_begin_row(SmrtPack *pack)
{
	if (pack->n_pieces > 0)
		smrt_buf_append_string(&pack->body,
							   frames[pack->model->format].between);
	return &pack->body;
}

SmrtPacked
smrt_pack_end_row(SmrtPack *pack, bool skip)
{
	size_t		begin = row_begin(pack);
	int		   *slot = NULL;

	if (skip)
	{
		pack->body.len = pack->len;
		add_row(pack, (SmrtPackRow) {.skipped = true});
		return SMRT_PACKED_SKIPPED;
	}
	if (!smrt_buf_ok(&pack->body))
		return SMRT_PACKED_NOT;
	if (pack->n_slots > 0)
	{
		slot = find_slot(pack, smrt_span_of(pack->body.data + begin,
											pack->body.len - begin));
		if (*slot >= 0)
		{
			pack->body.len = pack->len;
			add_row(pack, pack->rows[*slot]);
			return SMRT_PACKED_WITH_EQUAL;
		}
	}
	if (smrt_pack_closed_len(pack) > pack->model->max_bytes ||
		!has_width(pack, pack->body.len - begin))
		return SMRT_PACKED_NOT;
	if (slot != NULL)
		*slot = pack->n_rows;
	pack->len = pack->body.len;
	pack->last_begin = begin;
	add_row(pack, (SmrtPackRow) {false, pack->n_pieces++, begin, pack->len});
	return SMRT_PACKED;
}

void
smrt_pack_move_row(SmrtPack *from, SmrtPack *to)
{
	size_t		begin = row_begin(from);

	smrt_buf_append(smrt_pack_begin_row(to), from->body.data + begin,
					from->body.len - begin);
	from->body.len = from->len;
}

void
smrt_pack_copy_row(const SmrtPack *from, int i, SmrtPack *to)
{
	SmrtBuf    *body = smrt_pack_begin_row(to);

	if (!from->rows[i].skipped)
		smrt_buf_append_span(body, row_bytes(from, i));
	(void) smrt_pack_end_row(to, from->rows[i].skipped);
}

bool
smrt_pack_is_full(const SmrtPack *pack, int max_rows)
{
	return pack->n_pieces >= max_rows ||
		pack->n_rows / ROWS_PER_PIECE >= max_rows;
}

size_t
smrt_pack_closed_len(const SmrtPack *pack)
{
	const SmrtModel *model = pack->model;

	return pack->body.len + strlen(frames[model->format].end) +
		(has_constant(model) ? 1 + strlen(model->constant) : 0) +
		(is_object(model) ? 1 : 0);
}

void
smrt_pack_close(SmrtPack *pack, int min_rows)
{
	const SmrtModel *model = pack->model;

	repeat_last(pack, min_rows);
	if (model->format == SMRT_FORMAT_NPY && smrt_buf_ok(&pack->body))
		smrt_npy_write_header(pack->body.data, pack->n_sent,
							  (pack->len - pack->last_begin) / sizeof(double));
	smrt_buf_append_string(&pack->body, frames[model->format].end);
	if (has_constant(model))
	{
		smrt_buf_append_char(&pack->body, ',');
		smrt_buf_append_string(&pack->body, model->constant);
	}
	if (is_object(model))
		smrt_buf_append_char(&pack->body, '}');
}

static void
repeat_last(SmrtPack *pack, int min_rows)
{
	size_t		begin;
	size_t		len;

	pack->n_sent = pack->n_pieces;
	if (pack->n_sent >= min_rows)
		return;
	begin = pack->last_begin;
	len = pack->len - begin;
	while (pack->n_sent < min_rows &&
		   smrt_pack_closed_len(pack) + len + 1 <= pack->model->max_bytes)
	{
		/* The buffer may move. */
		if (!smrt_buf_reserve(&pack->body, pack->body.len + len + 1))
			break;
		smrt_buf_append(smrt_pack_begin_row(pack), pack->body.data + begin, len);
		pack->n_sent++;
	}
}

/* A matrix has rows of one width. */
static bool
has_width(const SmrtPack *pack, size_t len)
{
	return pack->model->format != SMRT_FORMAT_NPY || pack->n_pieces == 0 ||
		len == pack->len - pack->last_begin;
}

/* Only objects may have one; it may be empty. */
static bool
has_constant(const SmrtModel *model)
{
	return model->constant != NULL && model->constant[0] != '\0';
}

/* Whether the body is an object, which a constant part can be merged into. */
static bool
is_object(const SmrtModel *model)
{
	return model->format == SMRT_FORMAT_INSTANCES ||
		model->format == SMRT_FORMAT_INPUTS;
}

/* Where the row being written begins, behind what separates it. */
static size_t
row_begin(const SmrtPack *pack)
{
	return pack->len + (pack->n_pieces > 0 ?
						strlen(frames[pack->model->format].between) : 0);
}

static SmrtSpan
row_bytes(const SmrtPack *pack, int i)
{
	const SmrtPackRow *row = &pack->rows[i];

	return smrt_span_of(pack->body.data + row->begin, row->end - row->begin);
}

/* The slot that has an equal row's number, or an empty one. */
static int *
find_slot(const SmrtPack *pack, SmrtSpan row)
{
	pg_crc32c	i;

	INIT_CRC32C(i);
	COMP_CRC32C(i, row.data, row.len);
	FIN_CRC32C(i);
	for (;; i++)
	{
		int		   *slot = &pack->slots[i & (pack->n_slots - 1)];

		if (*slot < 0 || smrt_span_equal(row, row_bytes(pack, *slot)))
			return slot;
	}
}

/* As many that at most half are ever taken. */
static void
make_slots(SmrtPack *pack)
{
	if (pack->slots != NULL)
		pfree(pack->slots);
	pack->n_slots = 2 * pack->size;
	pack->slots = MemoryContextAlloc(GetMemoryChunkContext(pack->rows),
									 pack->n_slots * sizeof(int));
	memset(pack->slots, -1, pack->n_slots * sizeof(int));
	for (int i = 0; i < pack->n_rows; i++)
	{
		int		   *slot;

		if (pack->rows[i].skipped)
			continue;
		slot = find_slot(pack, row_bytes(pack, i));
		if (*slot < 0)
			*slot = i;
	}
}

static void
add_row(SmrtPack *pack, SmrtPackRow row)
{
	pack->rows[pack->n_rows++] = row;
	if (pack->n_rows < pack->size)
		return;
	pack->size *= 2;
	pack->rows = repalloc(pack->rows, pack->size * sizeof(SmrtPackRow));
	if (pack->n_slots > 0)
		make_slots(pack);
}
