/*
 * Jobs at work on the same column share its rows: each takes those whose key's
 * hash, modulo the number of jobs, is its rank.  When one comes or goes, rows
 * that are in flight at that time may be predicted twice; none is written twice.
 *
 * Jobs know each other by advisory locks of the session, of a kind that users'
 * functions cannot name.
 */
#ifndef SMRT_QUEUE_SHARE_H
#define SMRT_QUEUE_SHARE_H

#include "access/attnum.h"

typedef struct SmrtShare
{
	Oid			relation;
	AttrNumber	column;
	int			slot;
	int			n_jobs;			/* at the last look */
	int			rank;			/* from 0 */
} SmrtShare;

/* Raises 53400 when there are too many jobs on that column. */
extern void smrt_share_join(SmrtShare *share, Oid relation, AttrNumber column);

/* Looks who is there now. */
extern void smrt_share_look(SmrtShare *share);

/* Also after an error, before it is raised further. */
extern void smrt_share_leave(const SmrtShare *share);

#endif							/* SMRT_QUEUE_SHARE_H */
