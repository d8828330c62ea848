/*
 * Where an expression calls model functions.
 */
#ifndef SMRT_SCAN_CALLSITE_H
#define SMRT_SCAN_CALLSITE_H

#include "nodes/parsenodes.h"

/* A call that can become a column. */
typedef struct SmrtCallSite
{
	FuncExpr   *call;
	List	   *arguments;		/* those that make the row */
	const char *endpoint;		/* of a call without a declared model, or NULL */
	int			max_rows;		/* of such a call; 0: the default */
	bool		is_invoke;		/* of an operation: there is no model */
	Expr	   *value;			/* what the column has: the call, or, of one that
								 * gives a set, an array of that */
	bool		copied;			/* the statement has it several times at one
								 * place */
	List	   *guard;			/* of Expr, all true for rows that get there; NIL:
								 * every row does */
} SmrtCallSite;

/* A statement whose calls are looked for. */
typedef struct SmrtCallScope
{
	Oid			language;		/* of model functions */
	List	   *copied;			/* of int: locations that have copies of a call */
} SmrtCallScope;

/*
 * Before the statement is planned.  Later, what was a SQL function looks like a
 * part of it, with locations in another text.
 */
extern SmrtCallScope smrt_callsite_scope(Query *query, Oid language);

/*
 * The calls of model functions in an expression or target list, or only those in
 * what its aggregates, window functions and set-returning functions take in, and
 * those set-returning functions that are models themselves.
 */
extern List *smrt_callsite_find(Node *node, const SmrtCallScope *scope);
extern List *smrt_callsite_find_in_arguments(Node *node,
											 const SmrtCallScope *scope);

/* Those in the expression of a function in FROM. */
extern List *smrt_callsite_find_in_function(Node *function,
											const SmrtCallScope *scope);

/*
 * Whether node is one of those, and where its arguments and its FILTER (NULL: it
 * can have none) are.
 */
extern bool smrt_callsite_takes_rows(Node *node, List ***arguments,
									 Expr ***filter);

/* Whether node is a call of a model that gives equal rows equal predictions. */
extern bool smrt_callsite_is_deterministic(Node *node, Oid language);

/*
 * A call's number among sites, from 1; 0: it is none of them.  Two equal calls
 * are one if the model is deterministic, or if they stood at one place of the
 * statement, as the copies that (f(x)).* makes do.
 */
extern int	smrt_callsite_number(List *sites, FuncExpr *call);

/* What only the plan node itself can compute: a column, an aggregate, ... */
extern bool smrt_callsite_leaf(Node *node);

#endif							/* SMRT_SCAN_CALLSITE_H */
