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

/*
 * What the function scan on a nested loop's inner side calls for each outer row is
 * computed by a scan over the outer side from now on.  False: it calls nothing.
 */
extern bool smrt_lateral_lift(Plan *node, SmrtStep *step);

#endif							/* SMRT_SCAN_LATERAL_H */
