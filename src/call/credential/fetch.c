/*
 * Fetching.  The exchange is ended by a reset callback, since the wait may be
 * left by an error.  What came is overwritten where libcurl put it.
 */
#include "postgres.h"

#include "aws/digest.h"
#include "call/credential/fetch.h"
#include "net/pump.h"
#include "pg/alloc.h"
#include "utils/memutils.h"

/* Larger than any set of keys, smaller than any harm. */
#define MAX_ANSWER (256 * 1024)

/* These services are asked rarely. */
#define IDLE_TIMEOUT_S 5

static SmrtFaultKind attempt(const SmrtExchangeSpec *spec,
							 SmrtFetched *fetched, StringInfo why);
static void end_exchange(void *arg);

SmrtAddressRule
smrt_fetch_addresses(SmrtMetadataReach reach)
{
	switch (reach)
	{
		case SMRT_REACH_LOOPBACK:
			return SMRT_ADDRESS_LOOPBACK;
		case SMRT_REACH_METADATA:
			return SMRT_ADDRESS_ANY;
		case SMRT_REACH_ANY:
			break;
	}
	return SMRT_ADDRESS_NO_LINK_LOCAL;
}

bool
smrt_fetch(const SmrtFetch *fetch, SmrtFetched *fetched, StringInfo why)
{
	SmrtExchangeSpec spec = fetch->spec;
	int			said = why->len;
	bool		answered = false;
	int			attempts = fetch->search->once ? 1 : fetch->attempts;
	SmrtFaultKind failure;

	spec.max_response = MAX_ANSWER;
	spec.idle_timeout_s = IDLE_TIMEOUT_S;
	for (int i = 0; i < attempts; i++)
	{
		int64		left = fetch->search->give_up_at_ms - smrt_pump_now_ms();

		if (i > 0 && left <= fetch->pause_ms)
			break;
		if (i > 0)
			smrt_pump_sleep(fetch->pause_ms);
		why->len = said;
		why->data[said] = '\0';
		spec.timeout_ms = Max(1, Min(fetch->spec.timeout_ms, left));
		failure = attempt(&spec, fetched, why);
		answered = failure == SMRT_FAULT_NONE;
		if (failure == SMRT_FAULT_ADDRESS)
			break;
		if (answered && fetched->status < 500 && fetched->status != 429 &&
			(fetch->try_again == NULL || !fetch->try_again(fetched)))
			break;
	}
	return answered;
}

static SmrtFaultKind
attempt(const SmrtExchangeSpec *spec, SmrtFetched *fetched, StringInfo why)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "sagemaker_rt fetch",
												  ALLOCSET_SMALL_SIZES);
	MemoryContextCallback *on_delete = MemoryContextAllocZero(context,
															  sizeof(*on_delete));
	SmrtExchange *exchange = smrt_exchange_start(spec);
	SmrtFaultKind failure;

	on_delete->func = end_exchange;
	on_delete->arg = exchange;
	MemoryContextRegisterResetCallback(context, on_delete);
	while (!exchange->done)
		smrt_pump_run(spec->timeout_ms);

	failure = exchange->failure;
	if (failure == SMRT_FAULT_NONE)
	{
		fetched->status = exchange->status;
		fetched->body = exchange->body.len ? smrt_span_copy(exchange->body) :
			smrt_span("");
		smrt_cleanse((char *) exchange->body.data, exchange->body.len);
	}
	else
		appendStringInfo(why, "no answer from %s: %s", spec->url,
						 exchange->failure_text ? exchange->failure_text :
						 "time ran out");
	MemoryContextDelete(context);
	return failure;
}

static void
end_exchange(void *arg)
{
	smrt_exchange_end(arg);
}
