/*
 * The settings sagemaker_rt.*.  Where requests go and what is trusted can be
 * set by superusers only; what a call may cost in time and memory by anyone.
 */
#ifndef SMRT_PG_SETTINGS_H
#define SMRT_PG_SETTINGS_H

#include "aws/error.h"
#include "pg/compat.h"

/* The bounds of one call; each can also be given for a single call. */
typedef struct SmrtLimits
{
	int			connect_timeout;	/* ms: name, connection, TLS */
	int			timeout;		/* ms: one attempt */
	int			total_timeout;	/* ms: all attempts and the waits between */
	int			max_attempts;	/* the first one included */
	int			max_response_size;	/* bytes of an answer's body */
	bool		retry_timeouts; /* a request that timed out may have run, and
								 * been billed: try again all the same? */
} SmrtLimits;

/* The queue and its workers. */
typedef struct SmrtQueueSettings
{
	char	   *databases;		/* that have a worker: names with commas between */
	int			max_rows;		/* not answered, in one database */
	int			batch_rows;		/* that a worker takes at a time */
	int			max_attempts;
	int			retry_delay;	/* s: before the second attempt; doubles */
	int			lease;			/* s */
	int			interval;		/* s: longest sleep of a worker */
	int			retention;		/* s: of what is done or dead */
} SmrtQueueSettings;
/* What costs, and over what it is summed up. */
typedef enum SmrtCostKind
{
	SMRT_COST_REQUESTS,
	SMRT_COST_ROWS,
	SMRT_COST_BYTES,
	SMRT_COST_INPUT_TOKENS,		/* this and what follows is known by answers only */
	SMRT_COST_OUTPUT_TOKENS,
	SMRT_COST_COUNT
} SmrtCostKind;

/* So many, the first, are known before a request is sent. */
#define SMRT_COST_FORESEEN SMRT_COST_INPUT_TOKENS

typedef enum SmrtPurse
{
	SMRT_PURSE_STATEMENT,
	SMRT_PURSE_ROLE,			/* within an hour */
	SMRT_PURSE_COUNT
} SmrtPurse;

typedef struct SmrtSettings
{
	/* NULL or "" when unset */
	char	   *region;
	char	   *endpoint_url;
	char	   *s3_endpoint_url;
	char	   *ca_file;
	char	   *proxy;
	char	   *profile;
	bool		allow_http;
	bool		batch;			/* predict many rows at a time */
	int			concurrency;	/* most requests in flight for one call */
	int			idle_timeout;	/* s */
	int			max_failed_rows;	/* of a model in a statement; 0: no limit */
	double		max_failed_ratio;
	int			cost_limits[SMRT_PURSE_COUNT][SMRT_COST_COUNT];	/* in their units;
												 * 0: none */
	int			max_in_flight;	/* to one endpoint; 0: no limit */
	int			breaker_failures;	/* in a row that open it; 0: none do */
	bool		adaptive_rate;
	int			stat_max;		/* most entries of the statistics */
	int			reuse_size;		/* bytes of answers that are kept for equal rows */
	SmrtLimits	limits;
	SmrtQueueSettings queue;
} SmrtSettings;

#define SMRT_MAX_CONCURRENCY 256

extern SmrtSettings smrt_settings;

/* Whether the postmaster loaded the library, for all its children. */
extern bool smrt_preloaded;

/* Changes whenever a setting that a target is made of changes. */
extern uint64 smrt_settings_generation;

extern void smrt_settings_define(void);

/*
 * Raises an error when the configuration's value of one of the settings above
 * is hidden from this session: the default must not stand in for it.
 */
extern void smrt_settings_require_known(void);

/* That error, for the setting sagemaker_rt.name. */
pg_noreturn extern void smrt_settings_report_hidden(const char *name);

/* A limit of the cost guard in bytes or pieces, 0: none; and its setting's name. */
extern int64 smrt_cost_limit(SmrtPurse purse, SmrtCostKind what);
extern const char *smrt_cost_limit_name(SmrtPurse purse, SmrtCostKind what);

/* Whether it looks like the name of a region. */
extern bool smrt_region_fits(const char *region);

/*
 * Sets one limit by its setting's name without the prefix, value as in SET
 * ('2s', '10MB', 'off').  False, with the reason, when value is not fit for it, or
 * there is no such limit.
 */
extern bool smrt_limits_set(SmrtLimits *limits, const char *name,
							const char *value, SmrtError *error);

/* Whether there is such a limit. */
extern bool smrt_limit_exists(const char *name);

/* The names it knows, one by one; NULL after the last. */
extern const char *smrt_limit_name(int i);

#endif							/* SMRT_PG_SETTINGS_H */
