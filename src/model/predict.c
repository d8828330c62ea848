/*
 * Predictions.
 */
#include "postgres.h"

#include "model/predict.h"
#include "model/result.h"
#include "model/row.h"
#include "pg/report.h"

/* How much of an answer that does not fit is shown. */
#define SHOWN_BYTES 200

/* What an error's context says. */
typedef struct Place
{
	const SmrtModel *model;
	int			row;
} Place;

static Datum read_piece(const SmrtModel *model, const SmrtOutcome *outcome,
						volatile bool *in_user_code, bool *is_null);
static void say_place(void *place);
static Datum read_softly(const SmrtModel *model, const SmrtOutcome *outcome,
						 bool *is_null);
static Datum fail_softly(const SmrtModel *model, const SmrtOutcome *outcome,
						 bool *is_null);
static void report(const SmrtModel *model, const SmrtOutcome *outcome,
				   int level);

Datum
smrt_predict_row(const SmrtModel *model, const Datum *values,
				 const bool *nulls, bool *is_null)
{
	SmrtEngine *engine = smrt_engine_create(model, NULL);
	SmrtBuf    *body = smrt_engine_begin_row(engine);
	SmrtOutcome outcome;
	Datum		result;

	smrt_engine_end_row(engine, !smrt_row_write(model, values, nulls, body));
	smrt_engine_finish(engine);
	if (!smrt_engine_next(engine, true, &outcome))
		elog(ERROR, "a row got no outcome");
	result = smrt_predict_datum(model, &outcome, is_null);
	smrt_engine_delete(engine);
	return result;
}

Datum
smrt_predict_datum(const SmrtModel *model, const SmrtOutcome *outcome,
				   bool *is_null)
{
	volatile bool in_user_code = false;

	if (outcome->skipped)
	{
		*is_null = true;
		return (Datum) 0;
	}
	if (outcome->fault != NULL || outcome->problem != NULL)
		return fail_softly(model, outcome, is_null);
	if (model->on_error == SMRT_ON_ERROR_ERROR)
		return read_piece(model, outcome, &in_user_code, is_null);
	return read_softly(model, outcome, is_null);
}

/* A type's own error does not know where its text is from. */
static Datum
read_piece(const SmrtModel *model, const SmrtOutcome *outcome,
		   volatile bool *in_user_code, bool *is_null)
{
	Place		place = {model, outcome->row};
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = say_place,
		.arg = &place,
	};
	Datum		result;

	error_context_stack = &callback;
	result = smrt_result_read(model, outcome, in_user_code, is_null);
	error_context_stack = callback.previous;
	return result;
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
static Datum
read_softly(const SmrtModel *model, const SmrtOutcome *outcome, bool *is_null)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool in_user_code = false;
	volatile Datum result = (Datum) 0;

	PG_TRY();
	{
		result = read_piece(model, outcome, &in_user_code, is_null);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		if (in_user_code || !smrt_report_is_of_data(geterrcode()))
			PG_RE_THROW();
		error = CopyErrorData();
		FlushErrorState();
		if (model->on_error == SMRT_ON_ERROR_WARNING)
			ereport(WARNING,
					(errcode(error->sqlerrcode),
					 errmsg_internal("%s", error->message),
					 error->detail ? errdetail_internal("%s", error->detail) : 0,
					 error->context ? errcontext_msg("%s", error->context) : 0));
		*is_null = true;
	}
	PG_END_TRY();
	return *is_null ? (Datum) 0 : result;
}

static Datum
fail_softly(const SmrtModel *model, const SmrtOutcome *outcome, bool *is_null)
{
	switch (model->on_error)
	{
		case SMRT_ON_ERROR_WARNING:
			report(model, outcome, WARNING);
			break;
		case SMRT_ON_ERROR_NULL:
			break;
		default:
			report(model, outcome, ERROR);
	}
	*is_null = true;
	return (Datum) 0;
}

static void
report(const SmrtModel *model, const SmrtOutcome *outcome, int level)
{
	SmrtReportWords words;

	smrt_predict_words(model, outcome, &words);
	ereport(level,
			(errcode(words.sqlstate),
			 errmsg_internal("%s", words.message),
			 errdetail_internal("%s", words.detail),
			 words.hint ? errhint("%s", words.hint) : 0));
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
	words->detail = psprintf("Request id %s. The answer begins with: %s",
							 outcome->response->request_id.len ?
							 smrt_report_text(outcome->response->request_id, 100) : "unknown",
							 smrt_report_text(outcome->response->body, SHOWN_BYTES));
	words->hint = "If the container takes one row only, set the option max_rows to 1.";
}
