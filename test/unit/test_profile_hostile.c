/*
 * Profiles out of hostile, cut and overlong files, and without memory; what
 * becomes of the secrets in them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "aws/profile.h"

/*
 * From blocks of their own lengths, gone after the reading, so that the
 * sanitizer sees an overrun and a view of what was not copied.
 */
static SmrtProfiles *
parse_spans(SmrtSpan config, SmrtSpan credentials, const SmrtAlloc *alloc,
			SmrtError *error)
{
	SmrtSpan	given[2] = {config, credentials};
	char	   *copies[2] = {NULL, NULL};
	SmrtProfiles *profiles;

	for (int i = 0; i < 2; i++)
	{
		if (smrt_span_absent(given[i]))
			continue;
		copies[i] = malloc(given[i].len ? given[i].len : 1);
		memcpy(copies[i], given[i].data, given[i].len);
		given[i].data = copies[i];
	}
	profiles = smrt_profiles_parse(given[0], given[1], alloc, error);
	free(copies[0]);
	free(copies[1]);
	return profiles;
}

static void
check_value(const SmrtProfiles *profiles, const char *section, const char *name,
			const char *want)
{
	SmrtSection id = smrt_section(SMRT_SECTION_PROFILE, smrt_span(section));

	CHECK_TEXT(smrt_profiles_value(profiles, id, smrt_span(name)), want);
}

/* Wherever a NUL is, its line is named; never a part of the file. */
static void
nul_bytes(void)
{
	static const char text[] = "# c\n[default]\na = 1\n 2\nb =\n c = 3\n";
	int			line = 1;

	for (size_t at = 0; at < sizeof(text) - 1; at++)
	{
		char		copy[sizeof(text)];
		char		want[100];
		SmrtError	error = {""};
		SmrtProfiles *profiles;

		memcpy(copy, text, sizeof(text));
		if (copy[at] == '\n')
		{
			line++;
			continue;
		}
		copy[at] = '\0';
		profiles = parse_spans(smrt_span_of(copy, sizeof(text) - 1),
							   smrt_span(NULL), &smrt_alloc_malloc, &error);
		CHECK(profiles == NULL);
		smrt_profiles_free(profiles);
		sprintf(want, "config file, line %d: NUL byte (is the file plain text in UTF-8?)",
				line);
		CHECK_TEXT(smrt_span(error.text), want);
	}
}

static void
secrets_are_not_quoted(void)
{
	static const char *const texts[] = {
		"hunter2", "[hunter2", "[default]\nhunter2", "[default]\n hunter2",
		"[default]\n=hunter2", "[default]\na =\n hunter2",
		"[default]\nhunter2 =\n hunter2",
		"[hunter2]\nhunter2", "[hunter2] hunter2",
	};

	for (size_t i = 0; i < COUNT_OF(texts); i++)
	{
		SmrtError	error = {""};

		CHECK(smrt_profiles_parse(smrt_span(NULL), smrt_span(texts[i]),
								  &smrt_alloc_malloc, &error) == NULL);
		CHECK(strstr(error.text, "hunter2") == NULL);
		CHECK(error.text[0] != '\0');
	}
}

/* Files as long as they may be, of one line, or of as many as possible. */
static void
longest_files(void)
{
	static const struct
	{
		const char *begin;
		const char *repeat;
	}			rows[] =
	{
		{"[profile x]\na = 1\nb = ", "x"},
		{"[profile x]\na = 1\n", "b=\n"},
		{"[profile x]\na = 1\nb = 2\n", " c\n"},
		{"[profile x]\na = 1\nb =\n", " c=\n"},
		{"[profile x]\na = 1\n", "[services y]\n"},
		{"[profile x]\na = 1\n[profile y]\n", "[default]\n"},
		{"[profile x]\na = 1\n", "\r\n"},
		{"[profile x]\na = 1\n#", "#"},
		{"[profile x]\na = 1\nb=\n c=", " #"},
		{"[profile x]\na = 1\n[", " "},
	};
	char	   *text = malloc(SMRT_PROFILES_MAX_TEXT + 1);

	for (size_t i = 0; i < COUNT_OF(rows); i++)
	{
		size_t		step = strlen(rows[i].repeat);
		size_t		len = (size_t) sprintf(text, "%s", rows[i].begin);
		SmrtError	error = {""};
		SmrtProfiles *profiles;

		for (; len + step + 1 < SMRT_PROFILES_MAX_TEXT; len += step)
			memcpy(text + len, rows[i].repeat, step);
		text[len++] = text[strlen(rows[i].begin) - 1] == '[' ? ']' : '\n';
		while (len < SMRT_PROFILES_MAX_TEXT + 1)
			text[len++] = '\n';
		profiles = smrt_profiles_parse(smrt_span_of(text, len - 1),
									   smrt_span_of(NULL, 0),
									   &smrt_alloc_malloc, &error);
		if (CHECK(profiles != NULL))
			check_value(profiles, "x", "a", "1");
		smrt_profiles_free(profiles);

		CHECK(smrt_profiles_parse(smrt_span(NULL), smrt_span_of(text, len),
								  &smrt_alloc_malloc, &error) == NULL);
		CHECK_TEXT(smrt_span(error.text),
				   "credentials file: 1048577 bytes, of which at most 1048576 are read");
	}
	free(text);
}

static const char all_config[] =
	"[default]\na=1\n[profile x]\na=2\n b\nc =\n d = 3\n";
static const char all_credentials[] = "[x]\na=4\n";

/* Every file cut at every place is read or refused, no worse. */
static void
cut_anywhere(void)
{
	for (size_t len = 0; len < sizeof(all_config); len++)
	{
		SmrtError	error = {""};
		SmrtProfiles *profiles = parse_spans(smrt_span_of(all_config, len),
											 smrt_span_of(all_config, len),
											 &smrt_alloc_malloc, &error);

		CHECK_INT(profiles == NULL, error.text[0] != '\0');
		smrt_profiles_free(profiles);
	}
}

static void
every_allocation_may_fail(void)
{
	char		config[2000];
	size_t		len = (size_t) sprintf(config, "%s", all_config);
	bool		done = false;
	int			left;

	/* As many sections and properties as make the arrays grow twice. */
	for (int i = 0; i < 40; i++)
		len += (size_t) sprintf(config + len, "[profile p%d]\nq = %d\n", i, i);
	for (left = 0; !done && left < 100; left++)
	{
		CheckMemory memory;
		SmrtError	error = {""};
		SmrtProfiles *profiles;

		check_memory_init(&memory, left);
		profiles = parse_spans(smrt_span(config), smrt_span(all_credentials),
							   &memory.alloc, &error);
		done = profiles != NULL;
		if (done)
		{
			check_value(profiles, "x", "a", "4");
			check_value(profiles, "x", "c", "\nd = 3");
			check_value(profiles, "p0", "q", "0");
			check_value(profiles, "p39", "q", "39");
		}
		else
			CHECK(strstr(error.text, "no memory") != NULL);
		smrt_profiles_free(profiles);
		CHECK_INT(memory.live, 0);
	}
	CHECK(done);
	CHECK_INT(left, 10);
}

/* Blocks that are given back are looked at on their way. */
static int	blocks_with_secret;

static void *
look_then_resize(void *owner, void *ptr, size_t size)
{
	static const char secret[] = "hunter2";

	/* Every block of ours is longer than what is looked at. */
	for (size_t i = 0; ptr && size == 0 && i < 40; i++)
		blocks_with_secret += memcmp((char *) ptr + i, secret, 7) == 0;
	return smrt_alloc_malloc.resize(owner, ptr, size);
}

static void
secrets_are_wiped(void)
{
	const SmrtAlloc alloc = {look_then_resize, NULL};
	SmrtError	error;
	SmrtProfiles *profiles;

	blocks_with_secret = 0;
	profiles = smrt_profiles_parse(smrt_span("[default]\na = hunter2\n"),
								   smrt_span("[default]\na =\n b=hunter2"),
								   &alloc, &error);
	CHECK(profiles != NULL);
	smrt_profiles_free(profiles);
	CHECK(smrt_profiles_parse(smrt_span("[default]\na = hunter2\n"),
							  smrt_span("[default]\na=hunter2\nb"),
							  &alloc, &error) == NULL);
	CHECK_INT(blocks_with_secret, 0);
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"NUL bytes are refused", nul_bytes},
		{"no error quotes the file", secrets_are_not_quoted},
		{"files of 1 MiB are read, longer ones refused", longest_files},
		{"a file may be cut anywhere", cut_anywhere},
		{"every allocation may fail", every_allocation_may_fail},
		{"texts are overwritten before they are freed", secrets_are_wiped},
	};

	return check_run(cases, COUNT_OF(cases));
}
