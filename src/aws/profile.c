/*
 * Profiles.
 *
 * The texts are copied once; names and values are views of the copies.  A value
 * of several lines is joined in place, as what a continuation adds is shorter
 * than the line it comes from: nothing is overwritten that is still to be read.
 *
 * Sections and properties stay in the order of the files, duplicates too, the
 * credentials file's last.  Looking up goes backwards, so the last one wins;
 * reading stays linear whatever the files hold.
 */
#include "aws/profile.h"
#include "aws/uri.h"

#define FIRST_ROOM 16			/* as many as most files have */

typedef struct Section
{
	SmrtSection id;
	SmrtProfileFile file;
	bool		bare;			/* [default] of the config file */
} Section;

typedef struct Property
{
	size_t		section;		/* its position in sections */
	SmrtSpan	name;
	SmrtSpan	value;
} Property;

struct SmrtProfiles
{
	const SmrtAlloc *alloc;
	SmrtBuf		texts[SMRT_PROFILE_FILE_COUNT];
	Section    *sections;
	size_t		n_sections;
	size_t		section_room;
	Property   *properties;
	size_t		n_properties;
	size_t		property_room;
	bool		prefixed_default;	/* bare sections do not count */
};

typedef struct Parser
{
	SmrtProfiles *profiles;
	SmrtProfileFile file;
	SmrtError  *error;
	int			line;			/* that is being read, from 1 */
	bool		in_section;		/* a heading was read */
	bool		section_kept;	/* it is the last of sections */
	bool		in_property;	/* the section has one already */
	bool		property_kept;	/* it is the last of properties */
	bool		nested;			/* its own line had no value */
} Parser;

static const char *const file_names[SMRT_PROFILE_FILE_COUNT] = {
	[SMRT_PROFILE_CONFIG] = "config file",
	[SMRT_PROFILE_CREDENTIALS] = "credentials file",
};

static bool parse_file(SmrtProfiles *profiles, SmrtProfileFile file,
					   SmrtSpan text, SmrtError *error);
static bool parse_line(Parser *parser, SmrtSpan line);
static bool parse_heading(Parser *parser, SmrtSpan line);
static bool recognise(SmrtProfileFile file, SmrtSpan heading, Section *section);
static bool parse_property(Parser *parser, SmrtSpan line);
static bool parse_continuation(Parser *parser, SmrtSpan line);
static void append_line(SmrtSpan *value, SmrtSpan line);
static const char *split(SmrtSpan line, SmrtSpan *name, SmrtSpan *value);
static bool refuse(const Parser *parser, const char *why);
static bool no_memory(const Parser *parser);
static const Property *find(const SmrtProfiles *profiles, SmrtSection section,
							SmrtSpan property, unsigned files);
static bool same_section(const SmrtProfiles *profiles, const Section *section,
						 SmrtSection id);
static void *make_room(const SmrtAlloc *alloc, void *array, size_t n,
					   size_t *room, size_t item_size);

SmrtProfiles *
smrt_profiles_parse(SmrtSpan config, SmrtSpan credentials,
					const SmrtAlloc *alloc, SmrtError *error)
{
	SmrtProfiles *profiles = alloc->resize(alloc->owner, NULL, sizeof(*profiles));

	if (profiles == NULL)
	{
		smrt_error_set(error, "no memory for profiles");
		return NULL;
	}
	memset(profiles, 0, sizeof(*profiles));
	profiles->alloc = alloc;
	for (int i = 0; i < SMRT_PROFILE_FILE_COUNT; i++)
		smrt_buf_init(&profiles->texts[i], alloc, SMRT_PROFILES_MAX_TEXT);

	if (!parse_file(profiles, SMRT_PROFILE_CONFIG, config, error) ||
		!parse_file(profiles, SMRT_PROFILE_CREDENTIALS, credentials, error))
	{
		smrt_profiles_free(profiles);
		return NULL;
	}
	return profiles;
}

void
smrt_profiles_free(SmrtProfiles *profiles)
{
	const SmrtAlloc *alloc;

	if (profiles == NULL)
		return;
	alloc = profiles->alloc;
	for (int i = 0; i < SMRT_PROFILE_FILE_COUNT; i++)
		smrt_buf_wipe(&profiles->texts[i]);
	if (profiles->sections)
		alloc->resize(alloc->owner, profiles->sections, 0);
	if (profiles->properties)
		alloc->resize(alloc->owner, profiles->properties, 0);
	alloc->resize(alloc->owner, profiles, 0);
}

bool
smrt_profiles_has(const SmrtProfiles *profiles, SmrtSection section)
{
	for (size_t i = 0; i < profiles->n_sections; i++)
	{
		if (same_section(profiles, &profiles->sections[i], section))
			return true;
	}
	return false;
}

SmrtSpan
smrt_profiles_value(const SmrtProfiles *profiles, SmrtSection section,
					SmrtSpan property)
{
	const Property *found = find(profiles, section, property, ~0U);

	return found ? found->value : smrt_span(NULL);
}

SmrtSpan
smrt_profiles_value_in(const SmrtProfiles *profiles, SmrtProfileFile file,
					   SmrtSection section, SmrtSpan property)
{
	const Property *found = find(profiles, section, property, 1U << file);

	return found ? found->value : smrt_span(NULL);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_comment(char c)
{
	return c == '#' || c == ';';
}

static SmrtSpan
trim(SmrtSpan text)
{
	while (text.len > 0 && is_blank(text.data[0]))
		text = smrt_span_after(text, 1);
	while (text.len > 0 && is_blank(text.data[text.len - 1]))
		text.len--;
	return text;
}

SmrtSpan
smrt_profiles_nested_value(const SmrtProfiles *profiles, SmrtSection section,
						   SmrtSpan property, SmrtSpan name)
{
	SmrtSpan	rest = smrt_profiles_value(profiles, section, property);
	SmrtSpan	result = smrt_span(NULL);

	/* With something before the first "\n" it has continuations instead. */
	if (smrt_span_up_to(rest, '\n').len > 0)
		return result;
	while (rest.len > 0)
	{
		SmrtSpan	line = smrt_span_up_to(smrt_span_after(rest, 1), '\n');
		SmrtSpan	found;
		SmrtSpan	value;

		if (split(line, &found, &value) == NULL &&
			smrt_span_equal_nocase(found, name))
			result = value;
		rest = smrt_span_after(rest, 1 + line.len);
	}
	return result;
}

static bool
parse_file(SmrtProfiles *profiles, SmrtProfileFile file, SmrtSpan text,
		   SmrtError *error)
{
	static const SmrtSpan byte_order_mark = SMRT_LITERAL("\xef\xbb\xbf");
	Parser		parser = {.profiles = profiles, .file = file, .error = error};
	SmrtBuf    *copy = &profiles->texts[file];
	SmrtSpan	rest;

	if (text.len > SMRT_PROFILES_MAX_TEXT)
		return smrt_error_set(error, "%s: %zu bytes, of which at most %d are read",
							  file_names[file], text.len,
							  SMRT_PROFILES_MAX_TEXT);
	if (text.len == 0)
		return true;
	if (!smrt_buf_append_span(copy, text))
		return no_memory(&parser);

	rest = smrt_buf_span(copy);
	if (smrt_span_starts_with(rest, byte_order_mark))
		rest = smrt_span_after(rest, byte_order_mark.len);
	while (rest.len > 0)
	{
		SmrtSpan	line = smrt_span_up_to(rest, '\n');

		rest = smrt_span_after(rest, line.len + (line.len < rest.len));
		if (line.len > 0 && line.data[line.len - 1] == '\r')
			line.len--;
		parser.line++;
		if (!parse_line(&parser, line))
			return false;
	}
	return true;
}

static bool
parse_line(Parser *parser, SmrtSpan line)
{
	SmrtSpan	content = trim(line);

	/* It would end the value early for all who take it for a C string. */
	if (smrt_span_up_to(line, '\0').len < line.len)
		return refuse(parser, "NUL byte (is the file plain text in UTF-8?)");

	/*
	 * AWS's newer SDKs make an indented comment part of the value above it,
	 * or an error; its command line skips it, as whoever wrote it expects.
	 */
	if (content.len == 0 || is_comment(content.data[0]))
		return true;
	if (line.data[0] == '[')
		return parse_heading(parser, content);
	if (!parser->in_section)
		return refuse(parser, "expected a section such as [profile name]");
	if (is_blank(line.data[0]))
		return parse_continuation(parser, content);
	return parse_property(parser, content);
}

/* Unlike in a property, a comment needs no blank before it. */
static bool
parse_heading(Parser *parser, SmrtSpan line)
{
	SmrtProfiles *profiles = parser->profiles;
	SmrtSpan	heading = trim(smrt_span_up_to(smrt_span_up_to(line, '#'), ';'));
	Section		section;
	Section    *moved;

	if (heading.data[heading.len - 1] != ']')
		return refuse(parser, "expected a ] at the end of the section's name");
	heading = smrt_span_of(heading.data + 1, heading.len - 2);

	parser->in_section = true;
	parser->in_property = false;
	parser->section_kept = recognise(parser->file, trim(heading), &section);
	if (!parser->section_kept)
		return true;
	if (parser->file == SMRT_PROFILE_CONFIG && !section.bare &&
		section.id.kind == SMRT_SECTION_PROFILE &&
		smrt_span_equal(section.id.name, smrt_span("default")))
		profiles->prefixed_default = true;

	moved = make_room(profiles->alloc, profiles->sections, profiles->n_sections,
					  &profiles->section_room, sizeof(Section));
	if (moved == NULL)
		return no_memory(parser);
	profiles->sections = moved;
	profiles->sections[profiles->n_sections++] = section;
	return true;
}

/* The same for sections and properties. */
static bool
is_identifier(SmrtSpan name)
{
	for (size_t i = 0; i < name.len; i++)
	{
		if (!smrt_ascii_alnum(name.data[i]) &&
			memchr("_-/.%@:+", name.data[i], 8) == NULL)
			return false;
	}
	return name.len > 0;
}

/* False for a section that we have no use for. */
static bool
recognise(SmrtProfileFile file, SmrtSpan heading, Section *section)
{
	static const struct
	{
		SmrtSpan	prefix;
		SmrtSectionKind kind;
	}			kinds[] =
	{
		{SMRT_LITERAL("profile"), SMRT_SECTION_PROFILE},
		{SMRT_LITERAL("sso-session"), SMRT_SECTION_SSO_SESSION},
		{SMRT_LITERAL("services"), SMRT_SECTION_SERVICES},
	};
	SmrtSpan	prefix = smrt_span_up_to(smrt_span_up_to(heading, ' '), '\t');

	section->file = file;
	section->bare = false;
	section->id = smrt_section(SMRT_SECTION_PROFILE, heading);
	if (file == SMRT_PROFILE_CREDENTIALS)
		return is_identifier(heading);
	if (smrt_span_equal(heading, smrt_span("default")))
	{
		section->bare = true;
		return true;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		if (!smrt_span_equal(prefix, kinds[i].prefix))
			continue;
		section->id.kind = kinds[i].kind;
		section->id.name = trim(smrt_span_after(heading, prefix.len));
		return is_identifier(section->id.name);
	}
	return false;
}

static bool
parse_property(Parser *parser, SmrtSpan line)
{
	SmrtProfiles *profiles = parser->profiles;
	Property	property;
	Property   *moved;
	const char *why = split(line, &property.name, &property.value);

	if (why)
		return refuse(parser, why);
	parser->in_property = true;
	parser->nested = property.value.len == 0;
	parser->property_kept = parser->section_kept && is_identifier(property.name);
	if (!parser->property_kept)
		return true;

	property.section = profiles->n_sections - 1;
	moved = make_room(profiles->alloc, profiles->properties,
					  profiles->n_properties, &profiles->property_room,
					  sizeof(Property));
	if (moved == NULL)
		return no_memory(parser);
	profiles->properties = moved;
	profiles->properties[profiles->n_properties++] = property;
	return true;
}

static bool
parse_continuation(Parser *parser, SmrtSpan line)
{
	SmrtProfiles *profiles = parser->profiles;
	SmrtSpan	name;
	SmrtSpan	value;

	if (!parser->in_property)
		return refuse(parser, "expected a property, not an indented line");
	if (parser->nested && split(line, &name, &value) != NULL)
		return refuse(parser, "expected \"name = value\" below a property without a value");
	if (parser->property_kept)
		append_line(&profiles->properties[profiles->n_properties - 1].value, line);
	return true;
}

/* value lies in our own copy, before line, with a line's end between them. */
static void
append_line(SmrtSpan *value, SmrtSpan line)
{
	char	   *end = (char *) value->data + value->len;

	*end = '\n';
	memmove(end + 1, line.data, line.len);
	value->len += 1 + line.len;
}

/*
 * Name and value of a property's line, trimmed and without a comment.  Returns
 * what is wrong with it, or NULL.
 */
static const char *
split(SmrtSpan line, SmrtSpan *name, SmrtSpan *value)
{
	for (size_t i = 1; i < line.len; i++)
	{
		if (is_comment(line.data[i]) && is_blank(line.data[i - 1]))
			line.len = i;
	}
	*name = smrt_span_up_to(line, '=');
	if (name->len == line.len)
		return "expected \"name = value\"";
	*value = trim(smrt_span_after(line, name->len + 1));
	*name = trim(*name);
	return name->len > 0 ? NULL : "expected a name before the \"=\"";
}

static bool
refuse(const Parser *parser, const char *why)
{
	return smrt_error_set(parser->error, "%s, line %d: %s",
						  file_names[parser->file], parser->line, why);
}

static bool
no_memory(const Parser *parser)
{
	return smrt_error_set(parser->error, "%s: no memory", file_names[parser->file]);
}

/* files has a bit for each file that counts. */
static const Property *
find(const SmrtProfiles *profiles, SmrtSection section, SmrtSpan property,
	 unsigned files)
{
	for (size_t i = profiles->n_properties; i-- > 0;)
	{
		const Property *candidate = &profiles->properties[i];
		const Section *place = &profiles->sections[candidate->section];

		if ((files & (1U << place->file)) != 0 &&
			smrt_span_equal_nocase(candidate->name, property) &&
			same_section(profiles, place, section))
			return candidate;
	}
	return NULL;
}

static bool
same_section(const SmrtProfiles *profiles, const Section *section,
			 SmrtSection id)
{
	if (section->bare && profiles->prefixed_default)
		return false;
	return section->id.kind == id.kind &&
		smrt_span_equal(section->id.name, id.name);
}

/*
 * Gives the array with room for one more item, perhaps elsewhere; NULL, with
 * the array as it was, when there is no memory.
 */
static void *
make_room(const SmrtAlloc *alloc, void *array, size_t n, size_t *room,
		  size_t item_size)
{
	size_t		more = *room ? *room * 2 : FIRST_ROOM;
	void	   *moved;

	if (n < *room)
		return array;
	moved = alloc->resize(alloc->owner, array, more * item_size);
	if (moved)
		*room = more;
	return moved;
}
