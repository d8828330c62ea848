/*
 * Locating targets.
 */
#include "postgres.h"

#include "aws/s3location.h"
#include "call/credential/imds.h"
#include "call/credential/surroundings.h"
#include "call/location.h"
#include "pg/compat.h"
#include "utils/memutils.h"

static const char *const region_variables[] = {"AWS_REGION",
"AWS_DEFAULT_REGION"};

static void find_place(SmrtTarget *target, int64 give_up_at_ms);
static const char *instance_region(const SmrtSearch *search);
static bool is_chosen(const SmrtTarget *target, SmrtChoice given,
					  const char *variable, const char *property);
static char *service_url(const SmrtTarget *target, SmrtService service,
						 const char *given, const char *given_by);
static void set_url(SmrtTarget *target, const char *url);
static const char *endpoint_url(const SmrtTarget *target);
static const char *s3_endpoint_url(const SmrtTarget *target);
static const char *ambient_url(const SmrtTarget *target, const char *service);
static void check_url(const SmrtTarget *target, const char *text,
					  const char *given_by);

void
smrt_location_find(SmrtTarget *target, int64 give_up_at_ms)
{
	char	   *url;

	if (target->base_url != NULL)
		return;
	find_place(target, give_up_at_ms);
	url = service_url(target, SMRT_SERVICE_SAGEMAKER, endpoint_url(target),
					  target->endpoint_url == NULL ?
					  "The URL in the database server's environment" :
					  target->url_of_server ? "The server's option endpoint_url" :
					  "\"sagemaker_rt.endpoint_url\"");
	set_url(target, url);
}

SmrtTarget *
smrt_location_of_bucket(SmrtTarget *target, SmrtSpan bucket,
						int64 give_up_at_ms)
{
	static const SmrtSpan scheme = SMRT_LITERAL("https://");
	SmrtTarget *derived = smrt_target_derive(target);
	const char *given = s3_endpoint_url(target);
	char	   *url;

	find_place(derived, give_up_at_ms);
	derived->region = smrt_endpoint_signing_region(SMRT_SERVICE_S3,
												   derived->region);
	url = service_url(derived, SMRT_SERVICE_S3, given, "The URL of S3");
	/* A URL that was given is that of one host, so the bucket is in the path. */
	if (given == NULL && smrt_s3location_is_label(bucket))
	{
		url = psprintf("https://%.*s.%s", (int) bucket.len, bucket.data,
					   url + scheme.len);
		derived->bucket_len = bucket.len + 1;
	}
	set_url(derived, url);
	/* Nothing fails from here on: it lives by its count. */
	MemoryContextSetParent(derived->context, TopMemoryContext);
	return derived;
}

/* What is the same for all services. */
static void
find_place(SmrtTarget *target, int64 give_up_at_ms)
{
	if (!smrt_location_region(target, give_up_at_ms))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no AWS region is set"),
				 errdetail("Neither server, setting, AWS_REGION in the server's environment, profile nor instance metadata names one."),
				 errhint("Set \"sagemaker_rt.region\", for instance to us-east-1.")));
	target->use_fips = is_chosen(target, target->given_fips,
								 "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
	target->use_dualstack = is_chosen(target, target->given_dualstack,
									  "AWS_USE_DUALSTACK_ENDPOINT",
									  "use_dualstack_endpoint");
}

/*
 * What the server or a setting says, else environment, profile, instance: those
 * are readable by every role, as a region is no secret.
 */
bool
smrt_location_region(SmrtTarget *target, int64 give_up_at_ms)
{
	SmrtSearch	search = {.target = target,.give_up_at_ms = give_up_at_ms};
	const char *region = target->given_region;
	const char *source = target->region_of_server ?
		"the server's option region" : "\"sagemaker_rt.region\"";

	if (target->region.len > 0)
		return true;
	for (int i = 0; region == NULL && i < lengthof(region_variables); i++)
	{
		source = region_variables[i];
		region = smrt_surroundings_env(source);
	}
	if (region == NULL)
	{
		source = "the profile";
		region = smrt_surroundings_property(target->profile, "region");
	}
	if (region == NULL)
	{
		source = "instance metadata";
		region = instance_region(&search);
	}
	if (region == NULL)
		return false;
	if (!smrt_region_fits(region))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the AWS region cannot be used: it is not made of lower-case letters, digits and inner hyphens"),
				 errdetail("It comes from %s.", source)));
	target->region = smrt_span(MemoryContextStrdup(target->context, region));
	target->region_source = source;
	return true;
}

static const char *
instance_region(const SmrtSearch *search)
{
	/* An instance does not move: one question a process. */
	static char known[64];
	StringInfoData why;
	bool		missing;
	SmrtSpan	region;

	if (known[0] == '\0')
	{
		initStringInfo(&why);
		region = smrt_imds_get(search, "meta-data/placement/region", &missing,
							   &why);
		if (region.len == 0 || region.len >= sizeof(known))
			return NULL;
		memcpy(known, region.data, region.len);
	}
	return known;
}

static bool
is_chosen(const SmrtTarget *target, SmrtChoice given, const char *variable,
		  const char *property)
{
	if (given != SMRT_CHOICE_OPEN || !smrt_target_uses_surroundings(target))
		return given == SMRT_CHOICE_YES;
	return smrt_surroundings_choice(target->profile, variable, property);
}

/* Palloc'ed and fit to be used: what is given, else AWS's host of the region. */
static char *
service_url(const SmrtTarget *target, SmrtService service, const char *given,
			const char *given_by)
{
	char	   *url = given ? pstrdup(given) :
		smrt_location_url(target, service);

	/* Paths are appended: a "/" at the end would be one too many. */
	for (size_t len = strlen(url); len > 0 && url[len - 1] == '/'; len--)
		url[len - 1] = '\0';
	check_url(target, url, given_by);
	if (given != NULL && (target->use_fips || target->use_dualstack))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("FIPS and dual-stack hosts cannot be asked for beside a URL"),
				 errdetail("The URL is \"%s\".", url)));
	return url;
}

static void
set_url(SmrtTarget *target, const char *url)
{
	SmrtError	error;

	target->base_url = MemoryContextStrdup(target->context, url);
	(void) smrt_url_parse(smrt_span(target->base_url), &target->url, &error);
}

static const char *
endpoint_url(const SmrtTarget *target)
{
	return target->endpoint_url ? target->endpoint_url :
		ambient_url(target, "sagemaker_runtime");
}

static const char *
s3_endpoint_url(const SmrtTarget *target)
{
	return target->s3_endpoint_url ? target->s3_endpoint_url :
		ambient_url(target, "s3");
}

static const char *
ambient_url(const SmrtTarget *target, const char *service)
{
	return smrt_target_uses_surroundings(target) ?
		smrt_surroundings_endpoint_url(target->profile, service) : NULL;
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
