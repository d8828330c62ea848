/*
 * What was asked of endpoints, by whom and through which model, since the last
 * reset: of the whole server where the postmaster has loaded the library, and then
 * kept in a file while the server is down; else of this process.
 *
 * Nothing that a service or a model says is kept but the error's code.
 */
#ifndef SMRT_PG_STATISTICS_H
#define SMRT_PG_STATISTICS_H

#include "aws/fault.h"
#include "aws/histogram.h"
#include "datatype/timestamp.h"
#include "storage/spin.h"

/* All bytes count: to be filled by smrt_statistics_key() only. */
typedef struct SmrtStatKey
{
	Oid			database;
	Oid			role;			/* whose call it is */
	char		server[NAMEDATALEN];	/* "": none was in play */
	char		endpoint[64];
	char		model[2 * NAMEDATALEN]; /* function's name; "": no model */
} SmrtStatKey;

typedef enum SmrtStatCounter
{
	SMRT_STAT_CALLS,			/* begun */
	SMRT_STAT_ROWS,				/* in these calls */
	SMRT_STAT_REQUESTS,			/* that left this machine as a whole */
	SMRT_STAT_RETRIES,			/* attempts beyond the first of a call */
	SMRT_STAT_THROTTLES,		/* attempts that were throttled */
	SMRT_STAT_ERRORS_REFUSED,	/* calls that failed in the end, by class */
	SMRT_STAT_ERRORS_DENIED,
	SMRT_STAT_ERRORS_MODEL,
	SMRT_STAT_ERRORS_THROTTLED,
	SMRT_STAT_ERRORS_SERVICE,
	SMRT_STAT_ERRORS_NETWORK,
	SMRT_STAT_ERRORS_TIMEOUT,
	SMRT_STAT_ERRORS_REPLY,
	SMRT_STAT_ERRORS_UNSENT,
	SMRT_STAT_CANCELLED,		/* calls that nobody waited for to the end */
	SMRT_STAT_BYTES_SENT,		/* of bodies */
	SMRT_STAT_BYTES_RECEIVED,
	SMRT_STAT_INPUT_TOKENS,		/* of answers that tell them */
	SMRT_STAT_OUTPUT_TOKENS,
	SMRT_STAT_CONNECTIONS_OPENED,
	SMRT_STAT_CONNECTIONS_REUSED,
	SMRT_STAT_TIME_US,			/* of the requests that were answered */
	SMRT_STAT_INPUT_TOLD,		/* answers that told tokens; not shown */
	SMRT_STAT_OUTPUT_TOLD,
	SMRT_STAT_COUNT
} SmrtStatCounter;

/* What is new of one key; zero is nothing. */
typedef struct SmrtStatNews
{
	int64		counts[SMRT_STAT_COUNT];
	bool		is_answered;	/* a request, after TIME_US in counts */
	const SmrtFault *fault;		/* that ended a call, or NULL */
} SmrtStatNews;

typedef struct SmrtStat
{
	SmrtStatKey key;			/* first: the table's */
	slock_t		mutex;			/* of all below */
	double		usage;			/* what is used least goes when room is needed */
	int64		counts[SMRT_STAT_COUNT];
	SmrtHistogram times;		/* of requests that were answered */
	TimestampTz since;
	TimestampTz last_error_at;	/* 0: there was none */
	int			last_sqlstate;
	char		last_error[64]; /* the service's code, or what happened */
} SmrtStat;

/* For pg/shared.c. */
extern Size smrt_statistics_size(void);
extern void smrt_statistics_attach(void);

/* NULLs are allowed. */
extern void smrt_statistics_key(SmrtStatKey *key, const char *server,
								SmrtSpan endpoint, const char *model);

/*
 * Adds; makes the entry if need be.  Raises an error only for want of memory.
 */
extern void smrt_statistics_add(const SmrtStatKey *key,
								const SmrtStatNews *news);

/* The same, if there is such an entry.  Raises nothing. */
extern void smrt_statistics_add_quietly(const SmrtStatKey *key,
										const SmrtStatNews *news);

/* Counts a call's last fault, of any kind but NONE, in news. */
extern void smrt_statistics_note_fault(SmrtStatNews *news,
									   const SmrtFault *fault);

/* Copies of all entries, palloc'ed; *n tells how many. */
extern SmrtStat *smrt_statistics_read(int *n);

extern void smrt_statistics_reset(void);

#endif							/* SMRT_PG_STATISTICS_H */
