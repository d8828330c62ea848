/*
 * A stream's text as the rows of a set: what a failure becomes is the caller's
 * choice.
 */
#ifndef SMRT_MODEL_TEXTSET_H
#define SMRT_MODEL_TEXTSET_H

#include "model/deltas.h"
#include "pg/onerror.h"
#include "pg/report.h"

typedef struct SmrtTextSet SmrtTextSet;

typedef struct SmrtTextRow
{
	SmrtDelta	delta;
	const SmrtReportWords *failure; /* of the last row, or NULL */
} SmrtTextRow;

/* Of such deltas.  In the current memory context, where the deltas must stay too. */
extern SmrtTextSet *smrt_textset_create(SmrtStream *stream, SmrtDeltas *deltas,
										SmrtOnError on_error);

/*
 * Waits for the next row, which is valid until the next call.  False: there is
 * none.  A failure is raised; or it is the last row, and with on_error warning is
 * said as well.  Interruptible.
 */
extern bool smrt_textset_next(SmrtTextSet *set, SmrtTextRow *row);

#endif							/* SMRT_MODEL_TEXTSET_H */
