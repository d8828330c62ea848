/*
 * AWS's shared files.  The first byte of an input says where the config file ends
 * and the credentials file begins, in 255ths.
 *
 * A value is one of a section that is there, and lies in one of the files.
 */
#include "aws/profile.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const SmrtSectionKind kinds[] = {SMRT_SECTION_PROFILE,
	SMRT_SECTION_SSO_SESSION, SMRT_SECTION_SERVICES};
	static const char *const names[] = {"default", "a", "role"};
	static const char *const properties[] = {"aws_access_key_id", "x", "s3",
	"role_arn"};
	SmrtProfiles *profiles;
	SmrtError	error;
	size_t		cut;
	char	   *config;
	char	   *credentials;

	if (size < 1)
		return 0;
	cut = (size - 1) * data[0] / 255;
	config = malloc(cut + 1);
	credentials = malloc(size - cut);
	memcpy(config, data + 1, cut);
	memcpy(credentials, data + 1 + cut, size - 1 - cut);
	profiles = smrt_profiles_parse(smrt_span_of(config, cut),
								   smrt_span_of(credentials, size - 1 - cut),
								   &smrt_alloc_malloc, &error);
	free(config);
	free(credentials);
	for (int i = 0; profiles != NULL && i < 3 * 3 * 4; i++)
	{
		SmrtSection section = smrt_section(kinds[i % 3], smrt_span(names[i / 3 % 3]));
		SmrtSpan	property = smrt_span(properties[i / 9]);
		SmrtSpan	value = smrt_profiles_value(profiles, section, property);
		SmrtSpan	in_config = smrt_profiles_value_in(profiles, SMRT_PROFILE_CONFIG,
													   section, property);
		SmrtSpan	in_credentials = smrt_profiles_value_in(profiles, SMRT_PROFILE_CREDENTIALS,
															section, property);
		SmrtSpan	nested = smrt_profiles_nested_value(profiles, section, property,
														smrt_span("x"));

		hold(smrt_span_absent(value) || smrt_profiles_has(profiles, section));
		hold(smrt_span_equal(value, smrt_span_absent(in_credentials) ?
							 in_config : in_credentials));
		hold(smrt_span_absent(value) || memchr(value.data, '\0', value.len) == NULL);
		(void) digest(DIGEST_START, nested.data, nested.len);
	}
	smrt_profiles_free(profiles);
	return 0;
}
