/*
 * Locating targets.
 */
#include "postgres.h"

#include "call/location.h"
#include "pg/compat.h"

static void find_region(SmrtTarget *target);
static void check_url(SmrtTarget *target, const char *given_by);

void
smrt_location_find(SmrtTarget *target)
{
	MemoryContext before;
	char	   *url;

	if (target->base_url != NULL)
		return;
	before = MemoryContextSwitchTo(target->context);
	find_region(target);
	if (target->endpoint_url == NULL)
		url = smrt_location_url(target, SMRT_SERVICE_SAGEMAKER);
	else
	{
		if (target->use_fips || target->use_dualstack)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("FIPS and dual-stack hosts cannot be asked for beside a URL"),
					 errdetail("The URL is \"%s\".", target->endpoint_url)));
		url = pstrdup(target->endpoint_url);
	}
	/* Paths are appended: a "/" at the end would be one too many. */
	for (size_t len = strlen(url); len > 0 && url[len - 1] == '/'; len--)
		url[len - 1] = '\0';
	target->base_url = url;
	check_url(target, target->server ? "The server's option endpoint_url" :
			  "\"sagemaker_rt.endpoint_url\"");
	MemoryContextSwitchTo(before);
}

char *
smrt_location_url(const SmrtTarget *target, SmrtService service)
{
	SmrtEndpointQuery query = {service, target->region, target->use_fips,
	target->use_dualstack};
	SmrtError	error;
	SmrtBuf		host;
	char	   *url;

	smrt_buf_init(&host, &smrt_alloc_malloc, 255);
	if (!smrt_endpoint_host(&query, &host, &error))
	{
		smrt_buf_free(&host);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the AWS region cannot be used: %s", error.text)));
	}
	url = psprintf("https://%s", host.data);
	smrt_buf_free(&host);
	return url;
}

static void
find_region(SmrtTarget *target)
{
	if (target->given_region == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no AWS region is set"),
				 target->endpoint_url ?
				 errdetail("Requests to a URL of one's own are signed for a region too.") : 0,
				 errhint("Set \"sagemaker_rt.region\", for instance to us-east-1.")));
	target->region = smrt_span(target->given_region);
}

/* Nothing is located until the URL has passed. */
static void
check_url(SmrtTarget *target, const char *given_by)
{
	const char *url = target->base_url;
	SmrtError	error;

	target->base_url = NULL;
	if (!smrt_url_parse(smrt_span(url), &target->url, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s cannot be used: %s", given_by, error.text)));
	if (!target->url.tls && !target->allow_http &&
		!smrt_url_loopback(&target->url))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("plain http is for this machine's loopback only"),
				 errdetail("%s is \"%s\".", given_by, url),
				 errhint("Use https, or let a superuser set allow_http.")));
	target->base_url = url;
}
