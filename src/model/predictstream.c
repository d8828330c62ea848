/*
 * Opening the stream that a streaming model's set is made of.
 */
#include "postgres.h"

#include "model/modelrequest.h"
#include "model/pack.h"
#include "model/predictstream.h"
#include "model/row.h"

static bool write_body(SmrtPack *pack, const SmrtModel *model,
					   const Datum *values, const bool *nulls);

SmrtTextSet *
smrt_predictstream_open(const SmrtModel *model, const Datum *values,
						const bool *nulls)
{
	SmrtRequest request;
	SmrtTarget *target;
	SmrtLimits	limits;
	SmrtPack	pack;

	if (!write_body(&pack, model, values, nulls))
		return NULL;
	smrt_modelrequest_fill(model, &request);
	request.body = smrt_buf_span(&pack.body);
	request.rows = 1;
	target = smrt_modelrequest_target(model, &limits);
	return smrt_textset_create(smrt_stream_open(target, &limits, &request),
							   smrt_deltas_path(model->predictions),
							   smrt_model_on_error(model));
}

/* False: the row is skipped. */
static bool
write_body(SmrtPack *pack, const SmrtModel *model, const Datum *values,
		   const bool *nulls)
{
	smrt_pack_init(pack, model);
	if (!smrt_row_write(model, values, nulls, smrt_pack_begin_row(pack)))
		return false;
	if (smrt_pack_end_row(pack, false) == SMRT_PACKED_NOT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("model %s: a row alone is larger than a request may be",
						model->name),
				 errdetail("It makes a body of %zu bytes, the option max_bytes permits %d.",
						   smrt_pack_closed_len(pack), model->max_bytes)));
	smrt_pack_close(pack, 1);
	return true;
}
