/*
 * A step that may fail, or run code of users, without harm to what comes after.
 */
#ifndef SMRT_PG_ISOLATED_H
#define SMRT_PG_ISOLATED_H

/*
 * Runs step(arg) in a subtransaction.  With a role, as that role in a
 * security-restricted operation: what it may change of the session is undone, and
 * triggers of the transaction that are deferred fire at once, as a restricted
 * operation would refuse them, and as they would fire with our rights later.
 *
 * NULL when it succeeded; else the error, in the memory context that is current
 * now, and the subtransaction is rolled back.
 */
extern ErrorData *smrt_isolated_run(void (*step) (void *arg), void *arg,
									Oid role);

#endif							/* SMRT_PG_ISOLATED_H */
