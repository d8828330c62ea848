/*
 * Says for each line of standard input, "SERVICE FIPS DUALSTACK [REGION]" with 0
 * or 1 for the flags, "ok HOST SIGNING_REGION" or "refused REASON", for
 * published_endpoints.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/endpoint.h"

static void answer(const SmrtEndpointQuery *query);
static SmrtService service_named(const char *name);

int
main(void)
{
	char		line[1000];

	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		SmrtEndpointQuery query;
		char		service[100];
		char		region[100] = "";
		int			fips;
		int			dualstack;

		if (sscanf(line, "%99s %d %d %99s", service, &fips, &dualstack, region) < 3)
		{
			fprintf(stderr, "endpoint_stdin: not a question: %s", line);
			return 1;
		}
		query.service = service_named(service);
		query.region = smrt_span(region);
		query.use_fips = fips != 0;
		query.use_dualstack = dualstack != 0;
		answer(&query);
	}
	return 0;
}

static void
answer(const SmrtEndpointQuery *query)
{
	SmrtSpan	region = smrt_endpoint_signing_region(query->service,
													  query->region);
	SmrtError	error = {""};
	SmrtBuf		host;

	smrt_buf_init(&host, &smrt_alloc_malloc, 300);
	if (smrt_endpoint_host(query, &host, &error))
		printf("ok %s %.*s\n", host.data, (int) region.len, region.data);
	else
		printf("refused %s\n", error.text);
	smrt_buf_free(&host);
}

static SmrtService
service_named(const char *name)
{
	if (strcmp(name, "sagemaker-runtime") == 0)
		return SMRT_SERVICE_SAGEMAKER;
	if (strcmp(name, "sts") == 0)
		return SMRT_SERVICE_STS;
	if (strcmp(name, "s3") == 0)
		return SMRT_SERVICE_S3;
	fprintf(stderr, "endpoint_stdin: no service %s\n", name);
	exit(1);
}
