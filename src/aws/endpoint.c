/*
 * Hosts of AWS services.
 *
 * SageMaker's FIPS spelling follows no pattern (it differs by partition, and again with
 * dual stack), so it is a column of the table.  Regions are told apart as by
 * the patterns of partitions.json: a prefix, one word, a number.
 */
#include "aws/endpoint.h"
#include "aws/uri.h"

#define HOST_PLAIN SMRT_LITERAL("runtime.sagemaker")
#define HOST_FIPS SMRT_LITERAL("runtime.sagemaker-fips")
#define HOST_FIPS_AWS SMRT_LITERAL("runtime-fips.sagemaker")

#define MAX_LABEL_LEN 63		/* RFC 1035 */

typedef struct Partition
{
	SmrtSpan	fips_service;	/* SageMaker's first labels with FIPS alone */
	SmrtSpan	suffix;
	SmrtSpan	dualstack_suffix;
	SmrtSpan	pseudo_region;	/* fits no pattern, matched as a whole */
} Partition;

typedef struct RegionPrefix
{
	SmrtSpan	text;			/* with the "-" at the end */
	int			partition;
} RegionPrefix;

enum
{
	AWS,
	AWS_CN,
	AWS_US_GOV,
	AWS_EUSC,
	AWS_ISO,
	AWS_ISO_B,
	AWS_ISO_E,
	AWS_ISO_F
};

static const Partition partitions[] = {
	[AWS] = {
		HOST_FIPS_AWS, SMRT_LITERAL("amazonaws.com"), SMRT_LITERAL("api.aws"),
		SMRT_LITERAL("aws-global")
	},
	[AWS_CN] = {
		HOST_FIPS, SMRT_LITERAL("amazonaws.com.cn"),
		SMRT_LITERAL("api.amazonwebservices.com.cn"),
		SMRT_LITERAL("aws-cn-global")
	},
	[AWS_US_GOV] = {
		HOST_PLAIN, SMRT_LITERAL("amazonaws.com"), SMRT_LITERAL("api.aws"),
		SMRT_LITERAL("aws-us-gov-global")
	},
	[AWS_EUSC] = {
		HOST_FIPS, SMRT_LITERAL("amazonaws.eu"),
		SMRT_LITERAL("api.amazonwebservices.eu"), SMRT_LITERAL("")
	},
	[AWS_ISO] = {
		HOST_FIPS, SMRT_LITERAL("c2s.ic.gov"), SMRT_LITERAL("api.aws.ic.gov"),
		SMRT_LITERAL("aws-iso-global")
	},
	[AWS_ISO_B] = {
		HOST_FIPS, SMRT_LITERAL("sc2s.sgov.gov"),
		SMRT_LITERAL("api.aws.scloud"), SMRT_LITERAL("aws-iso-b-global")
	},
	[AWS_ISO_E] = {
		HOST_FIPS, SMRT_LITERAL("cloud.adc-e.uk"),
		SMRT_LITERAL("api.cloud-aws.adc-e.uk"),
		SMRT_LITERAL("aws-iso-e-global")
	},
	[AWS_ISO_F] = {
		HOST_FIPS, SMRT_LITERAL("csp.hci.ic.gov"),
		SMRT_LITERAL("api.aws.hci.ic.gov"),
		SMRT_LITERAL("aws-iso-f-global")
	},
};

/* Partition aws (us, eu, ap, sa, ca, me, af, il, mx) is what is left. */
static const RegionPrefix regions[] = {
	{SMRT_LITERAL("cn-"), AWS_CN},
	{SMRT_LITERAL("us-gov-"), AWS_US_GOV},
	{SMRT_LITERAL("eusc-de-"), AWS_EUSC},
	{SMRT_LITERAL("us-iso-"), AWS_ISO},
	{SMRT_LITERAL("us-isob-"), AWS_ISO_B},
	{SMRT_LITERAL("eu-isoe-"), AWS_ISO_E},
	{SMRT_LITERAL("us-isof-"), AWS_ISO_F},
};

static bool is_global(SmrtService service, SmrtSpan region);
static SmrtSpan first_labels(const SmrtEndpointQuery *query,
							 const Partition *partition);
static bool s3_host(const SmrtEndpointQuery *query, SmrtBuf *host,
					SmrtError *error);
static bool is_label(SmrtSpan s);
static const Partition *find_partition(SmrtSpan region);
static bool is_word_and_number(SmrtSpan s);

bool
smrt_endpoint_host(const SmrtEndpointQuery *query, SmrtBuf *host,
				   SmrtError *error)
{
	const Partition *partition;

	if (query->region.len == 0)
		return smrt_error_set(error, "no region is given");
	if (!is_label(query->region))
		return smrt_error_set(error, "the region is not a name of 1 to %d letters, digits and inner hyphens",
							  MAX_LABEL_LEN);
	if (query->service == SMRT_SERVICE_S3)
		return s3_host(query, host, error);
	if (is_global(query->service, query->region) &&
		!query->use_fips && !query->use_dualstack)
		return smrt_buf_append_string(host, "sts.amazonaws.com") ||
			smrt_error_set(error, "no room for the host name");
	partition = find_partition(query->region);

	smrt_buf_append_span(host, first_labels(query, partition));
	smrt_buf_append_char(host, '.');
	smrt_buf_append_span(host, query->region);
	smrt_buf_append_char(host, '.');
	if (!smrt_buf_append_span(host, query->use_dualstack ?
							  partition->dualstack_suffix : partition->suffix))
		return smrt_error_set(error, "no room for the host name");
	return true;
}

SmrtSpan
smrt_endpoint_signing_region(SmrtService service, SmrtSpan region)
{
	static const SmrtSpan home = SMRT_LITERAL("us-east-1");

	return is_global(service, region) ? home : region;
}

/* STS and S3 had a single host before regional ones. */
static bool
is_global(SmrtService service, SmrtSpan region)
{
	return service != SMRT_SERVICE_SAGEMAKER &&
		smrt_span_equal(region, partitions[AWS].pseudo_region);
}

static SmrtSpan
first_labels(const SmrtEndpointQuery *query, const Partition *partition)
{
	static const SmrtSpan plain = HOST_PLAIN;
	static const SmrtSpan fips = HOST_FIPS;
	static const SmrtSpan sts = SMRT_LITERAL("sts");
	static const SmrtSpan sts_fips = SMRT_LITERAL("sts-fips");

	if (query->service == SMRT_SERVICE_STS)
		/* As SageMaker's, the plain GovCloud hosts are FIPS ones. */
		return query->use_fips && (query->use_dualstack ||
								   partition != &partitions[AWS_US_GOV]) ?
			sts_fips : sts;
	if (!query->use_fips)
		return plain;
	return query->use_dualstack ? fips : partition->fips_service;
}

/* S3 says dual stack before the region, and keeps the suffix. */
static bool
s3_host(const SmrtEndpointQuery *query, SmrtBuf *host, SmrtError *error)
{
	SmrtSpan	region = smrt_endpoint_signing_region(SMRT_SERVICE_S3,
													  query->region);
	const Partition *partition = find_partition(region);

	if (query->use_fips && partition == &partitions[AWS_CN])
		return smrt_error_set(error, "S3 has no FIPS hosts there");
	smrt_buf_append_string(host, query->use_fips ? "s3-fips." : "s3.");
	if (query->use_dualstack)
		smrt_buf_append_string(host, "dualstack.");
	smrt_buf_append_span(host, region);
	smrt_buf_append_char(host, '.');
	return smrt_buf_append_span(host, partition->suffix) ||
		smrt_error_set(error, "no room for the host name");
}

static bool
is_label(SmrtSpan s)
{
	if (s.len > MAX_LABEL_LEN || s.data[0] == '-' || s.data[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
	{
		if (!smrt_ascii_alnum(s.data[i]) && s.data[i] != '-')
			return false;
	}
	return true;
}

static const Partition *
find_partition(SmrtSpan region)
{
	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++)
	{
		SmrtSpan	prefix = regions[i].text;

		if (smrt_span_starts_with(region, prefix) &&
			is_word_and_number(smrt_span_of(region.data + prefix.len,
											region.len - prefix.len)))
			return &partitions[regions[i].partition];
	}
	for (size_t i = 0; i < sizeof(partitions) / sizeof(partitions[0]); i++)
	{
		if (smrt_span_equal(region, partitions[i].pseudo_region))
			return &partitions[i];
	}
	return &partitions[AWS];
}

/* As in "north-1". */
static bool
is_word_and_number(SmrtSpan s)
{
	size_t		word = 0;
	size_t		i;

	while (word < s.len && smrt_ascii_alnum(s.data[word]))
		word++;
	if (word == 0 || word + 1 >= s.len || s.data[word] != '-')
		return false;
	for (i = word + 1; i < s.len && smrt_ascii_digit(s.data[i]); i++)
		;
	return i == s.len;
}
