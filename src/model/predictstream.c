/*
 * Opening the stream that a streaming model's set is made of.
 */
#include "postgres.h"

#include "model/modelrequest.h"
#include "model/pack.h"
#include "model/predictstream.h"
#include "model/row.h"
#include "pg/alloc.h"
#include "utils/memutils.h"

static bool write_body(SmrtPack *pack, const SmrtModel *model,
					   const Datum *values, const bool *nulls);

SmrtTextSet *
smrt_predictstream_open(const SmrtModel *model, const Datum *values,
						const bool *nulls)
{
	SmrtRequest request;
	SmrtTarget *target;
	SmrtLimits	limits;
	SmrtStream *stream;
	SmrtPack	pack;

	if (!write_body(&pack, model, values, nulls))
		return NULL;
	smrt_modelrequest_fill(model, &request);
	request.body = smrt_buf_span(&pack.body);
	request.rows = 1;
	target = smrt_modelrequest_target(model, &limits);
	stream = smrt_stream_open(target, &limits, &request);
	return smrt_textset_create(stream,
							   smrt_deltas_create(stream,
												  smrt_deltas_path(model->predictions),
												  model->token_paths),
							   smrt_model_on_error(model));
}

/* False: the row is skipped. */
static bool
write_body(SmrtPack *pack, const SmrtModel *model, const Datum *values,
		   const bool *nulls)
{
	SmrtBuf		row;
	SmrtSpan	bytes;
	SmrtSpan	shared;

	smrt_buf_init(&row, &smrt_alloc_palloc, MaxAllocSize - 1);
	if (!smrt_row_write(model, values, nulls, &row))
		return false;
	bytes = smrt_buf_span(&row);
	shared = smrt_row_take_shared(model, &bytes);
	smrt_pack_init(pack, model, shared);
	if (!smrt_buf_ok(&row) || !smrt_pack_add(pack, bytes, 0))
		smrt_pack_refuse(pack, bytes.len);
	smrt_pack_close(pack, 1);
	return true;
}
