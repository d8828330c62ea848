/*
 * FROM t, LATERAL f(t.x): a nested loop around one call.
 */
#ifndef SMRT_SCAN_LATERAL_H
#define SMRT_SCAN_LATERAL_H

#include "scan/rewrite.h"

/*
 * What takes the place of a nested loop whose inner side is a bare call of a
 * model: a scan over its outer side.  NULL: the node is no such loop.
 * limit as in smrt_predictscan_make().
 */
extern Plan *smrt_lateral_unpack(Plan *node, SmrtStep *step, int limit);

#endif							/* SMRT_SCAN_LATERAL_H */
