/*
 * Functions by what they are: those in language sagemaker, and some of the
 * extensions' own, in C, by their symbols.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "scan/callkind.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

/* Functions that are called somewhere. */
typedef struct Collection
{
	Oid			language;
	List	   *functions;		/* of Oid */
} Collection;

static bool is_ours(HeapTuple tuple);
static SmrtCallKind kind_by_symbol(HeapTuple tuple);
static bool exists(Node *node, Oid *language);
static bool collect(Node *node, Collection *collection);

bool
smrt_callkind_is_model(Node *node, Oid language)
{
	return smrt_callkind_of(node, language) != SMRT_CALL_OF_OTHER;
}

SmrtCallKind
smrt_callkind_of(Node *node, Oid language)
{
	SmrtCallKind kind = SMRT_CALL_OF_OTHER;
	HeapTuple	tuple;
	Oid			its_language;

	if (!IsA(node, FuncExpr))
		return SMRT_CALL_OF_OTHER;
	tuple = SearchSysCache1(PROCOID,
							ObjectIdGetDatum(((FuncExpr *) node)->funcid));
	if (!HeapTupleIsValid(tuple))
		return SMRT_CALL_OF_OTHER;
	its_language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
	if (its_language == language)
		kind = SMRT_CALL_OF_MODEL;
	else if (its_language == ClanguageId && is_ours(tuple))
		kind = kind_by_symbol(tuple);
	ReleaseSysCache(tuple);
	return kind;
}

/* Whether a C function is one of this library. */
static bool
is_ours(HeapTuple tuple)
{
	bool		is_null;
	Datum		library = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin,
										  &is_null);

	return !is_null &&
		strcmp(TextDatumGetCString(library), "$libdir/sagemaker_rt") == 0;
}

static SmrtCallKind
kind_by_symbol(HeapTuple tuple)
{
	static const struct
	{
		const char *name;
		SmrtCallKind kind;
	}			symbols[] = {
		{"sagemaker_predict", SMRT_CALL_OF_PREDICT},
		{"sagemaker_aurora_invoke_endpoint", SMRT_CALL_OF_AURORA},
		{"sagemaker_invoke", SMRT_CALL_OF_INVOKE},
		{"sagemaker_invoke_async", SMRT_CALL_OF_INVOKE},
	};
	bool		is_null;
	char	   *symbol = TextDatumGetCString(SysCacheGetAttr(PROCOID, tuple,
															 Anum_pg_proc_prosrc,
															 &is_null));

	for (int i = 0; i < lengthof(symbols); i++)
		if (strcmp(symbol, symbols[i].name) == 0)
			return symbols[i].kind;
	return SMRT_CALL_OF_OTHER;
}

bool
smrt_callkind_exists(Node *node, Oid language)
{
	return exists(node, &language);
}

static bool
exists(Node *node, Oid *language)
{
	if (node == NULL)
		return false;
	return smrt_callkind_is_model(node, *language) ||
		expression_tree_walker(node, exists, language);
}

void
smrt_callkind_collect(Node *node, Oid language, List **functions)
{
	Collection	collection = {language, *functions};

	(void) collect(node, &collection);
	*functions = collection.functions;
}

static bool
collect(Node *node, Collection *collection)
{
	if (node == NULL)
		return false;
	if (smrt_callkind_is_model(node, collection->language))
		collection->functions = list_append_unique_oid(collection->functions,
													   ((FuncExpr *) node)->funcid);
	return expression_tree_walker(node, collect, collection);
}
