/*
 * What came of a request.
 */
#include "postgres.h"

#include "model/batch.h"

void
smrt_batch_outcome(SmrtBatch *batch, int i, SmrtOutcome *outcome)
{
	memset(outcome, 0, sizeof(*outcome));
	outcome->skipped = batch == NULL;
	if (outcome->skipped)
		return;
	outcome->row = i;
	outcome->response = &batch->response;
	if (batch->fits)
	{
		outcome->piece = smrt_answer_piece(&batch->answer, i);
		return;
	}
	outcome->report = &batch->call->report;
	if (batch->call->reply.fault.kind == SMRT_FAULT_NONE)
		outcome->problem = batch->error.text;
	else
	{
		outcome->response = NULL;
		outcome->fault = &batch->call->reply.fault;
	}
}

void
smrt_batch_release_call(SmrtBatch *batch)
{
	if (batch->call != NULL)
		smrt_call_release(batch->call);
	batch->call = NULL;
}
