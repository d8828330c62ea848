/*
 * EXPLAIN says which models a plan calls row by row.
 */
#ifndef SMRT_SCAN_ROWBYROW_H
#define SMRT_SCAN_ROWBYROW_H

/* Puts the notice after the start of statements that are only explained. */
extern void smrt_rowbyrow_install(void);

#endif							/* SMRT_SCAN_ROWBYROW_H */
