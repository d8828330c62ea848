/*
 * VALUES lists whose rows call models.
 */
#ifndef SMRT_SCAN_VALUESLIST_H
#define SMRT_SCAN_VALUESLIST_H

#include "scan/rewrite.h"

/*
 * Moves calls that several rows have in one column into the node's target list
 * and conditions, where they can be batched; their arguments become columns.
 */
extern void smrt_valueslist_spread(ValuesScan *node, SmrtStep *step);

#endif							/* SMRT_SCAN_VALUESLIST_H */
