/*
 * Locating targets.
 */
#include "postgres.h"

#include "call/credential/imds.h"
#include "call/credential/surroundings.h"
#include "call/location.h"
#include "pg/compat.h"

static const char *endpoint_url(const SmrtTarget *target);
static void find_region(SmrtTarget *target);
static const char *instance_region(void);
static void check_url(const SmrtTarget *target, const char *text,
					  const char *given_by);

void
smrt_location_find(SmrtTarget *target)
{
	SmrtError	error;
	const char *given;
	char	   *url;

	if (target->base_url != NULL)
		return;
	find_region(target);
	given = endpoint_url(target);
	url = given ? pstrdup(given) :
		smrt_location_url(target, SMRT_SERVICE_SAGEMAKER);
	/* Paths are appended: a "/" at the end would be one too many. */
	for (size_t len = strlen(url); len > 0 && url[len - 1] == '/'; len--)
		url[len - 1] = '\0';
	check_url(target, url, target->endpoint_url == NULL ?
			  "The URL in the database server's environment" :
			  target->url_of_server ? "The server's option endpoint_url" :
			  "\"sagemaker_rt.endpoint_url\"");
	if (given != NULL && (target->use_fips || target->use_dualstack))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("FIPS and dual-stack hosts cannot be asked for beside a URL"),
				 errdetail("The URL is \"%s\".", url)));
	target->base_url = MemoryContextStrdup(target->context, url);
	(void) smrt_url_parse(smrt_span(target->base_url), &target->url, &error);
}

/* What surrounds the server speaks for its own identity only. */
static const char *
endpoint_url(const SmrtTarget *target)
{
	if (target->endpoint_url != NULL ||
		(target->key_source != SMRT_KEYS_AMBIENT &&
		 target->key_source != SMRT_KEYS_PROFILE))
		return target->endpoint_url;
	return smrt_surroundings_endpoint_url(target->profile, "sagemaker_runtime");
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

/*
 * What the server or a setting says, else environment, profile, instance: those
 * are readable by every role, as a region is no secret.
 */
static void
find_region(SmrtTarget *target)
{
	const char *region = target->given_region;

	if (region == NULL)
		region = smrt_surroundings_env("AWS_REGION");
	if (region == NULL)
		region = smrt_surroundings_env("AWS_DEFAULT_REGION");
	if (region == NULL)
		region = smrt_surroundings_property(target->profile, "region");
	if (region == NULL)
		region = instance_region();
	if (region == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no AWS region is set"),
				 errdetail("Neither server, setting, AWS_REGION in the server's environment, profile nor instance metadata names one."),
				 errhint("Set \"sagemaker_rt.region\", for instance to us-east-1.")));
	if (!smrt_region_fits(region))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the AWS region cannot be used: it is not made of lower-case letters, digits and inner hyphens"),
				 errdetail("It comes from environment, profile or instance metadata.")));
	target->region = smrt_span(MemoryContextStrdup(target->context, region));
}

static const char *
instance_region(void)
{
	/* An instance does not move: one question a process. */
	static char known[64];
	StringInfoData why;
	bool		missing;
	SmrtSpan	region;

	if (known[0] == '\0')
	{
		initStringInfo(&why);
		region = smrt_imds_get("meta-data/placement/region", &missing, &why);
		if (region.len == 0 || region.len >= sizeof(known))
			return NULL;
		memcpy(known, region.data, region.len);
	}
	return known;
}

/* A URL that is none may have a password in it, so nothing of it is shown. */
static void
check_url(const SmrtTarget *target, const char *text, const char *given_by)
{
	SmrtError	error;
	SmrtUrl		url;

	if (!smrt_url_parse(smrt_span(text), &url, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s cannot be used: %s", given_by, error.text)));
	if (!url.tls && !target->allow_http && !smrt_url_loopback(&url))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("plain http is for this machine's loopback only"),
				 errdetail("%s is \"%s\".", given_by, text),
				 errhint("Use https, or let a superuser set allow_http.")));
}
