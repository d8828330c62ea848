/*
 * Triggers that predict: for each row before it is stored, or for a statement's
 * rows together after it.
 *
 * Their arguments: the model, then the columns that take the prediction, then,
 * as wanted, made_at=COLUMN, variant=COLUMN and version=COLUMN.
 */
#ifndef SMRT_QUEUE_TRIGGER_H
#define SMRT_QUEUE_TRIGGER_H

#include "commands/trigger.h"
#include "queue/boundtable.h"

/*
 * Reads a trigger's arguments; needs_key and has_no_inputs are left alone.  With
 * search_path pinned, so that the writer's does not choose the model.  Raises
 * 22023 for what is no argument, 42883 for a model that is not there.
 */
extern void smrt_trigger_read(const TriggerData *trigger,
							  SmrtTableSpec *spec);

/* The argument that has a stamp written into that column, palloc'ed. */
extern char *smrt_trigger_stamp(SmrtStamp stamp, const char *column);

/* Whether an UPDATE changed an input of the row, or its key, byte for byte. */
extern bool smrt_trigger_input_changed(const TriggerData *trigger,
									   const SmrtBoundTable *binding);
extern bool smrt_trigger_key_changed(const TriggerData *trigger,
									 const SmrtBoundTable *binding);

/*
 * BEFORE INSERT OR UPDATE FOR EACH ROW: the row with its prediction.  As the role
 * that writes.  state is the caller's, for as long as the statement runs: NULL
 * at first.
 */
extern HeapTuple smrt_trigger_predict_row(const TriggerData *trigger,
										  void **state, MemoryContext context);

/*
 * AFTER INSERT or UPDATE FOR EACH STATEMENT, with transition tables: predicts what
 * was inserted or had an input changed, and writes it back by primary key.
 */
extern void smrt_trigger_predict_rows(TriggerData *trigger);

/*
 * Raises 39P01 unless the trigger function was fired for each row of INSERT or
 * UPDATE, when being "BEFORE" or "AFTER".
 */
extern void smrt_trigger_require_row(const TriggerData *trigger,
									 const char *function, const char *when);

#endif							/* SMRT_QUEUE_TRIGGER_H */
