/*
 * Calls that a node evaluates for each row it takes in, not for each it gives.
 */
#ifndef SMRT_SCAN_LIFT_H
#define SMRT_SCAN_LIFT_H

#include "scan/rewrite.h"

/*
 * Calls in the arguments of node's aggregates, window functions and set-returning
 * functions, and sets that models give, are computed by a scan below it from now
 * on.  False: there are none.
 */
extern bool smrt_lift_arguments(Plan *node, SmrtStep *step);

#endif							/* SMRT_SCAN_LIFT_H */
