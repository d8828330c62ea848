/*
 * Hosts: every partition by default, with FIPS, with dual stack, with both.
 */
#include <stdio.h>

#include "check.h"
#include "aws/endpoint.h"

typedef struct Row
{
	const char *region;
	const char *plain;
	const char *fips;
	const char *dualstack;
	const char *both;
} Row;

/* One row a region, in the partition's own words. */
#define AWS_ROW(r) \
	{r, "runtime.sagemaker." r ".amazonaws.com", \
		"runtime-fips.sagemaker." r ".amazonaws.com", \
		"runtime.sagemaker." r ".api.aws", \
		"runtime.sagemaker-fips." r ".api.aws"}
#define GOV_ROW(r) \
	{r, "runtime.sagemaker." r ".amazonaws.com", \
		"runtime.sagemaker." r ".amazonaws.com", \
		"runtime.sagemaker." r ".api.aws", \
		"runtime.sagemaker-fips." r ".api.aws"}
#define OTHER_ROW(r, suffix, dualstack_suffix) \
	{r, "runtime.sagemaker." r "." suffix, \
		"runtime.sagemaker-fips." r "." suffix, \
		"runtime.sagemaker." r "." dualstack_suffix, \
		"runtime.sagemaker-fips." r "." dualstack_suffix}
#define CN_ROW(r) OTHER_ROW(r, "amazonaws.com.cn", "api.amazonwebservices.com.cn")
#define EUSC_ROW(r) OTHER_ROW(r, "amazonaws.eu", "api.amazonwebservices.eu")
#define ISO_ROW(r) OTHER_ROW(r, "c2s.ic.gov", "api.aws.ic.gov")
#define ISO_B_ROW(r) OTHER_ROW(r, "sc2s.sgov.gov", "api.aws.scloud")
#define ISO_E_ROW(r) OTHER_ROW(r, "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk")
#define ISO_F_ROW(r) OTHER_ROW(r, "csp.hci.ic.gov", "api.aws.hci.ic.gov")

static const Row rows[] = {
	AWS_ROW("us-east-1"), AWS_ROW("us-east-2"), AWS_ROW("us-west-1"),
	AWS_ROW("us-west-2"), AWS_ROW("eu-central-2"), AWS_ROW("ap-southeast-7"),
	AWS_ROW("sa-east-1"), AWS_ROW("ca-west-1"), AWS_ROW("me-central-1"),
	AWS_ROW("af-south-1"), AWS_ROW("il-central-1"), AWS_ROW("mx-central-1"),
	AWS_ROW("aws-global"),
	CN_ROW("cn-north-1"), CN_ROW("cn-northwest-1"), CN_ROW("aws-cn-global"),
	GOV_ROW("us-gov-east-1"), GOV_ROW("us-gov-west-1"),
	GOV_ROW("aws-us-gov-global"),
	EUSC_ROW("eusc-de-east-1"),
	ISO_ROW("us-iso-east-1"), ISO_ROW("us-iso-west-1"),
	ISO_ROW("aws-iso-global"),
	ISO_B_ROW("us-isob-east-1"), ISO_B_ROW("us-isob-west-1"),
	ISO_B_ROW("aws-iso-b-global"),
	ISO_E_ROW("eu-isoe-west-1"), ISO_E_ROW("aws-iso-e-global"),
	ISO_F_ROW("us-isof-east-1"), ISO_F_ROW("us-isof-south-1"),
	ISO_F_ROW("aws-iso-f-global"),
	/* regions not built yet go by their pattern */
	AWS_ROW("us-middle-12"), CN_ROW("cn-south-1"), GOV_ROW("us-gov-north-1"),
	EUSC_ROW("eusc-de-west-2"), ISO_ROW("us-iso-north-3"),
	ISO_B_ROW("us-isob-south-9"), ISO_E_ROW("eu-isoe-east-1"),
	ISO_F_ROW("us-isof-west-1"),
	/* what fits no pattern is of partition aws */
	AWS_ROW("moon"), AWS_ROW("us-gov"), AWS_ROW("cn-north"), AWS_ROW("cn--1"),
	AWS_ROW("cn-north-1a"), AWS_ROW("cn-north-x-1"), AWS_ROW("CN-north-1"),
	AWS_ROW("us-isob-1"), AWS_ROW("eusc-fr-east-1"), AWS_ROW("1"),
};

/* STS's hosts: one pattern, but for GovCloud's FIPS and the global one. */
#define STS_ROW(r, suffix, dualstack_suffix) \
	{r, "sts." r "." suffix, "sts-fips." r "." suffix, \
		"sts." r "." dualstack_suffix, "sts-fips." r "." dualstack_suffix}
#define STS_AWS_ROW(r) STS_ROW(r, "amazonaws.com", "api.aws")
#define STS_GOV_ROW(r) \
	{r, "sts." r ".amazonaws.com", "sts." r ".amazonaws.com", \
		"sts." r ".api.aws", "sts-fips." r ".api.aws"}

static const Row sts_rows[] = {
	STS_AWS_ROW("us-east-1"), STS_AWS_ROW("us-west-2"),
	STS_AWS_ROW("eu-central-2"), STS_AWS_ROW("ap-southeast-7"),
	STS_AWS_ROW("mx-central-1"), STS_AWS_ROW("moon"),
	STS_ROW("cn-north-1", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
	STS_ROW("cn-northwest-1", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
	STS_ROW("aws-cn-global", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
	STS_GOV_ROW("us-gov-east-1"), STS_GOV_ROW("us-gov-west-1"),
	STS_GOV_ROW("aws-us-gov-global"),
	STS_ROW("eusc-de-east-1", "amazonaws.eu", "api.amazonwebservices.eu"),
	STS_ROW("us-iso-east-1", "c2s.ic.gov", "api.aws.ic.gov"),
	STS_ROW("us-iso-west-1", "c2s.ic.gov", "api.aws.ic.gov"),
	STS_ROW("us-isob-east-1", "sc2s.sgov.gov", "api.aws.scloud"),
	STS_ROW("eu-isoe-west-1", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
	STS_ROW("us-isof-south-1", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
	{"aws-global", "sts.amazonaws.com", "sts-fips.aws-global.amazonaws.com",
	"sts.aws-global.api.aws", "sts-fips.aws-global.api.aws"},
};

static void
check_host(SmrtService service, const char *region, bool fips, bool dualstack,
		   const char *want)
{
	SmrtEndpointQuery query = {service, smrt_span(region), fips, dualstack};
	SmrtError	error = {""};
	SmrtBuf		host;

	smrt_buf_init(&host, &smrt_alloc_malloc, 300);
	CHECK(smrt_endpoint_host(&query, &host, &error));
	CHECK_TEXT(smrt_buf_span(&host), want);
	smrt_buf_free(&host);
}

static void
default_hosts(void)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_host(SMRT_SERVICE_SAGEMAKER, rows[i].region, false, false,
				   rows[i].plain);
}

static void
fips_hosts(void)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_host(SMRT_SERVICE_SAGEMAKER, rows[i].region, true, false,
				   rows[i].fips);
}

static void
dualstack_hosts(void)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_host(SMRT_SERVICE_SAGEMAKER, rows[i].region, false, true,
				   rows[i].dualstack);
}

static void
fips_dualstack_hosts(void)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_host(SMRT_SERVICE_SAGEMAKER, rows[i].region, true, true,
				   rows[i].both);
}

static void
sts_hosts(void)
{
	for (size_t i = 0; i < COUNT_OF(sts_rows); i++)
	{
		const Row  *row = &sts_rows[i];

		check_host(SMRT_SERVICE_STS, row->region, false, false, row->plain);
		check_host(SMRT_SERVICE_STS, row->region, true, false, row->fips);
		check_host(SMRT_SERVICE_STS, row->region, false, true, row->dualstack);
		check_host(SMRT_SERVICE_STS, row->region, true, true, row->both);
	}
}

/* The suffix is the partition's plain one, with dual stack as well. */
static void
s3_hosts(void)
{
	static const struct
	{
		const char *region;
		const char *suffix;
		const char *refusal;	/* of FIPS */
	}			regions[] =
	{
		{"us-east-1", "amazonaws.com", NULL},
		{"eu-central-2", "amazonaws.com", NULL},
		{"moon", "amazonaws.com", NULL},
		{"cn-north-1", "amazonaws.com.cn", "S3 has no FIPS hosts there"},
		{"cn-northwest-1", "amazonaws.com.cn", "S3 has no FIPS hosts there"},
		{"us-gov-west-1", "amazonaws.com", NULL},
		{"eusc-de-east-1", "amazonaws.eu", NULL},
		{"us-iso-east-1", "c2s.ic.gov", NULL},
		{"us-isob-east-1", "sc2s.sgov.gov", NULL},
		{"eu-isoe-west-1", "cloud.adc-e.uk", NULL},
		{"us-isof-south-1", "csp.hci.ic.gov", NULL},
	};

	for (size_t i = 0; i < COUNT_OF(regions); i++)
		for (int way = 0; way < 4; way++)
		{
			SmrtEndpointQuery query = {SMRT_SERVICE_S3,
				smrt_span(regions[i].region), way & 1, way & 2};
			SmrtError	error = {""};
			SmrtBuf		host;
			char		want[100];

			snprintf(want, sizeof(want), "s3%s.%s%s.%s", way & 1 ? "-fips" : "",
					 way & 2 ? "dualstack." : "", regions[i].region,
					 regions[i].suffix);
			smrt_buf_init(&host, &smrt_alloc_malloc, 300);
			if (regions[i].refusal != NULL && (way & 1))
			{
				CHECK(!smrt_endpoint_host(&query, &host, &error));
				CHECK_TEXT(smrt_span(error.text), regions[i].refusal);
			}
			else
			{
				CHECK(smrt_endpoint_host(&query, &host, &error));
				CHECK_TEXT(smrt_buf_span(&host), want);
			}
			smrt_buf_free(&host);
		}
	check_host(SMRT_SERVICE_S3, "aws-global", false, false,
			   "s3.us-east-1.amazonaws.com");
}

static void
signing_regions(void)
{
	static const struct
	{
		SmrtService service;
		const char *region;
		const char *want;
	}			wanted[] =
	{
		{SMRT_SERVICE_SAGEMAKER, "eu-west-1", "eu-west-1"},
		{SMRT_SERVICE_SAGEMAKER, "aws-global", "aws-global"},
		{SMRT_SERVICE_STS, "eu-west-1", "eu-west-1"},
		{SMRT_SERVICE_STS, "aws-global", "us-east-1"},
		{SMRT_SERVICE_STS, "aws-cn-global", "aws-cn-global"},
		{SMRT_SERVICE_S3, "eu-west-1", "eu-west-1"},
		{SMRT_SERVICE_S3, "aws-global", "us-east-1"},
	};

	for (size_t i = 0; i < COUNT_OF(wanted); i++)
		CHECK_TEXT(smrt_endpoint_signing_region(wanted[i].service,
												smrt_span(wanted[i].region)),
				   wanted[i].want);
}

static void
no_regions(void)
{
	static const SmrtSpan bad[] = {
		{NULL, 0},
		SMRT_LITERAL(""),
		SMRT_LITERAL("-"),
		SMRT_LITERAL("-us-east-1"),
		SMRT_LITERAL("us-east-1-"),
		SMRT_LITERAL("us east-1"),
		SMRT_LITERAL("us_east-1"),
		SMRT_LITERAL("us-east-1."),
		SMRT_LITERAL("us-east-1.evil.com"),
		SMRT_LITERAL("us-east-1/"),
		SMRT_LITERAL("evil.com/#"),
		SMRT_LITERAL("x@evil"),
		SMRT_LITERAL("us-east-1:80"),
		SMRT_LITERAL("us-east-1\n"),
		SMRT_LITERAL("us-east-1\0"),
		SMRT_LITERAL("\xc3\xbcs-east-1"),
		SMRT_LITERAL("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
	};

	for (size_t i = 0; i < COUNT_OF(bad); i++)
	{
		SmrtEndpointQuery query = {.region = bad[i]};
		SmrtError	error = {""};
		SmrtBuf		host;

		smrt_buf_init(&host, &smrt_alloc_malloc, 300);
		if (!CHECK(!smrt_endpoint_host(&query, &host, &error)))
			printf("# row %zu\n", i);
		CHECK(error.text[0] != '\0');
		CHECK_INT(host.len, 0);
		smrt_buf_free(&host);
	}
}

static void
a_full_buffer_is_reported(void)
{
	static const SmrtEndpointQuery queries[] = {
		{SMRT_SERVICE_SAGEMAKER, SMRT_LITERAL("us-east-1"), false, false},
		{SMRT_SERVICE_STS, SMRT_LITERAL("aws-global"), false, false},
		{SMRT_SERVICE_S3, SMRT_LITERAL("us-east-1"), false, false},
	};

	for (size_t i = 0; i < COUNT_OF(queries); i++)
	{
		SmrtError	error = {""};
		SmrtBuf		host;

		smrt_buf_init(&host, &smrt_alloc_malloc, 10);
		CHECK(!smrt_endpoint_host(&queries[i], &host, &error));
		CHECK(error.text[0] != '\0');
		smrt_buf_free(&host);
	}
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"hosts by default", default_hosts},
		{"hosts with FIPS", fips_hosts},
		{"hosts with dual stack", dualstack_hosts},
		{"hosts with both", fips_dualstack_hosts},
		{"hosts of STS", sts_hosts},
		{"hosts of S3", s3_hosts},
		{"regions that requests are signed for", signing_regions},
		{"what cannot be a host label is refused", no_regions},
		{"a full buffer is reported", a_full_buffer_is_reported},
	};

	return check_run(cases, COUNT_OF(cases));
}
