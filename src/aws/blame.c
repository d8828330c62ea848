/*
 * From a fault to who is to blame.  A row is blamed only where the container has
 * seen it, or where its own size is what failed.
 */
#include "aws/blame.h"

static SmrtBlame blame_of_model(const SmrtFault *fault);

SmrtBlame
smrt_blame(const SmrtFault *fault)
{
	switch (fault->kind)
	{
		case SMRT_FAULT_MODEL:
			return blame_of_model(fault);
		case SMRT_FAULT_TOO_LARGE:
		case SMRT_FAULT_REPLY_TOO_LARGE:
		case SMRT_FAULT_IN_ANSWER:
		case SMRT_FAULT_CUT:
		case SMRT_FAULT_DECLINED:
			return SMRT_BLAME_ROW;
		case SMRT_FAULT_TIMEOUT:
		case SMRT_FAULT_SERVICE:
		case SMRT_FAULT_SERVER:
		case SMRT_FAULT_DEPENDENCY:
		case SMRT_FAULT_STREAM:
		case SMRT_FAULT_OUTSIDE:
			return SMRT_BLAME_MOMENT;
		default:
			return SMRT_BLAME_ENDPOINT;
	}
}

/* What model servers answer when they are too busy, or have no memory left. */
static SmrtBlame
blame_of_model(const SmrtFault *fault)
{
	switch (fault->original_status)
	{
		case 429:
		case 502:
		case 503:
		case 504:
		case 507:
			return SMRT_BLAME_MOMENT;
		default:
			return smrt_fault_is_slow_model(fault) ? SMRT_BLAME_MOMENT :
				SMRT_BLAME_ROW;
	}
}
