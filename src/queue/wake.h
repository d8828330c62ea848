/*
 * Who works off which database's queue, in shared memory, and how a commit wakes
 * it.  Only where the postmaster loaded the library; elsewhere nobody works.
 *
 * A worker owns the slot of its database while it lives.  One lock is for
 * membership; the flag in a slot is set and cleared without it.
 */
#ifndef SMRT_QUEUE_WAKE_H
#define SMRT_QUEUE_WAKE_H

#include "nodes/pg_list.h"

/* In the postmaster, while it loads the library. */
extern void smrt_wake_install(void);

/* Names of the databases that shall have a worker, palloc'ed, as configured. */
extern List *smrt_wake_databases(void);

/*
 * This transaction has put rows into the queue: its commit wakes the worker.
 * A warning, once a transaction, when this database is to have none.
 */
extern void smrt_wake_at_commit(void);

/*
 * This process is the worker of its database until it ends.  False: another
 * process is.
 */
extern bool smrt_wake_attach(void);

/* Whether this database shall have a worker.  Needs a transaction. */
extern bool smrt_wake_is_configured(void);

/* Whether the worker was woken since the last call.  Of the worker only. */
extern bool smrt_wake_take(void);

/* This process is woken whenever a worker attaches or ends, until it ends itself. */
extern void smrt_wake_watch(void);

/* Whether a database has a worker now. */
extern bool smrt_wake_is_attached(Oid database);

#endif							/* SMRT_QUEUE_WAKE_H */
