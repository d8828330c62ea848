/*
 * What is sent again.
 *
 * A batch that failed as a whole is halved and sent again where that helps: one
 * that was too large or took the model too long, and, where a failed row is to
 * be NULL, one in which some row may be bad.  So the others get their answers.
 * A row alone is sent again with a copy where the container may want two, and a
 * language model is told once what is wrong with its answer.
 */
#include "postgres.h"

#include "model/again.h"

static bool stumbled(const SmrtModel *model, const SmrtBatch *batch);
static bool is_repairable(const SmrtModel *model, const SmrtBatch *batch);
static bool worth_halving(const SmrtModel *model, const SmrtBatch *batch);

SmrtAgain
smrt_again_judge(const SmrtModel *model, const SmrtBatch *batch)
{
	if (stumbled(model, batch))
		return SMRT_AGAIN_PADDED;
	if (is_repairable(model, batch))
		return SMRT_AGAIN_REPAIRED;
	if (batch->pack.n_rows > 1 && worth_halving(model, batch))
		return SMRT_AGAIN_HALVED;
	return SMRT_AGAIN_NOT;
}

/*
 * Containers of scikit-learn that take a line of CSV alone for a vector break over
 * it, where two lines are a matrix.  A row that is to blame itself is told from it
 * by the status: it is the client's error then.
 */
static bool
stumbled(const SmrtModel *model, const SmrtBatch *batch)
{
	const SmrtFault *fault = &batch->call->reply.fault;

	return model->format == SMRT_FORMAT_CSV && !batch->is_second &&
		batch->pack.n_sent == 1 && fault->kind == SMRT_FAULT_MODEL &&
		fault->original_status >= 500 && !smrt_fault_is_slow_model(fault);
}

static bool
is_repairable(const SmrtModel *model, const SmrtBatch *batch)
{
	return model->repair && !batch->is_second &&
		batch->answer.fault.kind == SMRT_FAULT_OUTSIDE &&
		batch->body.len + strlen(batch->answer.message) <= model->max_bytes;
}

static bool
worth_halving(const SmrtModel *model, const SmrtBatch *batch)
{
	const SmrtFault *fault = &batch->call->reply.fault;

	if (smrt_again_was_too_much(batch))
		return true;
	if (smrt_model_on_error(model) == SMRT_ON_ERROR_ERROR)
		return false;
	/* The container, not the service, found fault with what it got. */
	return fault->kind == SMRT_FAULT_MODEL ||
		(fault->kind == SMRT_FAULT_NONE && !batch->fits);
}

/* For the service, for the time that it gives a model, or for the container. */
bool
smrt_again_was_too_much(const SmrtBatch *batch)
{
	const SmrtFault *fault = &batch->call->reply.fault;

	return fault->kind == SMRT_FAULT_TOO_LARGE ||
		smrt_fault_is_slow_model(fault) ||
		(fault->kind == SMRT_FAULT_MODEL && fault->original_status == 413);
}
