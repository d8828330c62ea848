/*
 * Acting as the owner of the extension's tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "queue/owntable.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

void
smrt_owntable_begin(SmrtOwnTable *table, Oid namespace, const char *name)
{
	Oid			owner = smrt_table_owner(get_relname_relid(name, namespace));

	table->name = quote_qualified_identifier(get_namespace_name(namespace), name);
	GetUserIdAndSecContext(&table->role, &table->flags);
	SetUserIdAndSecContext(owner, table->flags | SECURITY_LOCAL_USERID_CHANGE);
}

void
smrt_owntable_end(const SmrtOwnTable *table)
{
	SetUserIdAndSecContext(table->role, table->flags);
}

Oid
smrt_table_owner(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", table);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}
