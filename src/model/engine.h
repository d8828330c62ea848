/*
 * The batching engine: rows go in as bytes, requests are packed and kept in
 * flight, and what each row got comes out in row order.  It knows no type.  Only
 * its making and smrt_engine_change_role() need a transaction, since they look at
 * catalogs; where the database's encoding is not UTF-8 all else does without one
 * if client_encoding is UTF8.
 *
 *     while (there are rows)
 *     {
 *         body = smrt_engine_begin_row(engine);
 *         write the row into body;
 *         smrt_engine_end_row(engine);
 *         while (smrt_engine_next(engine, false, &outcome)) use it;
 *     }
 *     smrt_engine_finish(engine);
 *     while (smrt_engine_next(engine, true, &outcome)) use it;
 */
#ifndef SMRT_MODEL_ENGINE_H
#define SMRT_MODEL_ENGINE_H

#include "call/callset.h"
#include "model/answer.h"
#include "model/counts.h"
#include "pg/report.h"

typedef struct SmrtEngine SmrtEngine;

/* What became of a row.  Valid until the next call of a function here. */
typedef struct SmrtOutcome
{
	bool		skipped;		/* it was not sent: NULL */
	int			row;			/* its number within its request, from 0 */
	const SmrtResponse *response;	/* NULL: there was a fault */
	SmrtPiece	piece;			/* its part of the response */
	const char *problem;		/* the response as a whole was not fit: why */
	const SmrtFault *fault;
	const SmrtReport *report;	/* of the fault */
} SmrtOutcome;

/*
 * In a memory context below the current one; deleting that drops everything.
 * Adds to counts, which may be NULL and must outlive the engine.
 */
extern SmrtEngine *smrt_engine_create(const SmrtModel *model,
									  SmrtEngineCounts *counts);
extern void smrt_engine_delete(SmrtEngine *engine);

/*
 * What is sent from now on is signed for the current role.  Waits for what is in
 * flight.
 */
extern void smrt_engine_change_role(SmrtEngine *engine);

/*
 * Each request has the inference id of its first row, unless the model has one;
 * ids go by the rows' order and stay until the last row was handed out.
 */
extern void smrt_engine_name_requests(SmrtEngine *engine,
									  const char *const *inference_ids);

/* Where to append the next row's bytes. */
extern SmrtBuf *smrt_engine_begin_row(SmrtEngine *engine);

/*
 * The row is complete, or, with skip, not to be sent.  A full request is sent;
 * waits when as many are in flight as the model permits.
 */
extern void smrt_engine_end_row(SmrtEngine *engine, bool skip);

/* No more rows for now: what is open is sent. */
extern void smrt_engine_finish(SmrtEngine *engine);

/*
 * How much is sent and not read out.  Who feeds an engine that is full should read
 * before it feeds more, or memory grows; but if each row is fed to several engines
 * and another one is hungry, not before this one is stuffed.
 */
typedef enum SmrtEngineLoad
{
	SMRT_LOAD_HUNGRY,			/* less than two requests: who has read one out
								 * would have to wait */
	SMRT_LOAD_FED,
	SMRT_LOAD_FULL,				/* as many requests as the model permits in flight */
	SMRT_LOAD_STUFFED			/* and much memory */
} SmrtEngineLoad;

/* Of an engine of whose rows so many are not handed out. */
extern SmrtEngineLoad smrt_engine_load(const SmrtEngine *engine, int n_held);

/*
 * The oldest row that was not handed out: true if it is there, or, with wait,
 * as soon as it is.  False: not yet, or none left.
 */
extern bool smrt_engine_next(SmrtEngine *engine, bool wait,
							 SmrtOutcome *outcome);

#endif							/* SMRT_MODEL_ENGINE_H */
