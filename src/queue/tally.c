/*
 * Tallies.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "queue/tally.h"

typedef struct Count
{
	int			sqlstate;
	int64		n;
} Count;

static void count(SmrtTally *tally, int sqlstate);
static void keep(SmrtTally *tally, const char *message);

void
smrt_tally_init(SmrtTally *tally)
{
	memset(tally, 0, sizeof(*tally));
	tally->context = CurrentMemoryContext;
}

void
smrt_tally_add(SmrtTally *tally, const SmrtFailure *failure)
{
	MemoryContext before = MemoryContextSwitchTo(tally->context);

	count(tally, failure->sqlstate);
	keep(tally, failure->message);
	MemoryContextSwitchTo(before);
}

static void
count(SmrtTally *tally, int sqlstate)
{
	ListCell   *cell;
	Count	   *new;

	foreach(cell, tally->counts)
	{
		Count	   *known = lfirst(cell);

		if (known->sqlstate != sqlstate)
			continue;
		known->n++;
		return;
	}
	new = palloc(sizeof(Count));
	*new = (Count) {sqlstate, 1};
	tally->counts = lappend(tally->counts, new);
}

static void
keep(SmrtTally *tally, const char *message)
{
	for (int i = 0; i < tally->n_messages; i++)
		if (strcmp(tally->messages[i], message) == 0)
			return;
	if (tally->n_messages < SMRT_TALLY_MESSAGES)
		tally->messages[tally->n_messages++] = pstrdup(message);
}

char *
smrt_tally_counts(const SmrtTally *tally)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, tally->counts)
	{
		const Count *known = lfirst(cell);

		appendStringInfo(&text, "%s" INT64_FORMAT " of %s",
						 text.len > 0 ? ", " : "", known->n,
						 unpack_sql_state(known->sqlstate));
	}
	return text.data;
}

char *
smrt_tally_messages(const SmrtTally *tally)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < tally->n_messages; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? "\n" : "", tally->messages[i]);
	return text.data;
}
