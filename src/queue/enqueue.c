/*
 * Enqueueing.  The names in an entry are made once a statement; a row adds its
 * key.
 */
#include "postgres.h"

#include "pg/searchpath.h"
#include "queue/enqueue.h"
#include "queue/key.h"
#include "queue/queuetable.h"
#include "queue/wake.h"
#include "utils/memutils.h"

/* What stays the same from row to row. */
typedef struct RowTrigger
{
	const SmrtBoundTable *binding;
	SmrtQueueEntry entry;		/* but for the key */
	Datum	   *values;			/* of the key */
	bool	   *nulls;
	MemoryContext row_context;	/* reset row by row */
} RowTrigger;

static SmrtQueueEntry entry_of(const SmrtTableSpec *spec,
							   const SmrtBoundTable *binding);
static RowTrigger *create(const TriggerData *trigger);
static ArrayType *key_of(const RowTrigger *state, TupleTableSlot *row);

int64
smrt_enqueue(Oid namespace, SmrtTableSpec *spec, ArrayType *key)
{
	const SmrtBoundTable *binding;
	SmrtQueueEntry entry;
	Datum	   *values;
	bool	   *nulls;

	spec->needs_key = true;
	spec->has_no_targets = spec->targets == NIL;
	for (int i = 0; i < SMRT_STAMP_COUNT; i++)
		if (spec->has_no_targets && spec->stamps[i] != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("made_at, variant and version need a target")));
	binding = smrt_boundtable_make(spec);
	values = palloc(binding->n_keys * sizeof(Datum));
	nulls = palloc0(binding->n_keys * sizeof(bool));
	entry = entry_of(spec, binding);
	/* There and back: one key has one text. */
	smrt_key_from_text(binding, key, values);
	entry.key = smrt_key_to_text(binding, values, nulls);
	smrt_wake_at_commit();
	return smrt_queuetable_put(namespace, &entry);
}

static SmrtQueueEntry
entry_of(const SmrtTableSpec *spec, const SmrtBoundTable *binding)
{
	SmrtQueueEntry entry = {
		.model = binding->model_name,
		.relation = binding->relation_name,
		.columns = spec->targets,
	};

	memcpy(entry.stamps, spec->stamps, sizeof(entry.stamps));
	return entry;
}

void
smrt_enqueue_row(Oid namespace, const TriggerData *trigger, void **state,
				 MemoryContext context)
{
	bool		is_update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	RowTrigger *row_trigger;
	MemoryContext before;

	smrt_trigger_require_row(trigger, "sagemaker_enqueue_row", "AFTER");
	if (*state == NULL)
	{
		before = MemoryContextSwitchTo(context);
		*state = create(trigger);
		MemoryContextSwitchTo(before);
	}
	row_trigger = *state;
	if (is_update &&
		!smrt_trigger_input_changed(trigger, row_trigger->binding) &&
		!smrt_trigger_key_changed(trigger, row_trigger->binding))
		return;
	before = MemoryContextSwitchTo(row_trigger->row_context);
	row_trigger->entry.key = key_of(row_trigger,
									is_update ? trigger->tg_newslot :
									trigger->tg_trigslot);
	smrt_wake_at_commit();
	(void) smrt_queuetable_put(namespace, &row_trigger->entry);
	MemoryContextSwitchTo(before);
	MemoryContextReset(row_trigger->row_context);
}

static RowTrigger *
create(const TriggerData *trigger)
{
	RowTrigger *state = palloc0(sizeof(RowTrigger));
	SmrtTableSpec spec = {.needs_key = true};

	smrt_trigger_read(trigger, &spec);
	state->binding = smrt_boundtable_make(&spec);
	state->entry = entry_of(&spec, state->binding);
	state->values = palloc(state->binding->n_keys * sizeof(Datum));
	state->nulls = palloc(state->binding->n_keys * sizeof(bool));
	state->row_context = AllocSetContextCreate(CurrentMemoryContext,
											   "sagemaker_rt trigger row",
											   ALLOCSET_SMALL_SIZES);
	return state;
}

static ArrayType *
key_of(const RowTrigger *state, TupleTableSlot *row)
{
	const SmrtBoundTable *binding = state->binding;

	for (int i = 0; i < binding->n_keys; i++)
		state->values[i] = slot_getattr(row, binding->keys[i].number,
										&state->nulls[i]);
	return smrt_key_to_text(binding, state->values, state->nulls);
}

bool
smrt_enqueue_again(Oid namespace, int64 id)
{
	int			pinned = smrt_searchpath_pin();
	bool		revived = smrt_queuetable_revive(namespace, id);

	smrt_searchpath_restore(pinned);
	if (revived)
		smrt_wake_at_commit();
	return revived;
}
