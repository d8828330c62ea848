/*
 * Foreign servers of the wrapper sagemaker, and who may use them as whom.
 */
#ifndef SMRT_PG_SERVER_H
#define SMRT_PG_SERVER_H

#include "pg/option.h"

typedef struct SmrtServer
{
	const char *name;
	SmrtOptionValues options;	/* of the server */
	Oid			mapping;		/* the user mapping's oid; InvalidOid: none */
	SmrtOptionValues mapping_options;
} SmrtServer;

/*
 * The server's oid.  Errors: 42704 when there is none of that name, 42809 when
 * it is another wrapper's, 42501 when the user has no USAGE on it.
 */
extern Oid	smrt_server_require(const char *name, Oid user);

/*
 * Server and the user's mapping, else PUBLIC's, in the current memory context;
 * the limits that the server has go into limits.
 */
extern void smrt_server_read(Oid server, Oid user, SmrtServer *out,
							 SmrtLimits *limits);

/* Changes whenever a server, mapping or role changes. */
extern uint64 smrt_server_generation(void);

/* Changes whenever a server or mapping changes. */
extern uint64 smrt_server_mapping_generation(void);

#endif							/* SMRT_PG_SERVER_H */
