/*
 * Result columns whose value is not in the prediction but beside it: members of
 * the response that brought it, or the error in its place.
 */
#ifndef SMRT_MODEL_BINDING_H
#define SMRT_MODEL_BINDING_H

#include "call/reply.h"
#include "model/model.h"
#include "pg/report.h"

/* The binding that is written so ("$response.request_id"); NOT: there is none. */
extern SmrtBinding smrt_binding_find(const char *text);

/* How it is written; for all from SMRT_BOUND_NOT + 1 on. */
extern const char *smrt_binding_name(SmrtBinding binding);

/* Whether it tells of errors. */
extern bool smrt_binding_is_error(SmrtBinding binding);

/*
 * The value as text in the database's encoding, palloc'ed; NULL: it has
 * none.  error may be NULL: there was none.
 */
extern char *smrt_binding_value(SmrtBinding binding,
								const SmrtResponse *response,
								const SmrtReportWords *error);

#endif							/* SMRT_MODEL_BINDING_H */
