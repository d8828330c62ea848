/*
 * What all requests of a model have in common.
 */
#ifndef SMRT_MODEL_MODELREQUEST_H
#define SMRT_MODEL_MODELREQUEST_H

#include "call/operation.h"
#include "model/model.h"
#include "pg/target.h"

/*
 * Fills in all but the body; the spans are the model's.  Raises 22023 for what
 * may not be sent.
 */
extern void smrt_modelrequest_fill(const SmrtModel *model,
								   SmrtRequest *request);

/* The model's target for the current role, and its limits. */
extern SmrtTarget *smrt_modelrequest_target(const SmrtModel *model,
											SmrtLimits *limits);

#endif							/* SMRT_MODEL_MODELREQUEST_H */
