/*
 * Scores that nobody reads are not bought.
 */
#ifndef SMRT_SCAN_UNREAD_H
#define SMRT_SCAN_UNREAD_H

#include "scan/rewrite.h"

/*
 * Where node is a subquery or an aggregation: columns below it that call
 * deterministic models, and that it does not read, are NULL from now on.  Models
 * are volatile, so that the planner leaves such columns in.
 */
extern void smrt_unread_drop(Plan *node, SmrtStep *step);

#endif							/* SMRT_SCAN_UNREAD_H */
