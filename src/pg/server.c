/*
 * Reading servers and mappings from the catalogs.
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "pg/compat.h"
#include "pg/server.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#define WRAPPER "sagemaker"

static uint64 generation = 1;

static void watch_catalogs(void);

Oid
smrt_server_require(const char *name, Oid user)
{
	ForeignServer *server = GetForeignServerByName(name, false);
	AclResult	result;

	if (strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, WRAPPER) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not of foreign-data wrapper \"%s\"",
						name, WRAPPER)));
	result = smrt_server_aclcheck(server->serverid, user);
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FOREIGN_SERVER, name);
	return server->serverid;
}

void
smrt_server_read(Oid serverid, Oid user, SmrtServer *out, SmrtLimits *limits)
{
	ForeignServer *server = GetForeignServer(serverid);

	memset(out, 0, sizeof(*out));
	out->name = server->servername;
	smrt_option_read(server->options, &out->options, limits);
	if (SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(user),
							  ObjectIdGetDatum(serverid)) ||
		SearchSysCacheExists2(USERMAPPINGUSERSERVER,
							  ObjectIdGetDatum(InvalidOid),
							  ObjectIdGetDatum(serverid)))
	{
		UserMapping *mapping = GetUserMapping(user, serverid);

		out->mapping = mapping->umid;
		smrt_option_read(mapping->options, &out->mapping_options, limits);
	}
}

uint64
smrt_server_generation(void)
{
	watch_catalogs();
	return generation;
}

static void
note_change(Datum arg, int cache, uint32 hash)
{
	generation++;
}

static void
watch_catalogs(void)
{
	static bool watching = false;

	if (watching)
		return;
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, note_change, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, note_change, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, note_change, (Datum) 0);
	watching = true;
}
