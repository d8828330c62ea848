/*
 * AWS's shared config and credentials files: profiles, and the sections that
 * profiles refer to.
 *
 * The dialect is AWS's own and looks like an ini file only from afar: "#" and
 * ";" start a comment at the beginning of a line or after a blank, an indented
 * line continues the property above it, and below a property without a value
 * each indented line is a property of its own (nested).  The config file says
 * [profile x] where the credentials file says [x].  In the config file
 * [profile default], if there is one, replaces [default].  Sections of other
 * kinds and names that AWS does not permit are skipped, wrong syntax is an
 * error even there.
 */
#ifndef SMRT_AWS_PROFILE_H
#define SMRT_AWS_PROFILE_H

#include "aws/buffer.h"
#include "aws/error.h"

/* A file with more bytes is refused. */
#define SMRT_PROFILES_MAX_TEXT (1024 * 1024)

typedef enum SmrtProfileFile
{
	SMRT_PROFILE_CONFIG,
	SMRT_PROFILE_CREDENTIALS,
	SMRT_PROFILE_FILE_COUNT
} SmrtProfileFile;

typedef enum SmrtSectionKind
{
	SMRT_SECTION_PROFILE,
	SMRT_SECTION_SSO_SESSION,	/* config file only, as the next */
	SMRT_SECTION_SERVICES
} SmrtSectionKind;

/* Sections of the same kind and name, in either file, are one. */
typedef struct SmrtSection
{
	SmrtSectionKind kind;
	SmrtSpan	name;			/* compared with case */
} SmrtSection;

typedef struct SmrtProfiles SmrtProfiles;

/*
 * Both texts are copied; either may be absent or empty.  NULL when one is
 * wrong or there is no memory: error then names file and line, but quotes
 * nothing, as any piece of a file may be one of a secret.  The result is freed
 * by smrt_profiles_free(); alloc must live until then.
 */
extern SmrtProfiles *smrt_profiles_parse(SmrtSpan config, SmrtSpan credentials,
										 const SmrtAlloc *alloc,
										 SmrtError *error);

/* Overwrites the texts first.  NULL is permitted. */
extern void smrt_profiles_free(SmrtProfiles *profiles);

/* Whether there is such a section, be it without any property. */
extern bool smrt_profiles_has(const SmrtProfiles *profiles,
							  SmrtSection section);

/*
 * The value of a property, whose name is compared without case: the last one
 * given, that of the credentials file before that of the config file.  Absent
 * when there is none.  Continuation lines are in it, each after a "\n", and it
 * may hold any byte but NUL: whoever uses it must check it.  Valid until the
 * profiles are freed.
 */
extern SmrtSpan smrt_profiles_value(const SmrtProfiles *profiles,
									SmrtSection section, SmrtSpan property);

/*
 * The same from one file only: for values that belong together, such as a key
 * and its session token.
 */
extern SmrtSpan smrt_profiles_value_in(const SmrtProfiles *profiles,
									   SmrtProfileFile file,
									   SmrtSection section, SmrtSpan property);

/*
 * The value of a property nested in another: "name" of
 *
 *     property =
 *       name = value
 *
 * Of several definitions of property only the last is looked at.
 */
extern SmrtSpan smrt_profiles_nested_value(const SmrtProfiles *profiles,
										   SmrtSection section,
										   SmrtSpan property, SmrtSpan name);

static inline SmrtSection
smrt_section(SmrtSectionKind kind, SmrtSpan name)
{
	SmrtSection section = {kind, name};

	return section;
}

#endif							/* SMRT_AWS_PROFILE_H */
