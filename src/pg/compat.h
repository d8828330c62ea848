/*
 * What differs between PostgreSQL 13 and 18, behind one name each.  No other
 * file asks for the server's version.
 */
#ifndef SMRT_PG_COMPAT_H
#define SMRT_PG_COMPAT_H

#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_proc.h"
#include "common/jsonapi.h"
#include "nodes/plannodes.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

#if PG_VERSION_NUM < 130000
#error "sagemaker_rt needs PostgreSQL 13 or newer"
#endif

#if PG_VERSION_NUM >= 150000
#include "common/pg_prng.h"
#endif
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
#if PG_VERSION_NUM >= 170000
#include "utils/wait_event.h"
#endif
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#else
#include "commands/explain.h"
#endif

/* 18's spelling, before a declaration. */
#ifndef pg_noreturn
#define pg_noreturn _Noreturn
#endif

/* What a hook around utility statements takes, and hands on. */
#if PG_VERSION_NUM >= 140000
#define SMRT_UTILITY_PARAMETERS \
	PlannedStmt *pstmt, const char *queryString, bool readOnlyTree, \
	ProcessUtilityContext context, ParamListInfo params, \
	QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc
#define SMRT_UTILITY_ARGUMENTS \
	pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc
#else
#define SMRT_UTILITY_PARAMETERS \
	PlannedStmt *pstmt, const char *queryString, \
	ProcessUtilityContext context, ParamListInfo params, \
	QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc
#define SMRT_UTILITY_ARGUMENTS \
	pstmt, queryString, context, params, queryEnv, dest, qc
#endif

/* JSON_VALUE() and its like. */
static inline bool
smrt_is_json_query(const Node *node)
{
#if PG_VERSION_NUM >= 170000
	return IsA(node, JsonExpr);
#else
	return false;
#endif
}

/* A typing error in one of our settings becomes an error, or a warning. */
static inline void
smrt_reserve_settings(const char *prefix)
{
#if PG_VERSION_NUM >= 150000
	MarkGUCPrefixReserved(prefix);
#else
	EmitWarningsOnPlaceholders(prefix);
#endif
}

/* A setting's record, be it a placeholder's; NULL: nobody has named it. */
static inline const struct config_generic *
smrt_setting_find(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, true, ERROR);
#else
	struct config_generic **all = get_guc_variables();

	for (int i = GetNumConfigOptions() - 1; i >= 0; i--)
		if (pg_strcasecmp(all[i]->name, name) == 0)
			return all[i];
	return NULL;
#endif
}

/*
 * The role that set a placeholder's value in this session, and whatever values
 * come back at the end of a transaction; InvalidOid: several did.
 */
static inline Oid
smrt_setting_setter(const struct config_generic *placeholder)
{
#if PG_VERSION_NUM >= 150000
	for (const GucStack *stack = placeholder->stack; stack; stack = stack->prev)
		if ((stack->source >= PGC_S_CLIENT &&
			 stack->srole != placeholder->srole) ||
			(stack->state == GUC_SET_LOCAL &&
			 stack->masked_srole != placeholder->srole))
			return InvalidOid;
	return placeholder->srole;
#else
	/* Not recorded: the role that the session has now, functions aside. */
	(void) placeholder;
	return GetOuterUserId();
#endif
}

/* Memory of a setting's value, for check hooks; NULL: none. */
static inline char *
smrt_setting_alloc(size_t size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(LOG, size);
#else
	return malloc(size);
#endif
}

static inline void
smrt_setting_free(char *value)
{
#if PG_VERSION_NUM >= 160000
	guc_free(value);
#else
	free(value);
#endif
}

/* A set that lives as long as the process, owned by no resource owner. */
static inline WaitEventSet *
smrt_wait_set_create(int nevents)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(NULL, nevents);
#else
	return CreateWaitEventSet(TopMemoryContext, nevents);
#endif
}

/* The role that may see everybody's statistics. */
static inline bool
smrt_may_read_all_stats(Oid role)
{
#if PG_VERSION_NUM >= 140000
	return has_privs_of_role(role, ROLE_PG_READ_ALL_STATS);
#else
	return has_privs_of_role(role, DEFAULT_ROLE_READ_ALL_STATS);
#endif
}

/* What pg_stat_activity shows: a name of ours where the server has such. */
static inline uint32
smrt_wait_event(const char *name)
{
#if PG_VERSION_NUM >= 170000
	return WaitEventExtensionNew(name);
#else
	(void) name;
	return PG_WAIT_EXTENSION;
#endif
}

/* USAGE on a foreign server. */
static inline AclResult
smrt_server_aclcheck(Oid server, Oid user)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ForeignServerRelationId, server, user, ACL_USAGE);
#else
	return pg_foreign_server_aclcheck(server, user, ACL_USAGE);
#endif
}

/* EXECUTE on a function. */
static inline AclResult
smrt_function_aclcheck(Oid function, Oid user)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, function, user, ACL_EXECUTE);
#else
	return pg_proc_aclcheck(function, user, ACL_EXECUTE);
#endif
}

static inline bool
smrt_owns_table(Oid table, Oid user)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, table, user);
#else
	return pg_class_ownercheck(table, user);
#endif
}

/* The plans below a ModifyTable, where they are a list; NULL: a lefttree. */
static inline List **
smrt_modify_plans(Plan *node)
{
#if PG_VERSION_NUM >= 140000
	return NULL;
#else
	return &((ModifyTable *) node)->plans;
#endif
}

/* Lists of MERGE's actions. */
static inline List *
smrt_merge_actions(const ModifyTable *node)
{
#if PG_VERSION_NUM >= 150000
	return node->mergeActionLists;
#else
	return NIL;
#endif
}

/* Conditions on a window's columns under which it goes on; NULL: not known. */
static inline List **
smrt_run_condition(Plan *node)
{
#if PG_VERSION_NUM >= 150000
	return IsA(node, WindowAgg) ? &((WindowAgg *) node)->runCondition : NULL;
#else
	return NULL;
#endif
}

/* unnest(anyarray) */
static inline Oid
smrt_function_unnest(void)
{
#if PG_VERSION_NUM >= 140000
	return F_UNNEST_ANYARRAY;
#else
	return F_ARRAY_UNNEST;
#endif
}

/* That an Append may ask it for rows and not wait. */
static inline void
smrt_plan_forbid_async(Plan *node)
{
#if PG_VERSION_NUM >= 140000
	node->async_capable = false;
#endif
}

/* Of a plan that is not saved, and belongs to no resource owner. */
static inline void
smrt_plan_release(CachedPlan *plan)
{
#if PG_VERSION_NUM >= 140000
	ReleaseCachedPlan(plan, NULL);
#else
	ReleaseCachedPlan(plan, false);
#endif
}

/*
 * Has hook asked, in the postmaster and while libraries are loaded, for what
 * shared memory it needs.  previous is the caller's to keep, and hook's to call.
 */
#if PG_VERSION_NUM >= 150000
typedef shmem_request_hook_type SmrtShmemHook;
#else
typedef void (*SmrtShmemHook) (void);
#endif

static inline void
smrt_shmem_request(SmrtShmemHook hook, SmrtShmemHook *previous)
{
#if PG_VERSION_NUM >= 150000
	*previous = shmem_request_hook;
	shmem_request_hook = hook;
#else
	*previous = NULL;
	hook();
#endif
}

/* Uniform in [0, 1); nothing that must not be guessed. */
static inline double
smrt_random_fraction(void)
{
#if PG_VERSION_NUM >= 150000
	return pg_prng_double(&pg_global_prng_state);
#else
	return (double) random() / ((double) MAX_RANDOM_VALUE + 1);
#endif
}

/* What a callback of the JSON parser returns: return SMRT_JSON_GO_ON; */
#if PG_VERSION_NUM >= 160000
typedef JsonParseErrorType SmrtJsonVerdict;
#define SMRT_JSON_GO_ON JSON_SUCCESS
#else
typedef void SmrtJsonVerdict;
#define SMRT_JSON_GO_ON
#endif

/* A palloc'ed parser state over text in the given encoding. */
static inline JsonLexContext *
smrt_json_lexer(char *text, size_t len, int encoding)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, text, len, encoding, true);
#else
	return makeJsonLexContextCstringLen(text, (int) len, encoding, true);
#endif
}

#endif							/* SMRT_PG_COMPAT_H */
