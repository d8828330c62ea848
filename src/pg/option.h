/*
 * Options of servers and user mappings of the foreign-data wrapper sagemaker.
 */
#ifndef SMRT_PG_OPTION_H
#define SMRT_PG_OPTION_H

#include "nodes/pg_list.h"
#include "pg/settings.h"

typedef enum SmrtOption
{
	SMRT_OPTION_REGION,
	SMRT_OPTION_ENDPOINT_URL,
	SMRT_OPTION_USE_FIPS,
	SMRT_OPTION_USE_DUALSTACK,
	SMRT_OPTION_CA_FILE,
	SMRT_OPTION_PROXY,
	SMRT_OPTION_ALLOW_HTTP,
	SMRT_OPTION_STS_ENDPOINT_URL,
	SMRT_OPTION_S3_ENDPOINT_URL,
	SMRT_OPTION_PROFILE,
	SMRT_OPTION_ROLE_ARN,
	SMRT_OPTION_EXTERNAL_ID,
	SMRT_OPTION_ROLE_SESSION_NAME,
	SMRT_OPTION_ACCESS_KEY_ID,
	SMRT_OPTION_SECRET_ACCESS_KEY,
	SMRT_OPTION_SESSION_TOKEN,
	SMRT_OPTION_USE_SERVER_IDENTITY,
	SMRT_OPTION_COUNT
} SmrtOption;

/* Values by option, NULL where not given; they point into the list. */
typedef struct SmrtOptionValues
{
	const char *of[SMRT_OPTION_COUNT];
} SmrtOptionValues;

/* Adds a list of DefElem to values, and the limits among it to limits. */
extern void smrt_option_read(List *options, SmrtOptionValues *values,
							 SmrtLimits *limits);

/* Whether a Boolean option is given and true. */
extern bool smrt_option_true(const SmrtOptionValues *values, SmrtOption option);

/*
 * Raises an error when options may not stand with an object of that catalog
 * (pg_foreign_server, pg_user_mapping, ...), or not by the current user's will.
 */
extern void smrt_option_validate(List *options, Oid catalog);

#endif							/* SMRT_PG_OPTION_H */
