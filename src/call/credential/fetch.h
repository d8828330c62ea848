/*
 * A small request to a service that gives credentials, waited for.
 */
#ifndef SMRT_CALL_CREDENTIAL_FETCH_H
#define SMRT_CALL_CREDENTIAL_FETCH_H

#include "aws/header.h"
#include "aws/metadata_uri.h"
#include "call/credential/credential.h"
#include "net/exchange.h"

typedef struct SmrtFetched
{
	int			status;
	SmrtSpan	body;			/* palloc'ed, with a NUL behind */
} SmrtFetched;

typedef struct SmrtFetch
{
	SmrtExchangeSpec spec;		/* max_response and idle_timeout_s are filled
								 * in here */
	const SmrtSearch *search;	/* whose bounds hold, too */
	int			attempts;		/* in all; at least 1 */
	int			pause_ms;		/* between two of them */
	bool		(*try_again) (const SmrtFetched *fetched);	/* on answers other
															 * than 5xx and 429;
															 * NULL: never */
} SmrtFetch;

/* The address rule that goes with where a credential is fetched from. */
extern SmrtAddressRule smrt_fetch_addresses(SmrtMetadataReach reach);

/*
 * False, with why, when no answer came; an answer of any status is one.
 * Answers 5xx and 429 are asked for again.  Interruptible, and over when the
 * search gives up.
 */
extern bool smrt_fetch(const SmrtFetch *fetch, SmrtFetched *fetched,
					   StringInfo why);

#endif							/* SMRT_CALL_CREDENTIAL_FETCH_H */
