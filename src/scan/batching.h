/*
 * The planner step: plans in which model functions are called for many rows get
 * a node that predicts them in batches.
 */
#ifndef SMRT_SCAN_BATCHING_H
#define SMRT_SCAN_BATCHING_H

/* Puts the step after the planner, and after any step that is there. */
extern void smrt_batching_install(void);

/*
 * Says once a session, by a NOTICE, how a statement that was planned before the
 * library came would be batched.  To be called when one place of a statement
 * calls a model for a second row.
 */
extern void smrt_batching_advise(void);

#endif							/* SMRT_SCAN_BATCHING_H */
