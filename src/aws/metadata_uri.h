/*
 * Which URL a credential is fetched from: the container's credential service
 * (ECS, EKS and their like) or the instance metadata service, and how far a
 * connection for it may reach.
 */
#ifndef SMRT_AWS_METADATA_URI_H
#define SMRT_AWS_METADATA_URI_H

#include "aws/buffer.h"
#include "aws/error.h"

/* What the connection's address must be, whatever the host resolves to. */
typedef enum SmrtMetadataReach
{
	SMRT_REACH_LOOPBACK,		/* this machine: 127.0.0.0/8 or ::1 */
	SMRT_REACH_METADATA,		/* the URL's host, one of AWS's link-local
								 * addresses, literally */
	SMRT_REACH_ANY				/* no rule from here */
} SmrtMetadataReach;

typedef enum SmrtMetadataOutcome
{
	SMRT_METADATA_FOUND,		/* url and reach are set */
	SMRT_METADATA_UNSET,		/* nothing is configured: no such provider */
	SMRT_METADATA_REFUSED		/* error says why */
} SmrtMetadataOutcome;

/*
 * The container's, as the new content of url, which is empty unless one is
 * found.  relative and full are the values of
 * AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and ..._FULL_URI, an empty one counting
 * as absent; relative wins.  It is a path on 169.254.170.2, and each may have a
 * query.  Plain http goes only to this machine and the addresses that AWS gave
 * the service, https anywhere; the reach is by the host in either case.
 */
extern SmrtMetadataOutcome smrt_metadata_container(SmrtSpan relative,
												   SmrtSpan full,
												   SmrtBuf *url,
												   SmrtMetadataReach *reach,
												   SmrtError *error);

/* What one source says about the instance metadata service; may be absent. */
typedef struct SmrtInstanceEndpoint
{
	SmrtSpan	endpoint;		/* ec2_metadata_service_endpoint */
	SmrtSpan	mode;			/* ec2_metadata_service_endpoint_mode: IPv4 or
								 * IPv6, in any case */
} SmrtInstanceEndpoint;

/*
 * The instance metadata service's, without a "/" at the end, likewise in url.
 * The sources stand in order of precedence.  The first endpoint given wins over
 * every mode, even a wrong one; without any the first mode decides, and without
 * that it is IPv4.  The endpoint may be any http or https URL without a query.
 */
extern bool smrt_metadata_instance(const SmrtInstanceEndpoint *sources,
								   int n, SmrtBuf *url,
								   SmrtMetadataReach *reach,
								   SmrtError *error);

#endif							/* SMRT_AWS_METADATA_URI_H */
