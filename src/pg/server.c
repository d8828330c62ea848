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
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#define WRAPPER "sagemaker"

#define MAKE_ONE "Name a server that was made by CREATE SERVER ... FOREIGN DATA WRAPPER " WRAPPER "."

static uint64 generation = 1;
static uint64 mapping_generation = 1;

static void watch_catalogs(void);

Oid
smrt_server_require(const char *name, Oid user)
{
	ForeignServer *server = GetForeignServerByName(name, true);

	if (server == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("server \"%s\" does not exist", name),
				 errhint(MAKE_ONE)));
	if (strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, WRAPPER) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not of foreign-data wrapper \"%s\"",
						name, WRAPPER),
				 errhint(MAKE_ONE)));
	if (smrt_server_aclcheck(server->serverid, user) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for foreign server %s", name),
				 errhint("Have its owner GRANT USAGE ON FOREIGN SERVER %s TO %s.",
						 quote_identifier(name),
						 quote_identifier(GetUserNameFromId(user, false)))));
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

uint64
smrt_server_mapping_generation(void)
{
	watch_catalogs();
	return mapping_generation;
}

static void
note_change(Datum arg, int cache, uint32 hash)
{
	generation++;
	mapping_generation += cache != AUTHOID;
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
