/*
 * From a fault to what a person reads: the one place where an SQLSTATE is
 * chosen for what came from outside, and where remote text is made fit to be
 * shown.
 */
#ifndef SMRT_PG_REPORT_H
#define SMRT_PG_REPORT_H

#include "aws/fault.h"
#include "pg/compat.h"
#include "pg/target.h"

/*
 * SQLSTATEs of class 38 with an S: ours by the standard's rule for own
 * subclasses.
 */
#define SMRT_ERRCODE_BAD_REPLY MAKE_SQLSTATE('3', '8', 'S', '0', '1')
#define SMRT_ERRCODE_NO_ANSWER MAKE_SQLSTATE('3', '8', 'S', '0', '2')
#define SMRT_ERRCODE_BROKEN_STREAM MAKE_SQLSTATE('3', '8', 'S', '0', '3')

/*
 * Whether an SQLSTATE is one that the server's own code raises over what an answer
 * holds (data exceptions, and limits such as depth), or the one above.
 */
extern bool smrt_report_is_of_data(int sqlerrcode);

/*
 * Whether it is what types, constraints, policies or triggers may object to in
 * one row and not in the next.
 */
extern bool smrt_report_is_of_row(int sqlerrcode);

/* How much of an access key id is shown: enough to tell which, no more. */
#define SMRT_KEY_ID_TAIL 4

#define SMRT_ENDED_BY_TOTAL_TIMEOUT "total_timeout"

/* The circumstances of a failed call. */
typedef struct SmrtReport
{
	const SmrtTarget *target;
	SmrtSpan	endpoint;		/* its name; absent: none was called */
	SmrtSpan	object;			/* S3's location; absent: none was fetched */
	const char *permission;		/* that the key needs, or NULL */
	char		key_id_tail[SMRT_KEY_ID_TAIL + 1];	/* of the key that signed */
	int			attempts;		/* 0: it was no call */
	int64		waited_ms;		/* between them */
	const char *ended_by;		/* what stopped further attempts: a setting's
								 * name, or NULL */
	const char *phase;			/* how far a broken transfer came, or NULL */
	int64		elapsed_us;		/* of the last attempt */
	int64		received;		/* bytes of a stream that came before */
} SmrtReport;

/*
 * Overwrites keys that a service repeats in what it says, in copies that lie in
 * the current memory context.
 */
extern void smrt_report_blot(SmrtFault *fault, const SmrtKeys *keys);

/* Which key it was, for messages: no more than tells it from others. */
extern void smrt_report_note_key(SmrtReport *report, const SmrtKeys *keys);

/* Raises the error, or, at a lower level, reports and returns. */
extern void smrt_report_fault_at(int level, const SmrtFault *fault,
								 const SmrtReport *report);

pg_noreturn extern void smrt_report_fault(const SmrtFault *fault,
										  const SmrtReport *report);

/* What libcrypto could not do: it has no memory. */
pg_noreturn extern void smrt_report_no_digest(void);

/* The SQLSTATE of a kind of fault, and what it is in a few words. */
extern int	smrt_report_sqlstate(SmrtFaultKind kind);
extern const char *smrt_report_what(SmrtFaultKind kind);

/* What would be reported. */
typedef struct SmrtReportWords
{
	int			sqlstate;
	const char *message;
	const char *detail;
	const char *hint;			/* or NULL */
} SmrtReportWords;

/* The same as a value, palloc'ed.  Needs no transaction. */
extern void smrt_report_words(const SmrtFault *fault, const SmrtReport *report,
							  SmrtReportWords *words);

/*
 * Bytes from outside as text in the database's encoding, palloc'ed: what is no
 * valid or visible character becomes \xNN, more than max bytes end in "...".
 */
extern char *smrt_report_text(SmrtSpan bytes, size_t max);

#endif							/* SMRT_PG_REPORT_H */
