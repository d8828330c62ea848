/*
 * What this backend has learnt about a host: how far its clock is from ours.
 */
#ifndef SMRT_CALL_HOST_H
#define SMRT_CALL_HOST_H

#include "aws/span.h"

typedef struct SmrtHost
{
	int64		skew_s;			/* its clock minus ours, as last seen to matter */
} SmrtHost;

/* The host with this authority; kept for the life of the backend. */
extern SmrtHost *smrt_host_get(SmrtSpan authority);

#endif							/* SMRT_CALL_HOST_H */
