/*
 * Bound columns.
 */
#include "postgres.h"

#include "model/binding.h"

typedef struct BindingRow
{
	const char *name;
	bool		is_error;
	size_t		field;			/* else, in SmrtResponse */
} BindingRow;

#define RESPONSE(member) \
	{"$response." #member, false, offsetof(SmrtResponse, member)}

static const BindingRow rows[] = {
	[SMRT_BOUND_NOT] = {""},
	[SMRT_BOUND_CONTENT_TYPE] = RESPONSE(content_type),
	[SMRT_BOUND_INVOKED_PRODUCTION_VARIANT] = RESPONSE(invoked_production_variant),
	[SMRT_BOUND_CUSTOM_ATTRIBUTES] = RESPONSE(custom_attributes),
	[SMRT_BOUND_NEW_SESSION_ID] = RESPONSE(new_session_id),
	[SMRT_BOUND_CLOSED_SESSION_ID] = RESPONSE(closed_session_id),
	[SMRT_BOUND_REQUEST_ID] = RESPONSE(request_id),
	[SMRT_BOUND_SQLSTATE] = {"$error.sqlstate", true},
	[SMRT_BOUND_MESSAGE] = {"$error.message", true},
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

bool
smrt_binding_is_error(SmrtBinding binding)
{
	return rows[binding].is_error;
}

char *
smrt_binding_value(SmrtBinding binding, const SmrtResponse *response,
				   const SmrtReportWords *error)
{
	const BindingRow *row = &rows[binding];
	SmrtSpan	value;

	if (row->is_error && error == NULL)
		return NULL;
	if (row->is_error)
		return pstrdup(binding == SMRT_BOUND_SQLSTATE ?
					   unpack_sql_state(error->sqlstate) : error->message);
	value = *(const SmrtSpan *) ((const char *) response + row->field);
	return smrt_span_absent(value) ? NULL : smrt_report_text(value, value.len);
}
