/*
 * Packing.
 */
#include "postgres.h"

#include "aws/npy.h"
#include "model/jsonvalue.h"
#include "model/pack.h"
#include "model/row.h"
#include "pg/alloc.h"
#include "utils/memutils.h"

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

static void begin_body(SmrtPack *pack);
static void append_row(SmrtPack *pack, SmrtSpan row);
static size_t added_len(const SmrtPack *pack, SmrtSpan row);
static void repeat_last(SmrtPack *pack, int min_rows);
static bool has_constant(const SmrtModel *model);
static bool is_object(const SmrtModel *model);

void
smrt_pack_init(SmrtPack *pack, const SmrtModel *model, SmrtSpan shared)
{
	memset(pack, 0, sizeof(*pack));
	pack->model = model;
	pack->shared = smrt_span_copy(shared);
	pack->size = Min(16, model->max_rows);
	pack->rows = palloc(pack->size * sizeof(SmrtPackRow));
	smrt_buf_init(&pack->body, &smrt_alloc_palloc, MaxAllocSize - 1);
	begin_body(pack);
}

static void
begin_body(SmrtPack *pack)
{
	const SmrtModel *model = pack->model;

	if (model->rows_member != NULL)
	{
		smrt_buf_append_char(&pack->body, '{');
		smrt_jsonvalue_string(model->rows_member, &pack->body);
		smrt_buf_append_string(&pack->body, ":[");
	}
	else
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
}

bool
smrt_pack_add(SmrtPack *pack, SmrtSpan row, uint32 hash)
{
	/* A matrix has rows of one width. */
	bool		has_width = pack->model->format != SMRT_FORMAT_NPY ||
		pack->n_rows == 0 || row.len == pack->rows[0].len;

	if (!has_width ||
		smrt_pack_closed_len(pack) + added_len(pack, row) > pack->model->max_bytes)
		return false;
	append_row(pack, row);
	if (pack->n_rows == pack->size)
	{
		pack->size *= 2;
		pack->rows = repalloc(pack->rows, pack->size * sizeof(SmrtPackRow));
	}
	pack->rows[pack->n_rows++] = (SmrtPackRow) {pack->body.len - row.len, row.len, hash, 0};
	return smrt_buf_ok(&pack->body);
}

static size_t
added_len(const SmrtPack *pack, SmrtSpan row)
{
	return row.len + (pack->n_rows > 0 ?
					  strlen(frames[pack->model->format].between) : 0);
}

static void
append_row(SmrtPack *pack, SmrtSpan row)
{
	if (pack->n_rows > 0)
		smrt_buf_append_string(&pack->body,
							   frames[pack->model->format].between);
	smrt_buf_append_span(&pack->body, row);
}

void
smrt_pack_refuse(const SmrtPack *pack, size_t len)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("model %s: a row alone is larger than a request may be",
					pack->model->name),
			 errdetail("It makes a body of %zu bytes, the option max_bytes permits %d.",
					   smrt_pack_closed_len(pack) + len,
					   pack->model->max_bytes)));
}

SmrtSpan
smrt_pack_row(const SmrtPack *pack, int i)
{
	return smrt_span_of(pack->body.data + pack->rows[i].begin,
						pack->rows[i].len);
}

size_t
smrt_pack_closed_len(const SmrtPack *pack)
{
	const SmrtModel *model = pack->model;

	return pack->body.len + strlen(frames[model->format].end) +
		(has_constant(model) ? 1 + strlen(model->constant) : 0) +
		(pack->shared.len > 0 ? 1 + pack->shared.len : 0) +
		(is_object(model) ? 1 : 0);
}

void
smrt_pack_close(SmrtPack *pack, int min_rows)
{
	const SmrtModel *model = pack->model;

	repeat_last(pack, min_rows);
	if (model->format == SMRT_FORMAT_NPY && smrt_buf_ok(&pack->body))
		smrt_npy_write_header(pack->body.data, pack->n_sent,
							  pack->rows[0].len / sizeof(double));
	smrt_buf_append_string(&pack->body, frames[model->format].end);
	if (has_constant(model))
	{
		smrt_buf_append_char(&pack->body, ',');
		smrt_buf_append_string(&pack->body, model->constant);
	}
	if (pack->shared.len > 0)
	{
		smrt_buf_append_char(&pack->body, ',');
		smrt_buf_append_span(&pack->body, pack->shared);
	}
	if (is_object(model))
		smrt_buf_append_char(&pack->body, '}');
}

static void
repeat_last(SmrtPack *pack, int min_rows)
{
	SmrtSpan	last = smrt_pack_row(pack, pack->n_rows - 1);

	pack->n_sent = pack->n_rows;
	while (pack->n_sent < min_rows &&
		   smrt_pack_closed_len(pack) + added_len(pack, last) <= pack->model->max_bytes)
	{
		/* The body may move. */
		if (!smrt_buf_reserve(&pack->body, pack->body.len + added_len(pack, last)))
			break;
		append_row(pack, smrt_pack_row(pack, pack->n_rows - 1));
		pack->n_sent++;
	}
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
