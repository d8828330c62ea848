/*
 * Scores that nobody reads are not bought.
 */
#ifndef SMRT_SCAN_UNREAD_H
#define SMRT_SCAN_UNREAD_H

#include "scan/rewrite.h"

/*
 * Where node is a subquery, an aggregation or a join: columns below it that call
 * deterministic models, and that it does not read, are NULL from now on.  Models
 * are volatile, so that the planner leaves such columns in.
 */
extern void smrt_unread_drop(Plan *node, SmrtStep *step);

/*
 * The same for a subplan of the statement, by its number from 1, if it is a CTE's.
 * To be called when all that may read it was visited, and it was not.
 */
extern void smrt_unread_drop_in_cte(int number, SmrtStep *step);

#endif							/* SMRT_SCAN_UNREAD_H */
