/*
 * Where the shared files are, and which profile is meant.
 */
#include <stdio.h>

#include "check.h"
#include "aws/profilepath.h"

/* NULL stands for absent; a path of NULL for a refusal. */
static void
paths(void)
{
	static const struct
	{
		const char *config_file;
		const char *credentials_file;
		const char *home;
		const char *config;
		const char *credentials;
	}			rows[] =
	{
		{NULL, NULL, "/home/u", "/home/u/.aws/config", "/home/u/.aws/credentials"},
		{"", "", "/home/u", "/home/u/.aws/config", "/home/u/.aws/credentials"},
		{NULL, NULL, "/home/u//", "/home/u/.aws/config", "/home/u/.aws/credentials"},
		{NULL, NULL, "/", "/.aws/config", "/.aws/credentials"},
		{NULL, NULL, "h", "h/.aws/config", "h/.aws/credentials"},
		{NULL, NULL, "~", "~/.aws/config", "~/.aws/credentials"},
		{NULL, NULL, NULL, "", ""},
		{NULL, NULL, "", "", ""},
		{"/a/b", NULL, "/home/u", "/a/b", "/home/u/.aws/credentials"},
		{NULL, "/a/b", "/home/u", "/home/u/.aws/config", "/a/b"},
		{"/a", "b", NULL, "/a", "b"},
		{"~/a", "~/b/c", "/home/u", "/home/u/a", "/home/u/b/c"},
		{"~", "~/", "/home/u", "/home/u", "/home/u/"},
		{"~v/a", "/~/b", "/home/u", "~v/a", "/~/b"},
		{"~~/a", "a/~/b", "/home/u", "~~/a", "a/~/b"},
		{"~/a", NULL, NULL, NULL, ""},
		{NULL, "~", "", "", NULL},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtProfileEnvironment environment = {
			.config_file = smrt_span(rows[i].config_file),
			.credentials_file = smrt_span(rows[i].credentials_file),
			.home = smrt_span(rows[i].home),
		};

		for (int file = 0; file < SMRT_PROFILE_FILE_COUNT; file++)
		{
			const char *want = file == SMRT_PROFILE_CONFIG ?
				rows[i].config : rows[i].credentials;
			SmrtError	error = {""};
			SmrtBuf		path;

			smrt_buf_init(&path, &smrt_alloc_malloc, 1000);
			if (CHECK_INT(smrt_profilepath_find(&environment, file, &path, &error),
						  want != NULL) && want)
				CHECK_TEXT(smrt_buf_span(&path), want);
			CHECK_INT(error.text[0] == '\0', want != NULL);
			smrt_buf_free(&path);
		}
	}
}

static void
refused_paths(void)
{
	static const struct
	{
		SmrtSpan	file;
		SmrtSpan	home;
		const char *why;
	}			rows[] =
	{
		{{NULL, 0}, SMRT_LITERAL("/h\0x"), "HOME has a NUL byte"},
		{SMRT_LITERAL("/f\0x"), {NULL, 0}, "AWS_CONFIG_FILE has a NUL byte"},
		{SMRT_LITERAL("~/\0"), SMRT_LITERAL("/h"), "AWS_CONFIG_FILE has a NUL byte"},
		{SMRT_LITERAL("/12345678901234567890"), {NULL, 0}, "AWS_CONFIG_FILE is too long"},
		{SMRT_LITERAL("~/345678901"), SMRT_LITERAL("/123456789"), "AWS_CONFIG_FILE is too long"},
		{{NULL, 0}, SMRT_LITERAL("/12345678901234567890"), "HOME is too long"},
		{{NULL, 0}, SMRT_LITERAL("/1234567890"), "HOME is too long"},
		{SMRT_LITERAL("~/a"), {NULL, 0}, "AWS_CONFIG_FILE starts with ~, but HOME is not set"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtProfileEnvironment environment = {
			.config_file = rows[i].file, .home = rows[i].home
		};
		SmrtError	error = {""};
		SmrtBuf		path;

		smrt_buf_init(&path, &smrt_alloc_malloc, 19);
		CHECK(!smrt_profilepath_find(&environment, SMRT_PROFILE_CONFIG, &path,
									 &error));
		CHECK_TEXT(smrt_span(error.text), rows[i].why);
		smrt_buf_free(&path);
	}
}

static void
every_allocation_may_fail(void)
{
	SmrtProfileEnvironment environment = {.home = smrt_span("/home/u")};
	CheckMemory memory;
	SmrtError	error = {""};
	SmrtBuf		path;

	check_memory_init(&memory, 0);
	smrt_buf_init(&path, &memory.alloc, 1000);
	CHECK(!smrt_profilepath_find(&environment, SMRT_PROFILE_CONFIG, &path, &error));
	CHECK(error.text[0] != '\0');
	CHECK_INT(memory.live, 0);
}

static void
profile_names(void)
{
	static const struct
	{
		const char *profile;
		const char *default_profile;
		const char *want;
	}			rows[] =
	{
		{NULL, NULL, "default"},
		{"", "", "default"},
		{"a", NULL, "a"},
		{NULL, "b", "b"},
		{"", "b", "b"},
		{"a", "b", "a"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		SmrtProfileEnvironment environment = {
			.profile = smrt_span(rows[i].profile),
			.default_profile = smrt_span(rows[i].default_profile),
		};

		CHECK_TEXT(smrt_profilepath_profile(&environment), rows[i].want);
	}
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"the files are where the environment says", paths},
		{"paths that cannot be used are refused", refused_paths},
		{"every allocation may fail", every_allocation_may_fail},
		{"the profile is the one the environment names", profile_names},
	};

	return check_run(cases, COUNT_OF(cases));
}
