/*
 * The planner step: plans in which model functions are called for many rows get
 * a node that predicts them in batches.
 */
#ifndef SMRT_SCAN_BATCHING_H
#define SMRT_SCAN_BATCHING_H

/* Puts the step after the planner, and after any step that is there. */
extern void smrt_batching_install(void);

#endif							/* SMRT_SCAN_BATCHING_H */
