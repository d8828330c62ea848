/*
 * Kept columns: that a column shall hold a model's predictions, declared once.  The
 * declaration stands in sagemaker_kept_columns; what it makes are triggers like
 * any other.
 */
#ifndef SMRT_QUEUE_KEEP_H
#define SMRT_QUEUE_KEEP_H

#include "fmgr.h"
#include "queue/boundtable.h"

typedef struct SmrtKept
{
	SmrtTableSpec spec;
	const char *mode;			/* row, statement, queue or off */
} SmrtKept;

/*
 * Records the declaration, and makes the triggers of its mode in place of those
 * that are there.  Of the current role, who must own the table.  namespace is the
 * extension's; search_path must be pinned.  Errors: 22023 for a mode that there
 * is not, 42501, and those of smrt_boundtable_make() and of CREATE TRIGGER.
 */
extern void smrt_keep(Oid namespace, const SmrtKept *kept);

#endif							/* SMRT_QUEUE_KEEP_H */
