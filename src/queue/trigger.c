/*
 * What the triggers have in common: arguments, and what counts as a change.
 */
#include "postgres.h"

#include "pg/searchpath.h"
#include "queue/trigger.h"
#include "utils/datum.h"
#include "utils/rel.h"

static const char *const stamp_words[] = {
	[SMRT_STAMP_MADE_AT] = "made_at=",
	[SMRT_STAMP_VARIANT] = "variant=",
	[SMRT_STAMP_VERSION] = "version=",
};

StaticAssertDecl(lengthof(stamp_words) == SMRT_STAMP_COUNT,
				 "every stamp needs a word");

static bool read_stamp(const char *argument, SmrtTableSpec *spec);
static bool any_changed(const TriggerData *trigger, const SmrtColumn *columns,
						int n);

void
smrt_trigger_read(const TriggerData *trigger, SmrtTableSpec *spec)
{
	const Trigger *definition = trigger->tg_trigger;
	int			pinned = smrt_searchpath_pin();

	if (definition->tgnargs < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("trigger \"%s\" has too few arguments", definition->tgname),
				 errdetail("They are a model and the columns that take its prediction.")));
	spec->relation = RelationGetRelid(trigger->tg_relation);
	spec->function = smrt_boundtable_function(definition->tgargs[0]);
	spec->targets = NIL;
	for (int i = 1; i < definition->tgnargs; i++)
		if (!read_stamp(definition->tgargs[i], spec))
			spec->targets = lappend(spec->targets, pstrdup(definition->tgargs[i]));
	smrt_searchpath_restore(pinned);
}

static bool
read_stamp(const char *argument, SmrtTableSpec *spec)
{
	for (int i = 0; i < SMRT_STAMP_COUNT; i++)
	{
		size_t		len = strlen(stamp_words[i]);

		if (strncmp(argument, stamp_words[i], len) != 0)
			continue;
		spec->stamps[i] = pstrdup(argument + len);
		return true;
	}
	return false;
}

char *
smrt_trigger_stamp(SmrtStamp stamp, const char *column)
{
	return psprintf("%s%s", stamp_words[stamp], column);
}

bool
smrt_trigger_input_changed(const TriggerData *trigger,
						   const SmrtBoundTable *binding)
{
	return any_changed(trigger, binding->inputs, binding->n_inputs);
}

bool
smrt_trigger_key_changed(const TriggerData *trigger,
						 const SmrtBoundTable *binding)
{
	return any_changed(trigger, binding->keys, binding->n_keys);
}

static bool
any_changed(const TriggerData *trigger, const SmrtColumn *columns, int n)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);

	for (int i = 0; i < n; i++)
	{
		AttrNumber	number = columns[i].number;
		Form_pg_attribute attribute = TupleDescAttr(desc, number - 1);
		bool		old_null;
		bool		new_null;
		Datum		old_value = slot_getattr(trigger->tg_trigslot, number, &old_null);
		Datum		new_value = slot_getattr(trigger->tg_newslot, number, &new_null);

		if (old_null != new_null ||
			(!old_null && !datum_image_eq(old_value, new_value,
										  attribute->attbyval, attribute->attlen)))
			return true;
	}
	return false;
}

void
smrt_trigger_require_row(const TriggerData *trigger, const char *function,
						 const char *when)
{
	bool		before = strcmp(when, "BEFORE") == 0;

	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!(before ? TRIGGER_FIRED_BEFORE(trigger->tg_event) :
		  TRIGGER_FIRED_AFTER(trigger->tg_event)) ||
		!(TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		  TRIGGER_FIRED_BY_UPDATE(trigger->tg_event)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s() must be fired %s INSERT OR UPDATE FOR EACH ROW",
						function, when)));
}
