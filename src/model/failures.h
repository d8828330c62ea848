/*
 * Rows that failed in this statement, where a failed row is no error by itself: how
 * many may, and what is said of them in the end.  Parallel workers count for their
 * statement: see model/account.h.
 */
#ifndef SMRT_MODEL_FAILURES_H
#define SMRT_MODEL_FAILURES_H

#include "model/model.h"
#include "pg/report.h"

/* From _PG_init(). */
extern void smrt_failures_install(void);

/* A row of a statement has its prediction. */
extern void smrt_failures_note_success(const SmrtModel *model);

/*
 * A row has failed, with these words.  Raises 54000 when that is one too many.  True
 * if it should be told by itself; the others are told of in the end.
 */
extern bool smrt_failures_note(const SmrtModel *model,
							   const SmrtReportWords *words);

/* How many failed rows this process has noted ever. */
extern int64 smrt_failures_count(void);

/*
 * "38000: 12, 53000: 3" of this statement, and up to five different messages, both
 * palloc'ed.  False: no row has failed.
 */
extern bool smrt_failures_describe(const SmrtModel *model, char **by_state,
								   char **messages);

/* A scan has ended: warns of those that were not told by themselves. */
extern void smrt_failures_tell(void);

#endif							/* SMRT_MODEL_FAILURES_H */
