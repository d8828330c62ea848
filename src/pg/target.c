/*
 * Targets made of settings.
 *
 * The current target is kept until a setting changes, since every call of a
 * scoring query wants it.  Each lies in a memory context of its own and is
 * counted: a change in the middle of a call leaves that call's target alone.
 * Keys are overwritten when their target goes.
 */
#include "postgres.h"

#include "aws/digest.h"
#include "aws/endpoint.h"
#include "pg/target.h"
#include "utils/memutils.h"

static SmrtTarget *current;
static uint64 current_generation;

static SmrtTarget *make_target(void);
static void read_url(SmrtTarget *target);
static char *regional_url(const char *region);
static void read_keys(SmrtTarget *target);
static SmrtSpan copy_setting(const char *value);
static void forget(SmrtSpan secret);

SmrtTarget *
smrt_target_get(void)
{
	if (current == NULL || current_generation != smrt_settings_generation)
	{
		uint64		generation = smrt_settings_generation;
		SmrtTarget *made = make_target();

		if (current != NULL)
			smrt_target_release(current);
		current = made;
		current_generation = generation;
	}
	return current;
}

SmrtTarget *
smrt_target_retain(SmrtTarget *target)
{
	target->references++;
	return target;
}

void
smrt_target_release(SmrtTarget *target)
{
	if (--target->references > 0)
		return;
	forget(target->keys.access_key_id);
	forget(target->keys.secret_access_key);
	forget(target->keys.session_token);
	MemoryContextDelete(GetMemoryChunkContext(target));
}

static SmrtTarget *
make_target(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "sagemaker_rt target",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	SmrtTarget *target = palloc0(sizeof(SmrtTarget));

	read_url(target);
	read_keys(target);
	if (smrt_settings.ca_file[0])
		target->ca_file = pstrdup(smrt_settings.ca_file);
	if (smrt_settings.proxy[0])
		target->proxy = pstrdup(smrt_settings.proxy);
	target->allow_http = smrt_settings.allow_http;
	target->idle_timeout = smrt_settings.idle_timeout;
	target->limits = smrt_settings.limits;
	target->references = 1;		/* ours */

	MemoryContextSwitchTo(before);
	/* Nothing below can fail: from here on it lives by its count. */
	MemoryContextSetParent(context, TopMemoryContext);
	return target;
}

static void
read_url(SmrtTarget *target)
{
	SmrtError	error;
	char	   *url;
	size_t		len;

	if (smrt_settings.region[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no AWS region is set"),
				 smrt_settings.endpoint_url[0] ?
				 errdetail("Requests to a URL of one's own are signed for a region too.") : 0,
				 errhint("Set \"sagemaker_rt.region\", for instance to us-east-1.")));
	target->region = copy_setting(smrt_settings.region);

	url = smrt_settings.endpoint_url[0] ? pstrdup(smrt_settings.endpoint_url) :
		regional_url(smrt_settings.region);
	/* Paths are appended: a "/" at the end would be one too many. */
	for (len = strlen(url); len > 0 && url[len - 1] == '/'; len--)
		url[len - 1] = '\0';
	if (!smrt_url_parse(smrt_span(url), &target->url, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"sagemaker_rt.endpoint_url\" cannot be used: %s",
						error.text)));
	if (!target->url.tls && !smrt_settings.allow_http &&
		!smrt_url_loopback(&target->url))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("plain http is for this machine's loopback only"),
				 errdetail("\"sagemaker_rt.endpoint_url\" is \"%s\".", url),
				 errhint("Use https, or let a superuser set \"sagemaker_rt.allow_http\".")));
	target->base_url = url;
}

static char *
regional_url(const char *region)
{
	SmrtEndpointQuery query = {.region = smrt_span(region)};
	SmrtError	error;
	SmrtBuf		host;
	char	   *url;

	smrt_buf_init(&host, &smrt_alloc_malloc, 255);
	if (!smrt_endpoint_host(&query, &host, &error))
	{
		smrt_buf_free(&host);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"sagemaker_rt.region\" cannot be used: %s",
						error.text)));
	}
	url = psprintf("https://%s", host.data);
	smrt_buf_free(&host);
	return url;
}

static void
read_keys(SmrtTarget *target)
{
	bool		id = smrt_settings.access_key_id[0] != '\0';
	bool		secret = smrt_settings.secret_access_key[0] != '\0';

	if (!id || !secret)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("no AWS credentials found"),
				 errdetail("Settings: %s.",
						   !id && !secret ? "neither \"sagemaker_rt.access_key_id\" nor \"sagemaker_rt.secret_access_key\" is set" :
						   id ? "\"sagemaker_rt.secret_access_key\" is not set" :
						   "\"sagemaker_rt.access_key_id\" is not set"),
				 errhint("Set both in the session with set_config(), or put them into the server's configuration file and sagemaker_rt into session_preload_libraries.")));
	target->keys.access_key_id = copy_setting(smrt_settings.access_key_id);
	target->keys.secret_access_key = copy_setting(smrt_settings.secret_access_key);
	if (smrt_settings.session_token[0])
		target->keys.session_token = copy_setting(smrt_settings.session_token);
}

static SmrtSpan
copy_setting(const char *value)
{
	return smrt_span(pstrdup(value));
}

static void
forget(SmrtSpan secret)
{
	if (!smrt_span_absent(secret))
		smrt_cleanse((char *) secret.data, secret.len);
}
