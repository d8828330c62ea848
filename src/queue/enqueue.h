/*
 * Putting rows into the queue, within the transaction of who writes them.
 *
 * namespace is the schema of the extension.  What is enqueued belongs to the
 * current role.
 */
#ifndef SMRT_QUEUE_ENQUEUE_H
#define SMRT_QUEUE_ENQUEUE_H

#include "queue/trigger.h"
#include "utils/array.h"

/*
 * One row of a table by its primary key, a text for each column.  spec without
 * targets: the queue keeps the result.  The id in the queue.  Errors: as
 * smrt_boundtable_make(), smrt_key_from_text() and smrt_queuetable_put().
 */
extern int64 smrt_enqueue(Oid namespace, SmrtTableSpec *spec,
						  ArrayType *key);

/*
 * AFTER INSERT OR UPDATE FOR EACH ROW: enqueues the row if it is new or an input
 * or its key changed.  state is the caller's, for as long as the statement runs:
 * NULL at first.
 */
extern void smrt_enqueue_row(Oid namespace, const TriggerData *trigger,
							 void **state, MemoryContext context);

/*
 * A dead row of a role that the current one may be is tried again; false: there is
 * no such row.
 */
extern bool smrt_enqueue_again(Oid namespace, int64 id);

#endif							/* SMRT_QUEUE_ENQUEUE_H */
