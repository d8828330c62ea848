/*
 * Predictions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "aws/blame.h"
#include "model/failures.h"
#include "model/predict.h"
#include "model/result.h"
#include "model/row.h"
#include "pg/report.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

/* How much of an answer that does not fit is shown. */
#define SHOWN_BYTES 200

/* What an error's context says. */
typedef struct Place
{
	const SmrtModel *model;
	int			row;
} Place;

static void predict_alone(const SmrtModel *model, const Datum *values,
						  const bool *nulls, SmrtResult *result);
static Datum array_of(const SmrtModel *model, List *rows, bool *is_null);
static void predict(const SmrtModel *model, const SmrtOutcome *outcome,
					SmrtResult *result);
static void read_piece(const SmrtModel *model, const SmrtOutcome *outcome,
					   volatile bool *in_user_code, SmrtResult *result);
static void say_place(void *place);
static void read_softly(const SmrtModel *model, const SmrtOutcome *outcome,
						SmrtResult *result);
static void fail(const SmrtModel *model, const SmrtOutcome *outcome,
				 SmrtResult *result);
static bool is_dry(const SmrtOutcome *outcome);
static bool is_over_limit(const SmrtOutcome *outcome);
static void report(int level, const SmrtReportWords *words);
static const char *shown(SmrtSpan member);

Datum
smrt_predict_row(const SmrtModel *model, const Datum *values,
				 const bool *nulls, bool *is_null)
{
	SmrtResult	result;

	predict_alone(model, values, nulls, &result);
	*is_null = result.is_null;
	return result.datum;
}

void
smrt_predict_rows(const SmrtModel *model, const Datum *values,
				  const bool *nulls, Tuplestorestate *store)
{
	SmrtResult	result;
	ListCell   *cell;

	predict_alone(model, values, nulls, &result);
	foreach(cell, result.rows)
		tuplestore_puttuple(store, lfirst(cell));
}

static void
predict_alone(const SmrtModel *model, const Datum *values, const bool *nulls,
			  SmrtResult *result)
{
	SmrtEngine *engine = smrt_engine_create(model, NULL);
	SmrtBuf    *body = smrt_engine_begin_row(engine);
	SmrtOutcome outcome;

	smrt_engine_end_row(engine, !smrt_row_write(model, values, nulls, body));
	smrt_engine_finish(engine);
	if (!smrt_engine_next(engine, true, &outcome))
		elog(ERROR, "a row got no outcome");
	predict(model, &outcome, result);
	smrt_engine_delete(engine);
}

Datum
smrt_predict_datum(const SmrtModel *model, const SmrtOutcome *outcome,
				   bool *is_null)
{
	SmrtResult	result;

	predict(model, outcome, &result);
	if (model->is_set)
		return array_of(model, result.rows, is_null);
	*is_null = result.is_null;
	return result.datum;
}

/* NULL where there are none: both are unnested to nothing. */
static Datum
array_of(const SmrtModel *model, List *rows, bool *is_null)
{
	bool		is_composite = model->result == SMRT_RESULT_COMPOSITE;
	Oid			type = !is_composite ? model->columns[0].type :
		OidIsValid(model->row_domain) ? model->row_domain : model->tupdesc->tdtypeid;
	int			n = list_length(rows);
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));
	bool	   *nulls = palloc0(Max(n, 1) * sizeof(bool));
	int			lower_bound = 1;
	int16		len;
	bool		by_value;
	char		align;
	ListCell   *cell;

	*is_null = n == 0;
	if (n == 0)
		return (Datum) 0;
	foreach(cell, rows)
	{
		int			i = foreach_current_index(cell);
		HeapTuple	row = lfirst(cell);

		values[i] = is_composite ?
			heap_copy_tuple_as_datum(row, model->tupdesc) :
			heap_getattr(row, 1, model->tupdesc, &nulls[i]);
	}
	get_typlenbyvalalign(type, &len, &by_value, &align);
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower_bound,
											  type, len, by_value, align));
}

static void
predict(const SmrtModel *model, const SmrtOutcome *outcome, SmrtResult *result)
{
	volatile bool in_user_code = false;

	if (outcome->skipped || is_dry(outcome))
		*result = (SmrtResult) {.is_null = true};
	else if (outcome->fault != NULL || outcome->problem != NULL)
		fail(model, outcome, result);
	else if (smrt_model_on_error(model) == SMRT_ON_ERROR_ERROR)
		read_piece(model, outcome, &in_user_code, result);
	else
		read_softly(model, outcome, result);
}

/* A type's own error does not know where its text is from. */
static void
read_piece(const SmrtModel *model, const SmrtOutcome *outcome,
		   volatile bool *in_user_code, SmrtResult *result)
{
	Place		place = {model, outcome->row};
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = say_place,
		.arg = &place,
	};

	error_context_stack = &callback;
	smrt_result_read(model, outcome, in_user_code, result);
	error_context_stack = callback.previous;
}

static void
say_place(void *place)
{
	errcontext("model %s, prediction for row %d of a request",
			   ((Place *) place)->model->name, ((Place *) place)->row + 1);
}

/*
 * A piece that does not fit its type is NULL too.  Caught without a
 * subtransaction, which parallel workers may not have: so only what comes out of
 * parsing, which holds nothing but memory.
 */
static void
read_softly(const SmrtModel *model, const SmrtOutcome *outcome,
			SmrtResult *result)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool in_user_code = false;

	PG_TRY();
	{
		read_piece(model, outcome, &in_user_code, result);
		smrt_failures_note_success(model);
	}
	PG_CATCH();
	{
		ErrorData  *error;
		SmrtReportWords words = {0};

		MemoryContextSwitchTo(context);
		if (in_user_code || !smrt_report_is_of_data(geterrcode()))
			PG_RE_THROW();
		error = CopyErrorData();
		FlushErrorState();
		words.sqlstate = error->sqlerrcode;
		words.message = error->message;
		if (smrt_failures_note(model, &words) &&
			smrt_model_on_error(model) == SMRT_ON_ERROR_WARNING)
			ereport(WARNING,
					(errcode(error->sqlerrcode),
					 errmsg_internal("%s", error->message),
					 error->detail ? errdetail_internal("%s", error->detail) : 0,
					 error->context ? errcontext_msg("%s", error->context) : 0));
		smrt_result_of_failure(model, outcome, &words, result);
	}
	PG_END_TRY();
}

static void
fail(const SmrtModel *model, const SmrtOutcome *outcome, SmrtResult *result)
{
	SmrtOnError on_error = smrt_model_on_error(model);
	SmrtReportWords words;

	smrt_predict_words(model, outcome, &words);
	if (on_error == SMRT_ON_ERROR_ERROR || is_over_limit(outcome) ||
		(on_error == SMRT_ON_ERROR_NULL &&
		 !smrt_predict_may_be_silent(model, outcome)))
		report(ERROR, &words);
	if (smrt_failures_note(model, &words) && on_error == SMRT_ON_ERROR_WARNING)
		report(WARNING, &words);
	smrt_result_of_failure(model, outcome, &words, result);
}

bool
smrt_predict_may_be_silent(const SmrtModel *model, const SmrtOutcome *outcome)
{
	if (model->errors_are_data || outcome->fault == NULL)
		return true;
	switch (outcome->fault->kind)
	{
		case SMRT_FAULT_NO_TURN:
		case SMRT_FAULT_THROTTLED:
		case SMRT_FAULT_NOT_READY:
		case SMRT_FAULT_CUT_OFF:
			return true;
		default:
			return smrt_blame(outcome->fault) != SMRT_BLAME_ENDPOINT;
	}
}

static bool
is_dry(const SmrtOutcome *outcome)
{
	return outcome->fault != NULL && outcome->fault->kind == SMRT_FAULT_DRY_RUN;
}

/* That ends a statement, whatever becomes of failed rows. */
static bool
is_over_limit(const SmrtOutcome *outcome)
{
	return outcome->fault != NULL && smrt_fault_is_of_limit(outcome->fault->kind);
}

static void
report(int level, const SmrtReportWords *words)
{
	ereport(level,
			(errcode(words->sqlstate),
			 errmsg_internal("%s", words->message),
			 errdetail_internal("%s", words->detail),
			 words->hint ? errhint("%s", words->hint) : 0));
}

void
smrt_predict_words(const SmrtModel *model, const SmrtOutcome *outcome,
				   SmrtReportWords *words)
{
	if (outcome->fault != NULL)
	{
		smrt_report_words(outcome->fault, outcome->report, words);
		return;
	}
	words->sqlstate = SMRT_ERRCODE_BAD_REPLY;
	words->message = psprintf("model %s: %s", model->name, outcome->problem);
	words->detail = psprintf("Request id %s, content type %s. The answer begins with: %s",
							 shown(outcome->response->request_id),
							 shown(outcome->response->content_type),
							 smrt_report_text(outcome->response->body, SHOWN_BYTES));
	words->hint = "If the container takes one row only, set the option max_rows to 1.";
}

static const char *
shown(SmrtSpan member)
{
	return member.len > 0 ? smrt_report_text(member, 100) : "unknown";
}
