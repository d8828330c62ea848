/*
 * The table sagemaker_queue as functions.  The states of a row:
 *
 *     waiting --taken--> running --answered, or nothing to do--> done
 *                        ^  |  |
 *                 taken, |  |  +-- no use, or tried too often --> dead
 *                  again |  v                                      |
 *                       failed <---------- requeued ---------------+
 *
 * due_at is when a row may be taken: at once, after a pause, or, while it is
 * running, when its lease ends.
 *
 * All need a transaction, and search_path pinned, but for smrt_queuetable_put().
 * table is what smrt_queuetable_find() gave.
 */
#ifndef SMRT_QUEUE_QUEUETABLE_H
#define SMRT_QUEUE_QUEUETABLE_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "queue/boundtable.h"
#include "utils/array.h"

/* Rows of the queue that one set of calls answers: same role, model and table. */
typedef struct SmrtQueueBatch
{
	char	   *role;
	char	   *model;
	char	   *relation;
	List	   *columns;		/* of char *; NIL: the queue keeps the result */
	const char *stamps[SMRT_STAMP_COUNT];	/* columns, or NULL */
	TimestampTz oldest;			/* no row that may be taken was due earlier */
	int			n_rows;
	struct SmrtQueueRow
	{
		int64		id;
		ArrayType  *key;		/* as of smrt_key_to_text() */
		char	   *inference_id;
		int			attempts;	/* this one included */
	}		   *rows;			/* by id */
} SmrtQueueBatch;

/* What has become of a row. */
typedef struct SmrtVerdict
{
	const char *state;			/* NULL: not known yet */
	bool		is_free;		/* is not counted as an attempt */
	int			sqlstate;		/* 0: none */
	const char *message;		/* or NULL */
	const char *result;			/* JSON, or NULL */
	TimestampTz sent_at;		/* 0: it was not sent */
	bool		is_recorded;
} SmrtVerdict;

/* What is to be put into the queue. */
typedef struct SmrtQueueEntry
{
	const char *model;
	const char *relation;
	ArrayType  *key;			/* as of smrt_key_to_text() */
	List	   *columns;		/* of char *, or NIL */
	const char *stamps[SMRT_STAMP_COUNT];	/* columns, or NULL */
} SmrtQueueEntry;

/* Name of the table of the extension in this database, palloc'ed, or NULL. */
extern char *smrt_queuetable_find(void);

/*
 * Puts a row into the queue of the extension in that schema, for the current
 * role, which needs no right to the table.  At most one waits for each role and
 * target: the id of that one, locked until the transaction ends, so that no
 * worker takes it before what this transaction changes can be seen.  Raises 54000
 * when the queue is full, counted now and then.
 */
extern int64 smrt_queuetable_put(Oid namespace, const SmrtQueueEntry *entry);

/*
 * A dead row of a role that the current one may be is tried again.  False: there
 * is no such row.
 */
extern bool smrt_queuetable_revive(Oid namespace, int64 id);

/*
 * Takes rows that are due, at most max_rows: those that wait, due no earlier than
 * from; or, with leased, those whose lease has ended.  NULL: there are none.
 */
extern SmrtQueueBatch *smrt_queuetable_take(const char *table, bool leased,
											TimestampTz from, int max_rows);

/* Ends all leases: their worker has ended. */
extern void smrt_queuetable_end_leases(const char *table);

/* Gives up rows whose worker ended too often while it had them. */
extern void smrt_queuetable_bury(const char *table);

/*
 * Writes down what has become of rows from to to - 1 of a batch, as far as it is
 * known and not recorded.  verdicts has all its rows'.
 */
extern void smrt_queuetable_record(const char *table,
								   const SmrtQueueBatch *batch, int from,
								   int to, const SmrtVerdict *verdicts);

/* When a row is due next; TIMESTAMP_INFINITY: there is none. */
extern TimestampTz smrt_queuetable_next(const char *table);

/* Deletes some of what is kept too long; true: there may be more. */
extern bool smrt_queuetable_clean(const char *table);

#endif							/* SMRT_QUEUE_QUEUETABLE_H */
