/*
 * The options jsonb of one call: bounds of its own, and members that AWS adds
 * to the API before we have arguments for them.
 */
#ifndef SMRT_CALL_CALLOPTIONS_H
#define SMRT_CALL_CALLOPTIONS_H

#include "aws/header.h"
#include "pg/settings.h"
#include "utils/jsonb.h"

/*
 * Changes the limits that options names and gives the headers it asks for, in
 * palloc'ed memory.  Raises 22023 with the option's name for what it does not
 * know or cannot read; the headers are not judged here.
 */
extern void smrt_calloptions_read(Jsonb *options, SmrtLimits *limits,
							  SmrtHeader **headers, int *n_headers);

#endif							/* SMRT_CALL_CALLOPTIONS_H */
