/*
 * Whose failure it was.
 */
#include "check.h"
#include "aws/blame.h"

static void
rows_are_blamed_where_they_are_at_fault(void)
{
	static const struct
	{
		SmrtFaultKind kind;
		SmrtBlame	blame;
	}			rows[] =
	{
		{SMRT_FAULT_RESOLVE, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_ADDRESS, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_CONNECT, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_CONNECT_TIMEOUT, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_TLS, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_CUT_OFF, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_TIMEOUT, SMRT_BLAME_MOMENT},
		{SMRT_FAULT_REPLY, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_REPLY_TOO_LARGE, SMRT_BLAME_ROW},
		{SMRT_FAULT_HEADERS_TOO_LARGE, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_NO_MEMORY, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_REFUSED, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_TOO_LARGE, SMRT_BLAME_ROW},
		{SMRT_FAULT_DENIED, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_EXPIRED, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_MODEL, SMRT_BLAME_ROW},
		{SMRT_FAULT_NOT_READY, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_THROTTLED, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_SERVICE, SMRT_BLAME_MOMENT},
		{SMRT_FAULT_SERVER, SMRT_BLAME_MOMENT},
		{SMRT_FAULT_DEPENDENCY, SMRT_BLAME_MOMENT},
		{SMRT_FAULT_STREAM, SMRT_BLAME_MOMENT},
		{SMRT_FAULT_IN_ANSWER, SMRT_BLAME_ROW},
		{SMRT_FAULT_NO_TEXT, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_NO_TURN, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_BREAKER, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_COST, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_UNMETERED, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_DRY_RUN, SMRT_BLAME_ENDPOINT},
		{SMRT_FAULT_CUT, SMRT_BLAME_ROW},
		{SMRT_FAULT_DECLINED, SMRT_BLAME_ROW},
		{SMRT_FAULT_OUTSIDE, SMRT_BLAME_MOMENT},
		{SMRT_FAULT_UNTOLD, SMRT_BLAME_ENDPOINT},
	};

	CHECK(COUNT_OF(rows) == SMRT_FAULT_COUNT - 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtFault	fault = {.kind = rows[i].kind};

		CHECK(smrt_blame(&fault) == rows[i].blame);
	}
}

static void
a_busy_model_is_no_bad_row(void)
{
	static const int busy[] = {429, 502, 503, 504, 507};
	static const int bad[] = {0, 400, 415, 422, 500, 501};
	SmrtFault	slow = {.kind = SMRT_FAULT_MODEL,
	.text = SMRT_LITERAL("Your model timed out while processing the request.")};

	for (size_t i = 0; i < COUNT_OF(busy); i++)
	{
		SmrtFault	fault = {.kind = SMRT_FAULT_MODEL,.original_status = busy[i]};

		CHECK(smrt_blame(&fault) == SMRT_BLAME_MOMENT);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++)
	{
		SmrtFault	fault = {.kind = SMRT_FAULT_MODEL,.original_status = bad[i]};

		CHECK(smrt_blame(&fault) == SMRT_BLAME_ROW);
	}
	CHECK(smrt_blame(&slow) == SMRT_BLAME_MOMENT);
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"a row is blamed where it is at fault", rows_are_blamed_where_they_are_at_fault},
		{"a busy model is no bad row", a_busy_model_is_no_bad_row},
	};

	return check_run(cases, COUNT_OF(cases));
}
