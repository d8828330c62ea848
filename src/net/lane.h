/*
 * A lane is a multi handle of libcurl's with its connections, for the transfers
 * of one identity: requests of two identities never share a connection.
 * Inside net/ only.
 */
#ifndef SMRT_NET_LANE_H
#define SMRT_NET_LANE_H

#include <curl/curl.h>

#include "lib/ilist.h"

typedef struct SmrtLane
{
	dlist_node	node;			/* in lanes, the last used first */
	CURLM	   *multi;
	int64		timer_ms;		/* when libcurl wants a call; -1: not */
	int			n_transfers;	/* that libcurl has, parked ones included */
	bool		broken;			/* libcurl had no memory in it: closed once it
								 * is empty, as nothing may be added (7.88 then
								 * divides by zero, over a socket's entry that
								 * it left half made) */
	char		identity[FLEXIBLE_ARRAY_MEMBER];
} SmrtLane;

/* All of them, the last used first. */
extern dlist_head smrt_lanes;

/* The identity's lane, opened if need be, and never a broken one; NULL: no memory. */
extern SmrtLane *smrt_lane_get(const char *identity);

#endif							/* SMRT_NET_LANE_H */
