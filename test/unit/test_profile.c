/*
 * Profiles: what is read out of config and credentials files, and what is
 * refused, with which words.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "aws/profile.h"

static SmrtProfiles *
parse(const char *config, const char *credentials)
{
	SmrtError	error = {""};
	SmrtProfiles *profiles = smrt_profiles_parse(smrt_span(config),
												 smrt_span(credentials),
												 &smrt_alloc_malloc, &error);

	if (!CHECK(profiles != NULL))
	{
		printf("# %s\n", error.text);
		exit(1);
	}
	CHECK_TEXT(smrt_span(error.text), "");
	return profiles;
}

static SmrtSection
profile(const char *name)
{
	return smrt_section(SMRT_SECTION_PROFILE, smrt_span(name));
}

/* NULL stands for absent. */
static void
check_value(const SmrtProfiles *profiles, const char *section, const char *name,
			const char *want)
{
	SmrtSpan	got = smrt_profiles_value(profiles, profile(section),
										  smrt_span(name));

	if (!CHECK_INT(smrt_span_absent(got), want == NULL) ||
		!CHECK_TEXT(got, want))
		printf("# of %s in %s\n", name, section);
}

/* The property "a" of profile "x", in a file that has it last. */
static void
values(void)
{
	static const struct
	{
		const char *config;
		const char *want;
	}			rows[] =
	{
		{"[profile x]\na=1", "1"},
		{"[profile x]\na=1\n", "1"},
		{"[profile x]\r\na = 1\r\n", "1"},
		{"[profile x]\na = 1\r", "1"},
		{"\xef\xbb\xbf[profile x]\na=1\n", "1"},
		{"\n\n \t\n[profile x]\n\n\na=1\n", "1"},
		{"[profile x]\na\t=\t1\t\n", "1"},
		{"[profile x]\nA = One Two\n", "One Two"},
		{"[profile x]\na =\n", ""},
		{"[profile x]\na = b=c==\n", "b=c=="},
		{"[profile x]\na ==\n", "="},
		{"[profile x]\na = [y]\n", "[y]"},
		{"[profile x]\na = \"1\"\n", "\"1\""},
		{"[profile x]\na = \xc3\xa4\xff\x01\n", "\xc3\xa4\xff\x01"},
		{"[profile x]\na = 1\n[profile x]\n", "1"},
		{"[profile x]\na = 1\na = 2\n", "2"},
		{"[profile x]\na = 1\n[profile y]\na = 3\n[profile x]\nA = 2\n", "2"},
		{"[profile x]\na = 1\n[profile y]\na = 2\n", "1"},
		/* white space around a section's name */
		{"[  profile \t x\t]\t \na=1", "1"},
		{"[profile\tx]\na=1", "1"},
		/* comments */
		{"# c\n; c\n[profile x] # c\na = 1 # c\n", "1"},
		{"[profile x]; c\na = 1 ; c # d\n", "1"},
		{"[profile x]# ] c\na = 1\t;c\n", "1"},
		{"[profile x]\na = 1#2;3\n", "1#2;3"},
		{"[profile x]\na = #1\n", ""},
		{"[profile x]\na =#1\n", "#1"},
		{"[profile x]\na = 1\n # c = 2\n\t;\n", "1"},
		{" # c\n[profile x]\n # c\na=1\n", "1"},
		/* continuation lines */
		{"[profile x]\na = 1\n 2\n", "1\n2"},
		{"[profile x]\na = 1 # c\n\t 2 # d\t \n", "1\n2 # d"},
		{"[profile x]\r\na = 1\r\n 2\r\n 3\r\n", "1\n2\n3"},
		{"[profile x]\na = 1\n\n \n# c\n # c\n 2\n\n 3", "1\n2\n3"},
		{"[profile x]\na = 1\n b = 2\n", "1\nb = 2"},
		{"[profile x]\na = 1\n [profile y]\n", "1\n[profile y]"},
		{"[profile x]\na = 1\nb = 2\n 3\n", "1"},
		{"[profile x]\na = 1\n 2\na = 3\n 4\n", "3\n4"},
		/* nested properties */
		{"[profile x]\na =\n b = 2\n\tc=3 # d\n", "\nb = 2\nc=3 # d"},
		{"[profile x]\na = # e\n b = 2\n", "\nb = 2"},
		{"[profile x]\na =\r\n b = 2\r\n", "\nb = 2"},
		{"[profile x]\na =\n # c\n\n b =\n", "\nb ="},
		{"[profile x]\na =\n b c = 2\n", "\nb c = 2"},
		/* names that are none */
		{"[profile x]\na b = 1\na!=2\n\xc3\xa4=1\n", NULL},
		{"[profile x]\na b = 1\n c\na=2\n", "2"},
		{"[profile x]\naa = 1\n", NULL},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtProfiles *profiles = parse(rows[i].config, NULL);

		check_value(profiles, "x", "a", rows[i].want);
		check_value(profiles, "x", "A", rows[i].want);
		smrt_profiles_free(profiles);
	}
}

/* Files with a mistake, and what is said of it. */
static void
mistakes(void)
{
#define NEED_SECTION "expected a section such as [profile name]"
#define NEED_BRACKET "expected a ] at the end of the section's name"
#define NEED_PAIR "expected \"name = value\""
#define NEED_NAME "expected a name before the \"=\""
#define NEED_PROPERTY "expected a property, not an indented line"
#define NEED_NESTED "expected \"name = value\" below a property without a value"
	static const struct
	{
		const char *text;
		int			line;
		const char *why;
	}			rows[] =
	{
		{"a = 1", 1, NEED_SECTION},
		{"\n# c\na = 1", 3, NEED_SECTION},
		{" a", 1, NEED_SECTION},
		{" [default]", 1, NEED_SECTION},
		{"]", 1, NEED_SECTION},
		{"\xff\xfe", 1, NEED_SECTION},
		{"\xef\xbb\xbf\xef\xbb\xbf[default]", 1, NEED_SECTION},
		{"[", 1, NEED_BRACKET},
		{"[default", 1, NEED_BRACKET},
		{"[default\n]", 1, NEED_BRACKET},
		{"[default # ]", 1, NEED_BRACKET},
		{"[default] x", 1, NEED_BRACKET},
		{"[default]\n\r\nb", 3, NEED_PAIR},
		{"[default]\na : 1", 2, NEED_PAIR},
		{"[default]\na", 2, NEED_PAIR},
		{"[default]\n]", 2, NEED_PAIR},
		{"[default]\na # = 1", 2, NEED_PAIR},
		{"[not one]\n[default]\na=1\nb", 4, NEED_PAIR},
		{"[not one]\nb", 2, NEED_PAIR},
		{"[default]\n=", 2, NEED_NAME},
		{"[default]\n= 1", 2, NEED_NAME},
		{"[default]\n a = 1", 2, NEED_PROPERTY},
		{"[default]\na = 1\n[not one]\n b", 4, NEED_PROPERTY},
		{"[default]\na =\n b", 3, NEED_NESTED},
		{"[default]\na =\n = b", 3, NEED_NESTED},
		{"[default]\na = # c\n b # = c", 3, NEED_NESTED},
		{"[default]\na b =\n b", 3, NEED_NESTED},
		{"[not one]\na =\n b", 3, NEED_NESTED},
		{"[default]\na =\n b = 1\n c", 4, NEED_NESTED},
	};

	for (int file = 0; file < 2; file++)
	{
		for (size_t i = 0; i < COUNT_OF(rows); i++)
		{
			SmrtSpan	text = smrt_span(rows[i].text);
			SmrtError	error = {""};
			char		want[200];
			SmrtProfiles *profiles;

			profiles = smrt_profiles_parse(file == 0 ? text : smrt_span("[default]\n"),
										   file == 1 ? text : smrt_span(NULL),
										   &smrt_alloc_malloc, &error);
			CHECK(profiles == NULL);
			smrt_profiles_free(profiles);
			sprintf(want, "%s file, line %d: %s",
					file == 0 ? "config" : "credentials", rows[i].line,
					rows[i].why);
			CHECK_TEXT(smrt_span(error.text), want);
		}
	}
}

/* Which headings make a profile of that name in which file. */
static void
headings(void)
{
	static const struct
	{
		const char *heading;
		const char *name;
		bool		in_config;
		bool		in_credentials;
	}			rows[] =
	{
		{"[profile x]", "x", true, false},
		{"[x]", "x", false, true},
		{"[ x ]", "x", false, true},
		{"[default]", "default", true, true},
		{"[profile default]", "default", true, false},
		{"[Default]", "default", false, false},
		{"[Profile x]", "x", false, false},
		{"[profile X]", "x", false, false},
		{"[profilex]", "x", false, false},
		{"[profile]", "profile", false, true},
		{"[profile ]", "", false, false},
		{"[]", "", false, false},
		{"[ ]", "", false, false},
		{"[[x]]", "[x]", false, false},
		{"[profile x y]", "x y", false, false},
		{"[x y]", "x y", false, false},
		{"[profile x!]", "x!", false, false},
		{"[x\x01]", "x\x01", false, false},
		{"[profile \xc3\xa4]", "\xc3\xa4", false, false},
		{"[profile a-b_c/d.e%f@g:h+1]", "a-b_c/d.e%f@g:h+1", true, false},
		{"[a-b_c/d.e%f@g:h+1]", "a-b_c/d.e%f@g:h+1", false, true},
		{"[profile profile]", "profile", true, false},
		{"[services x]", "x", false, false},
		{"[sso-session x]", "x", false, false},
		{"[servicesx]", "servicesx", false, true},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtProfiles *config = parse(rows[i].heading, NULL);
		SmrtProfiles *credentials = parse(NULL, rows[i].heading);

		if (!CHECK_INT(smrt_profiles_has(config, profile(rows[i].name)),
					   rows[i].in_config) ||
			!CHECK_INT(smrt_profiles_has(credentials, profile(rows[i].name)),
					   rows[i].in_credentials))
			printf("# %s\n", rows[i].heading);
		smrt_profiles_free(config);
		smrt_profiles_free(credentials);
	}
}

static void
prefixed_default_wins(void)
{
	static const char *const configs[] = {
		"[default]\na=1\nb=1\n[profile default]\na=2\n",
		"[profile default]\na=2\n[default]\na=1\nb=1\n",
		"[default]\na=1\n[profile default]\n[default]\nb=1\n[profile default]\na=2\n",
	};
	SmrtProfiles *profiles;

	for (size_t i = 0; i < COUNT_OF(configs); i++)
	{
		profiles = parse(configs[i], "[default]\nc=3\n");
		check_value(profiles, "default", "a", "2");
		check_value(profiles, "default", "b", NULL);
		check_value(profiles, "default", "c", "3");
		smrt_profiles_free(profiles);
	}

	/* Neither another kind nor the other file's [profile default] does that. */
	profiles = parse("[default]\na=1\n[services default]\n[profile default x]\n",
					 "[profile default]\na=2\n");
	check_value(profiles, "default", "a", "1");
	smrt_profiles_free(profiles);
}

static void
credentials_over_config(void)
{
	SmrtProfiles *profiles = parse("[profile x]\na=1\nb=1\n[default]\na=0\n",
								   "[x]\na=2\nc=2\n[y]\na=3\n");
	SmrtSpan	a = smrt_span("a");
	SmrtSpan	b = smrt_span("b");

	check_value(profiles, "x", "a", "2");
	check_value(profiles, "x", "b", "1");
	check_value(profiles, "x", "c", "2");
	check_value(profiles, "x", "d", NULL);
	check_value(profiles, "y", "a", "3");
	check_value(profiles, "default", "a", "0");
	check_value(profiles, "z", "a", NULL);
	CHECK_TEXT(smrt_profiles_value_in(profiles, SMRT_PROFILE_CONFIG,
									  profile("x"), a), "1");
	CHECK_TEXT(smrt_profiles_value_in(profiles, SMRT_PROFILE_CREDENTIALS,
									  profile("x"), a), "2");
	CHECK(smrt_span_absent(smrt_profiles_value_in(profiles,
												  SMRT_PROFILE_CREDENTIALS,
												  profile("x"), b)));
	smrt_profiles_free(profiles);
}

/* Kinds are worlds apart, and the credentials file has profiles only. */
static void
other_sections(void)
{
	static const SmrtSectionKind kinds[] = {
		SMRT_SECTION_PROFILE, SMRT_SECTION_SSO_SESSION, SMRT_SECTION_SERVICES
	};
	static const char *const want[] = {"1", "2", "3"};
	static const char config[] = "[profile x]\na=1\n[sso-session x]\na=2\n"
		"[services x]\na=3\n[plugins x]\na=4\n[plugins]\na=5\n";
	SmrtProfiles *profiles = parse(config, "[services x]\na=6\n");
	SmrtProfiles *reverse = parse(NULL, config);

	for (size_t i = 0; i < COUNT_OF(kinds); i++)
	{
		SmrtSection section = smrt_section(kinds[i], smrt_span("x"));

		CHECK(smrt_profiles_has(profiles, section));
		CHECK_TEXT(smrt_profiles_value(profiles, section, smrt_span("a")), want[i]);
		CHECK(!smrt_profiles_has(reverse, section));
	}
	check_value(reverse, "plugins", "a", "5");
	smrt_profiles_free(profiles);
	smrt_profiles_free(reverse);
}

static void
nested_values(void)
{
	static const char config[] =
		"[services s]\n"
		"sagemaker_runtime =\r\n"
		"  endpoint_url = http://localhost:1 # not that\r\n"
		"  Endpoint_URL = http://localhost:2 # the last\r\n"
		"  in valid = 1\n"
		"  empty =\n"
		"sts =\n"
		"\tendpoint_url=http://localhost:3\n"
		"twice =\n  a = 1\n"
		"twice =\n  b = 2\n"
		"plain = v\n  endpoint_url = http://localhost:4\n"
		"none =\n";
	static const struct
	{
		const char *property;
		const char *name;
		const char *want;
	}			rows[] =
	{
		{"sagemaker_runtime", "endpoint_url", "http://localhost:2"},
		{"SageMaker_Runtime", "ENDPOINT_URL", "http://localhost:2"},
		{"sagemaker_runtime", "in valid", "1"},
		{"sagemaker_runtime", "empty", ""},
		{"sagemaker_runtime", "endpoint_ur", NULL},
		{"sagemaker_runtime", "", NULL},
		{"sagemaker", "endpoint_url", NULL},
		{"sts", "endpoint_url", "http://localhost:3"},
		{"twice", "a", NULL},
		{"twice", "b", "2"},
		{"plain", "endpoint_url", NULL},
		{"plain", "v", NULL},
		{"none", "endpoint_url", NULL},
		{"none", "", NULL},
	};
	SmrtProfiles *profiles = parse(config, NULL);
	SmrtSection section = smrt_section(SMRT_SECTION_SERVICES, smrt_span("s"));

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtSpan	got = smrt_profiles_nested_value(profiles, section,
													 smrt_span(rows[i].property),
													 smrt_span(rows[i].name));

		CHECK_INT(smrt_span_absent(got), rows[i].want == NULL);
		CHECK_TEXT(got, rows[i].want);
	}
	smrt_profiles_free(profiles);
}

static void
nothing_given(void)
{
	static const char *const texts[] = {NULL, "", "\n", "\xef\xbb\xbf", "\r", "#"};

	for (size_t i = 0; i < COUNT_OF(texts); i++)
	{
		SmrtProfiles *profiles = parse(texts[i], texts[i]);

		CHECK(!smrt_profiles_has(profiles, profile("default")));
		check_value(profiles, "default", "a", NULL);
		CHECK(smrt_span_absent(smrt_profiles_nested_value(profiles,
														  profile("default"),
														  smrt_span("a"),
														  smrt_span("b"))));
		smrt_profiles_free(profiles);
	}
	smrt_profiles_free(NULL);
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"values are read as AWS reads them", values},
		{"a mistake is told by file and line", mistakes},
		{"a heading counts in its file only", headings},
		{"[profile default] replaces [default]", prefixed_default_wins},
		{"the credentials file goes over the config file", credentials_over_config},
		{"sections of other kinds are apart", other_sections},
		{"nested properties have values", nested_values},
		{"files may be absent or empty", nothing_given},
	};

	return check_run(cases, COUNT_OF(cases));
}
