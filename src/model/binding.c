/*
 * Bound columns.
 */
#include "postgres.h"

#include "model/binding.h"
#include "pg/report.h"

typedef struct BindingRow
{
	const char *name;
	size_t		field;			/* in SmrtResponse */
} BindingRow;

#define RESPONSE(member) {"$response." #member, offsetof(SmrtResponse, member)}

static const BindingRow rows[] = {
	[SMRT_BOUND_NOT] = {""},
	[SMRT_BOUND_CONTENT_TYPE] = RESPONSE(content_type),
	[SMRT_BOUND_INVOKED_PRODUCTION_VARIANT] = RESPONSE(invoked_production_variant),
	[SMRT_BOUND_CUSTOM_ATTRIBUTES] = RESPONSE(custom_attributes),
	[SMRT_BOUND_NEW_SESSION_ID] = RESPONSE(new_session_id),
	[SMRT_BOUND_CLOSED_SESSION_ID] = RESPONSE(closed_session_id),
	[SMRT_BOUND_REQUEST_ID] = RESPONSE(request_id),
};

StaticAssertDecl(lengthof(rows) == SMRT_BOUND_COUNT,
				 "every binding needs a row");

SmrtBinding
smrt_binding_find(const char *text)
{
	for (int i = SMRT_BOUND_NOT + 1; i < SMRT_BOUND_COUNT; i++)
		if (strcmp(rows[i].name, text) == 0)
			return i;
	return SMRT_BOUND_NOT;
}

const char *
smrt_binding_name(SmrtBinding binding)
{
	return rows[binding].name;
}

char *
smrt_binding_value(SmrtBinding binding, const SmrtResponse *response)
{
	SmrtSpan	value;

	if (response == NULL)
		return NULL;
	value = *(const SmrtSpan *) ((const char *) response + rows[binding].field);
	return smrt_span_absent(value) ? NULL : smrt_report_text(value, value.len);
}
