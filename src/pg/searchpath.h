/*
 * search_path while our own statements run: no object of a user may stand in for
 * one that we mean.
 */
#ifndef SMRT_PG_SEARCHPATH_H
#define SMRT_PG_SEARCHPATH_H

/*
 * Pins it to pg_catalog, pg_temp until smrt_searchpath_restore() gets what this
 * gave; an error restores it too.
 */
extern int	smrt_searchpath_pin(void);
extern void smrt_searchpath_restore(int pinned);

#endif							/* SMRT_PG_SEARCHPATH_H */
