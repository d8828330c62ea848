/*
 * Where requests go, with whose keys and under which bounds: everything that
 * the floors above need to know of settings and catalogs, as one value.
 */
#ifndef SMRT_PG_TARGET_H
#define SMRT_PG_TARGET_H

#include "aws/sigv4.h"
#include "aws/url.h"
#include "pg/settings.h"

/* Whose keys sign. */
typedef enum SmrtKeySource
{
	SMRT_KEYS_MAPPING,			/* those of a user mapping, in keys */
	SMRT_KEYS_SESSION,			/* those that the role set itself, in keys */
	SMRT_KEYS_CONFIGURED,		/* those of the configuration file, in keys */
	SMRT_KEYS_PROFILE,			/* those of the profile, which a superuser
								 * put into the user mapping */
	SMRT_KEYS_AMBIENT			/* what the database server finds around it */
} SmrtKeySource;

/* Its name for people: "keys of the user mapping". */
extern const char *smrt_key_source_name(SmrtKeySource source);

/* What an option says, if it is given. */
typedef enum SmrtChoice
{
	SMRT_CHOICE_OPEN,
	SMRT_CHOICE_NO,
	SMRT_CHOICE_YES
} SmrtChoice;

typedef struct SmrtTarget
{
	const char *server;			/* foreign server's name; NULL: none in play */
	Oid			mapping;		/* InvalidOid: none */
	char		identity[SMRT_SHA256_HEX_LEN + 1];	/* differs where any of
													 * the keys' origins or
													 * ca_file does */
	SmrtKeySource key_source;
	SmrtKeys	keys;			/* absent where they have to be found */
	const char *profile;		/* these are NULL when not given */
	const char *role_arn;		/* to be assumed with the keys */
	const char *external_id;
	const char *role_session_name;
	const char *sts_endpoint_url;
	const char *s3_endpoint_url;

	const char *given_region;	/* NULL: environment, profile or instance */
	bool		region_of_server;	/* it is the server's, not the setting's */
	const char *endpoint_url;	/* NULL: AWS's own host of the region */
	bool		url_of_server;	/* it is the server's, not the setting's */
	SmrtChoice	given_fips;		/* OPEN: environment or profile */
	SmrtChoice	given_dualstack;
	bool		allow_http;		/* plain http to other machines too */
	const char *ca_file;		/* NULL: libcurl's own */
	const char *proxy;			/* NULL: none */
	int			idle_timeout;	/* s */
	SmrtLimits	limits;

	/* filled in by call/location.c */
	SmrtSpan	region;
	const char *region_source;	/* for people: "instance metadata" */
	bool		use_fips;
	bool		use_dualstack;
	const char *base_url;		/* scheme, authority and path, no "/" at the
								 * end; NULL: not located yet */
	SmrtUrl		url;			/* the same, taken apart */
	size_t		bucket_len;		/* what of its authority names a bucket of
								 * S3, the dot included; 0: nothing */

	MemoryContext context;		/* all of this is in it */
	int			references;
} SmrtTarget;

/*
 * Whether the database server's own identity signs.  What surrounds the server,
 * its URLs and hosts among it, speaks for that only.
 */
static inline bool
smrt_target_uses_surroundings(const SmrtTarget *target)
{
	return target->key_source == SMRT_KEYS_AMBIENT ||
		target->key_source == SMRT_KEYS_PROFILE;
}

/*
 * The target for the current user: of that server, else of the default server,
 * else of the settings.  It is valid until the next call of this function; who
 * needs it longer retains it.  Errors: 42704, 42809 and 42501 as
 * smrt_server_require(); 42501 when the user may use no keys at all.
 */
extern SmrtTarget *smrt_target_get(const char *server);

/*
 * The same keys, bounds and ways to another place, which is not located yet.
 * Its context is below the current one; the caller gives it a parent that
 * lasts, and releases the target.  It holds on to the one that it is made of.
 */
extern SmrtTarget *smrt_target_derive(SmrtTarget *target);

extern SmrtTarget *smrt_target_retain(SmrtTarget *target);
extern void smrt_target_release(SmrtTarget *target);

#endif							/* SMRT_PG_TARGET_H */
