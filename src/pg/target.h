/*
 * Where requests go, with whose keys and under which bounds: everything that
 * the floors above need to know of settings and catalogs, as one value.
 */
#ifndef SMRT_PG_TARGET_H
#define SMRT_PG_TARGET_H

#include "aws/sigv4.h"
#include "aws/url.h"
#include "pg/settings.h"

typedef struct SmrtTarget
{
	const char *base_url;		/* scheme, authority and path, no "/" at the end */
	SmrtUrl		url;			/* the same, taken apart */
	SmrtSpan	region;
	SmrtKeys	keys;
	const char *ca_file;		/* NULL: libcurl's own */
	const char *proxy;			/* NULL: none */
	bool		allow_http;		/* plain http to other machines too */
	int			idle_timeout;	/* s */
	SmrtLimits	limits;
	int			references;		/* internal */
} SmrtTarget;

/*
 * The target that the settings describe now.  It is valid until the next call
 * of this function; who needs it longer retains it.  Errors: 22023 when they
 * name no region or a URL that is not permitted, 28000 when they hold no keys.
 */
extern SmrtTarget *smrt_target_get(void);

extern SmrtTarget *smrt_target_retain(SmrtTarget *target);
extern void smrt_target_release(SmrtTarget *target);

#endif							/* SMRT_PG_TARGET_H */
