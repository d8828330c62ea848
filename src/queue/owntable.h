/*
 * Tables of the extension, which are written by its functions only: as their
 * owner, whoever calls.
 */
#ifndef SMRT_QUEUE_OWNTABLE_H
#define SMRT_QUEUE_OWNTABLE_H

typedef struct SmrtOwnTable
{
	const char *name;			/* with its schema, quoted */
	Oid			role;			/* who called */
	int			flags;
} SmrtOwnTable;

/*
 * From here on statements run as the owner of the table; namespace is the
 * extension's.  search_path must be pinned, unless they name every object and
 * operator with its schema.  An error ends this as well.
 */
extern void smrt_owntable_begin(SmrtOwnTable *table, Oid namespace,
								const char *name);
extern void smrt_owntable_end(const SmrtOwnTable *table);

extern Oid	smrt_table_owner(Oid table);

#endif							/* SMRT_QUEUE_OWNTABLE_H */
