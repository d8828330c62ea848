/*
 * Subqueries that are no more than an expression.
 */
#ifndef SMRT_SCAN_SUBQUERY_H
#define SMRT_SCAN_SUBQUERY_H

#include "scan/rewrite.h"

/*
 * (SELECT f(t.x)) in node's target list or conditions is f(t.x) from now on, if it
 * calls a model: for the planner they differ, since a model is volatile.
 */
extern void smrt_subquery_inline(Plan *node, SmrtStep *step);

#endif							/* SMRT_SCAN_SUBQUERY_H */
