/*
 * One attempt at a request: the headers as they are sent now, signed now.
 */
#ifndef SMRT_CALL_ATTEMPT_H
#define SMRT_CALL_ATTEMPT_H

#include "aws/digest.h"
#include "call/operation.h"
#include "net/exchange.h"
#include "pg/target.h"

#define SMRT_INVOCATION_ID_LEN 36

/* What stays the same over all attempts at one request. */
typedef struct SmrtAttemptPlan
{
	const SmrtTarget *target;
	const SmrtRequest *request;
	int			max_attempts;
	char		payload_hash[SMRT_SHA256_HEX_LEN + 1];
	char		invocation_id[SMRT_INVOCATION_ID_LEN + 1];
} SmrtAttemptPlan;

/* Hashes the body, once; false when libcrypto failed. */
extern bool smrt_attempt_plan(SmrtAttemptPlan *plan, const SmrtTarget *target,
							  const SmrtRequest *request, int max_attempts);

/*
 * Signs attempt number attempt (1 is the first) for the host's clock and starts
 * it.  NULL when there was no room for the URL or the signature.
 */
extern SmrtExchange *smrt_attempt_start(const SmrtAttemptPlan *plan,
										const SmrtKeys *keys,
										int attempt, int64 skew_s,
										int timeout_ms,
										const SmrtLimits *limits);

/* Overwrites what is kept of keys that have signed: some are to be forgotten. */
extern void smrt_attempt_forget_keys(void);

/* The parts of a spec that say how a target is reached; not timeout_ms. */
extern void smrt_attempt_route(SmrtExchangeSpec *spec, const SmrtTarget *target,
							   const SmrtLimits *limits);

#endif							/* SMRT_CALL_ATTEMPT_H */
