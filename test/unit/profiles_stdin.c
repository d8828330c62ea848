/*
 * Answers one question from standard input, for published_profiles.py.
 *
 * Question and answer are fields, each "LENGTH:BYTES", an absent one "-:".  The
 * first field of a question says which it is, the first of an answer "ok",
 * "unset" or "refused"; a reason follows the last.
 *
 *   profiles CONFIG CREDENTIALS {KIND SECTION [PROPERTY]}...
 *       a field for each: the value, or without PROPERTY "" if there is one
 *   paths CONFIG_FILE CREDENTIALS_FILE HOME PROFILE
 *       both paths and the name of the profile
 *   container RELATIVE FULL
 *       the URL
 *   instance {ENDPOINT MODE}...
 *       the URL
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/metadata_uri.h"
#include "aws/profilepath.h"

#define MAX_FIELDS 10000
#define MAX_LEN (4 * 1024 * 1024)

static SmrtSpan fields[MAX_FIELDS];
static int	n_fields;

static void read_fields(SmrtSpan text);
static void answer_profiles(void);
static SmrtSpan look_up(const SmrtProfiles *profiles, const SmrtSpan *query);
static void answer_paths(void);
static void answer_container(void);
static void answer_instance(void);

static void
fail(const char *why)
{
	fprintf(stderr, "profiles_stdin: %s\n", why);
	exit(1);
}

static void
put(SmrtSpan field)
{
	if (smrt_span_absent(field))
		printf("-:");
	else
	{
		printf("%zu:", field.len);
		fwrite(field.data, 1, field.len, stdout);
	}
}

static void
put_text(const char *text)
{
	put(smrt_span(text));
}

static void
put_refusal(const SmrtError *error)
{
	put_text("refused");
	put_text(error->text);
}

int
main(void)
{
	static const struct
	{
		const char *name;
		void		(*answer) (void);
	}			questions[] =
	{
		{"profiles", answer_profiles},
		{"paths", answer_paths},
		{"container", answer_container},
		{"instance", answer_instance},
	};
	SmrtBuf		input;
	int			c;

	smrt_buf_init(&input, &smrt_alloc_malloc, MAX_LEN);
	while ((c = getchar()) != EOF)
		smrt_buf_append_char(&input, (char) c);
	if (!smrt_buf_ok(&input))
		fail("the question is too long");
	read_fields(smrt_buf_span(&input));
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
	{
		if (!smrt_span_equal(fields[0], smrt_span(questions[i].name)))
			continue;
		questions[i].answer();
		smrt_buf_free(&input);
		return 0;
	}
	fail("no such question");
}

static void
read_fields(SmrtSpan text)
{
	while (text.len > 0)
	{
		const char *colon = memchr(text.data, ':', text.len);
		bool		absent = text.data[0] == '-';
		size_t		head;
		size_t		len;

		if (colon == NULL || n_fields == MAX_FIELDS)
			fail("no field, or too many");
		head = (size_t) (colon + 1 - text.data);
		len = absent ? 0 : strtoul(text.data, NULL, 10);
		if (len > text.len - head)
			fail("a field is cut off");
		fields[n_fields++] = smrt_span_of(absent ? NULL : colon + 1, len);
		text = smrt_span_of(text.data + head + len, text.len - head - len);
	}
}

static void
answer_profiles(void)
{
	SmrtError	error = {""};
	SmrtProfiles *profiles;

	if (n_fields < 3 || n_fields % 3 != 0)
		fail("fields are missing");
	profiles = smrt_profiles_parse(fields[1], fields[2], &smrt_alloc_malloc,
								   &error);
	if (profiles == NULL)
	{
		put_refusal(&error);
		return;
	}
	put_text("ok");
	for (int i = 3; i < n_fields; i += 3)
		put(look_up(profiles, &fields[i]));
	smrt_profiles_free(profiles);
}

/* A query is a kind, a section, and a property or nothing. */
static SmrtSpan
look_up(const SmrtProfiles *profiles, const SmrtSpan *query)
{
	static const char *const kinds[] = {
		[SMRT_SECTION_PROFILE] = "profile",
		[SMRT_SECTION_SSO_SESSION] = "sso-session",
		[SMRT_SECTION_SERVICES] = "services",
	};

	for (int kind = 0; kind < (int) (sizeof(kinds) / sizeof(kinds[0])); kind++)
	{
		SmrtSection section = smrt_section((SmrtSectionKind) kind, query[1]);

		if (!smrt_span_equal(query[0], smrt_span(kinds[kind])))
			continue;
		if (!smrt_span_absent(query[2]))
			return smrt_profiles_value(profiles, section, query[2]);
		return smrt_span(smrt_profiles_has(profiles, section) ? "" : NULL);
	}
	fail("no such kind of section");
	return smrt_span(NULL);
}

static void
answer_paths(void)
{
	SmrtProfileEnvironment environment = {
		.config_file = fields[1],
		.credentials_file = fields[2],
		.home = fields[3],
		.profile = fields[4],
	};
	SmrtBuf		paths[SMRT_PROFILE_FILE_COUNT];
	SmrtError	error = {""};
	bool		ok = true;

	for (int file = 0; file < SMRT_PROFILE_FILE_COUNT; file++)
	{
		smrt_buf_init(&paths[file], &smrt_alloc_malloc, MAX_LEN);
		ok = ok && smrt_profilepath_find(&environment, (SmrtProfileFile) file,
										 &paths[file], &error);
	}
	if (!ok)
		put_refusal(&error);
	else
	{
		put_text("ok");
		put(smrt_buf_span(&paths[SMRT_PROFILE_CONFIG]));
		put(smrt_buf_span(&paths[SMRT_PROFILE_CREDENTIALS]));
		put(smrt_profilepath_profile(&environment));
	}
	for (int file = 0; file < SMRT_PROFILE_FILE_COUNT; file++)
		smrt_buf_free(&paths[file]);
}

static void
answer_container(void)
{
	SmrtMetadataReach reach;
	SmrtError	error = {""};
	SmrtBuf		url;

	smrt_buf_init(&url, &smrt_alloc_malloc, MAX_LEN);
	switch (smrt_metadata_container(fields[1], fields[2], &url, &reach, &error))
	{
		case SMRT_METADATA_FOUND:
			put_text("ok");
			put(smrt_buf_span(&url));
			break;
		case SMRT_METADATA_UNSET:
			put_text("unset");
			break;
		case SMRT_METADATA_REFUSED:
			put_refusal(&error);
			break;
	}
	smrt_buf_free(&url);
}

static void
answer_instance(void)
{
	SmrtInstanceEndpoint sources[3];
	SmrtMetadataReach reach;
	SmrtError	error = {""};
	SmrtBuf		url;

	for (int i = 0; i < 3; i++)
	{
		sources[i].endpoint = fields[1 + 2 * i];
		sources[i].mode = fields[2 + 2 * i];
	}
	smrt_buf_init(&url, &smrt_alloc_malloc, MAX_LEN);
	if (smrt_metadata_instance(sources, 3, &url, &reach, &error))
	{
		put_text("ok");
		put(smrt_buf_span(&url));
	}
	else
		put_refusal(&error);
	smrt_buf_free(&url);
}
