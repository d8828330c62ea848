/*
 * Which host serves an AWS service in a region: the partition table and the
 * rules that spell the host.  Source: the services' endpoint rule sets
 * (endpoint-rule-set-1 of sagemaker-runtime, sts and s3) and partitions.json.
 */
#ifndef SMRT_AWS_ENDPOINT_H
#define SMRT_AWS_ENDPOINT_H

#include "aws/buffer.h"
#include "aws/error.h"

typedef enum SmrtService
{
	SMRT_SERVICE_SAGEMAKER,		/* SageMaker Runtime */
	SMRT_SERVICE_STS,			/* Security Token Service, regional */
	SMRT_SERVICE_S3				/* Simple Storage Service, regional */
} SmrtService;

typedef struct SmrtEndpointQuery
{
	SmrtService service;
	SmrtSpan	region;
	bool		use_fips;
	bool		use_dualstack;
} SmrtEndpointQuery;

/*
 * Appends the host name (without scheme).  False, with the reason in error, for
 * a region that cannot be a host label (1 to 63 letters, digits, inner
 * hyphens), and for FIPS where the service has none; a well-formed region of no
 * known partition is taken to be one of partition aws, as the rule set does.
 */
extern bool smrt_endpoint_host(const SmrtEndpointQuery *query, SmrtBuf *host,
							   SmrtError *error);

/* The region that requests to that host are signed for. */
extern SmrtSpan smrt_endpoint_signing_region(SmrtService service,
											 SmrtSpan region);

#endif							/* SMRT_AWS_ENDPOINT_H */
