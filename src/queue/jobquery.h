/*
 * Which rows a table job takes next.
 */
#ifndef SMRT_QUEUE_JOBQUERY_H
#define SMRT_QUEUE_JOBQUERY_H

#include "access/htup.h"
#include "queue/share.h"
#include "queue/tablejob.h"
#include "utils/portal.h"

typedef struct SmrtJobQuery
{
	const SmrtTableJob *job;
	const SmrtBoundTable *binding;
	const SmrtShare *share;		/* the job's part of the rows */
	HeapTuple	last;			/* row that was read last; NULL: from the front */
	TupleDesc	last_desc;
	int			max_rows;
} SmrtJobQuery;

/*
 * A cursor over these rows as smrt_boundtable_select() has them, in the order of
 * their keys; those of the table itself are locked, and those that others hold
 * passed over.  Needs an SPI connection, and search_path pinned, since a user's
 * condition or query is in it.
 */
extern Portal smrt_jobquery_open(const SmrtJobQuery *query);

#endif							/* SMRT_QUEUE_JOBQUERY_H */
