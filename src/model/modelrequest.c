/*
 * Requests of models, but for their bodies.
 */
#include "postgres.h"

#include "model/modelrequest.h"
#include "model/tokens.h"
#include "nodes/parsenodes.h"

static void apply_limits(const SmrtModel *model, SmrtLimits *limits);

void
smrt_modelrequest_fill(const SmrtModel *model, SmrtRequest *request)
{
	memset(request, 0, sizeof(*request));
	request->operation = smrt_model_operation(model);
	request->endpoint = smrt_span(model->endpoint);
	request->model = model->name;
	request->tells_tokens = smrt_tokens_are_told(model);
	for (int i = 0; i < SMRT_INVOKE_MEMBER_COUNT; i++)
		request->members[i] = smrt_span(model->members[i]);
	if (model->members[SMRT_MEMBER_CONTENT_TYPE] == NULL)
		request->members[SMRT_MEMBER_CONTENT_TYPE] =
			smrt_span(smrt_model_content_type(model));
	if (model->members[SMRT_MEMBER_ACCEPT] == NULL)
		request->members[SMRT_MEMBER_ACCEPT] =
			smrt_span(smrt_model_accept(model));
	smrt_request_require(request);
}

SmrtTarget *
smrt_modelrequest_target(const SmrtModel *model, SmrtLimits *limits)
{
	SmrtTarget *target = smrt_target_get(model->server);

	*limits = target->limits;
	apply_limits(model, limits);
	return target;
}

/* The validator has seen them. */
static void
apply_limits(const SmrtModel *model, SmrtLimits *limits)
{
	ListCell   *cell;

	foreach(cell, model->limits)
	{
		DefElem    *limit = lfirst(cell);
		SmrtError	error;

		(void) smrt_limits_set(limits, limit->defname, strVal(limit->arg),
							   &error);
	}
}
