/*
 * Scores that nobody reads are not bought.
 */
#ifndef SMRT_SCAN_UNREAD_H
#define SMRT_SCAN_UNREAD_H

#include "scan/rewrite.h"

/*
 * Columns of the subquery that call deterministic models, and that nothing above
 * it reads, are NULL from now on.  Models are volatile, so that the planner leaves
 * such columns in.
 */
extern void smrt_unread_drop(SubqueryScan *node, SmrtStep *step);

#endif							/* SMRT_SCAN_UNREAD_H */
