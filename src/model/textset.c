/*
 * Rows of text, and of what went wrong.
 */
#include "postgres.h"

#include "model/textset.h"

struct SmrtTextSet
{
	SmrtStream *stream;
	SmrtDeltas *deltas;
	SmrtOnError on_error;
	bool		ended;			/* the failure was given out */
	SmrtReportWords words;		/* of it */
};

static bool next_delta(SmrtTextSet *set, SmrtDelta *delta);
static bool is_over_limit(const SmrtTextSet *set);
static void catch_data_error(SmrtReportWords *words);
static void report(int level, const SmrtReportWords *words);

SmrtTextSet *
smrt_textset_create(SmrtStream *stream, SmrtDeltas *deltas, SmrtOnError on_error)
{
	SmrtTextSet *set = palloc0(sizeof(SmrtTextSet));

	set->stream = stream;
	set->deltas = deltas;
	set->on_error = on_error;
	return set;
}

bool
smrt_textset_next(SmrtTextSet *set, SmrtTextRow *row)
{
	memset(row, 0, sizeof(*row));
	if (set->ended)
		return false;
	if (next_delta(set, &row->delta))
		return true;
	set->ended = true;
	if (set->words.message == NULL)
		return false;
	if (set->on_error == SMRT_ON_ERROR_ERROR || is_over_limit(set))
		report(ERROR, &set->words);
	if (set->on_error == SMRT_ON_ERROR_WARNING)
		report(WARNING, &set->words);
	row->failure = &set->words;
	return true;
}

/*
 * False: there is none, and if words has a message then, it says what went wrong.
 *
 * An error over what the stream holds is caught without a subtransaction: what
 * raises it parses, and holds nothing but memory.
 */
static bool
next_delta(SmrtTextSet *set, SmrtDelta *delta)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool found = false;

	PG_TRY();
	{
		found = smrt_deltas_next(set->deltas, delta);
		if (!found && smrt_stream_fault(set->stream) != NULL)
			smrt_report_words(smrt_stream_fault(set->stream),
							  smrt_stream_report(set->stream), &set->words);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (set->on_error == SMRT_ON_ERROR_ERROR ||
			!smrt_report_is_of_data(geterrcode()))
			PG_RE_THROW();
		memset(delta, 0, sizeof(*delta));
		catch_data_error(&set->words);
	}
	PG_END_TRY();
	return found;
}

/* That ends a statement, whatever becomes of failures. */
static bool
is_over_limit(const SmrtTextSet *set)
{
	const SmrtFault *fault = smrt_stream_fault(set->stream);

	return fault != NULL && smrt_fault_is_of_limit(fault->kind);
}

static void
catch_data_error(SmrtReportWords *words)
{
	ErrorData  *error = CopyErrorData();

	FlushErrorState();
	words->sqlstate = error->sqlerrcode;
	words->message = error->message;
	words->detail = error->detail;
	words->hint = error->hint;
}

static void
report(int level, const SmrtReportWords *words)
{
	ereport(level,
			(errcode(words->sqlstate),
			 errmsg_internal("%s", words->message),
			 words->detail ? errdetail_internal("%s", words->detail) : 0,
			 words->hint ? errhint("%s", words->hint) : 0));
}
