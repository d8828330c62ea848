/*
 * What all sessions together ask of an endpoint, where the postmaster has loaded
 * the library; else what this one asks: how many requests are in flight, how many
 * a second after it has throttled, whether it is asked at all while it fails; and,
 * for each host, how many retries.
 *
 * A slot is lent for a time.  A process that ends without a word, or that does not
 * look at its answers for long, does not keep others waiting.
 */
#ifndef SMRT_PG_GOVERNOR_H
#define SMRT_PG_GOVERNOR_H

#include "aws/breaker.h"
#include "aws/rate.h"
#include "aws/retry.h"

#define SMRT_MAX_SLOTS 512

/* All bytes count: to be filled by smrt_governor_key() only. */
typedef struct SmrtGovernorKey
{
	char		host[256];		/* authority of a URL, cut off */
	char		endpoint[64];	/* "": the host as a whole */
} SmrtGovernorKey;

typedef enum SmrtTurnKind
{
	SMRT_TURN_NOW,
	SMRT_TURN_LATER,			/* ask again in wait_ms */
	SMRT_TURN_REFUSED			/* the breaker is open */
} SmrtTurnKind;

/* A turn to send one request; all zero before it is asked for first. */
typedef struct SmrtTurn
{
	SmrtTurnKind kind;
	int64		wait_ms;
	int			failures;		/* REFUSED: requests that failed in a row */
	SmrtFaultKind last_failure; /* and how the last one did */
	int			slot;			/* NOW: held until given back; -1: none is */
	int64		lent_until_ms;
	int64		waiting_since_ms;	/* LATER: for a slot; else 0 */
} SmrtTurn;

/* For pg/shared.c. */
extern Size smrt_governor_size(void);
extern void smrt_governor_attach(void);

/* Absent spans are empty names. */
extern void smrt_governor_key(SmrtGovernorKey *key, SmrtSpan host,
							  SmrtSpan endpoint);

/*
 * Asks for a turn.  Times are milliseconds of a clock that all processes share;
 * lend_until_ms is when the request will have ended in any case.  Raises an error
 * only for want of memory.
 */
extern void smrt_governor_ask(const SmrtGovernorKey *key, int64 now_ms,
							  int64 lend_until_ms, SmrtTurn *turn);

/* Gives the slot back, if one is held.  Raises nothing. */
extern void smrt_governor_leave(const SmrtGovernorKey *key, SmrtTurn *turn);

/* What came of a request; NONE is a success.  Raises nothing. */
extern void smrt_governor_note(const SmrtGovernorKey *key, int64 now_ms,
							   SmrtFaultKind kind);

/* The bucket of a key's host, as in aws/retry.h.  Raise nothing. */
extern bool smrt_governor_take_retry(const SmrtGovernorKey *key,
									 SmrtRetryClass class, int *price);
extern void smrt_governor_give_retry(const SmrtGovernorKey *key,
									 int last_price);

/* What is known of an endpoint, or of a host. */
typedef struct SmrtGovernorState
{
	SmrtGovernorKey key;
	int			in_flight;
	SmrtRate	rate;
	SmrtBreaker breaker;
	SmrtRetryBucket bucket;		/* of a host */
} SmrtGovernorState;

/* palloc'ed; *n tells how many. */
extern SmrtGovernorState *smrt_governor_read(int64 now_ms, int *n);

#endif							/* SMRT_PG_GOVERNOR_H */
