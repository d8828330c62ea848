/*
 * Lanes, in a short list: a backend acts for one or two identities.
 */
#include "postgres.h"

#include "net/lane.h"
#include "net/transfer.h"
#include "storage/fd.h"

/* Idle connections that libcurl keeps in one lane. */
#define MAX_KEPT_CONNECTIONS 128

/* Lanes that are kept although nothing runs in them. */
#define MAX_LANES 16

dlist_head	smrt_lanes = DLIST_STATIC_INIT(smrt_lanes);

static int	n_lanes;

static SmrtLane *open_lane(const char *identity);
static void close_idle_lane(void);
static void close_lane(SmrtLane *lane);
static bool acquire_descriptors(void);
static void release_descriptors(void);

SmrtLane *
smrt_lane_get(const char *identity)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &smrt_lanes)
	{
		SmrtLane   *lane = dlist_container(SmrtLane, node, iter.cur);

		if (lane->broken && lane->n_transfers == 0)
			close_lane(lane);
		else if (!lane->broken && strcmp(lane->identity, identity) == 0)
		{
			dlist_move_head(&smrt_lanes, &lane->node);
			return lane;
		}
	}
	if (n_lanes >= MAX_LANES)
		close_idle_lane();
	return open_lane(identity);
}

static SmrtLane *
open_lane(const char *identity)
{
	SmrtLane   *lane = calloc(1, offsetof(SmrtLane, identity) +
							  strlen(identity) + 1);

	if (lane == NULL || !acquire_descriptors())
	{
		free(lane);
		return NULL;
	}
	smrt_pump_mask_signals();
	lane->multi = curl_multi_init();
	smrt_pump_unmask_signals();
	if (lane->multi == NULL)
	{
		release_descriptors();
		free(lane);
		return NULL;
	}
	lane->timer_ms = -1;
	strcpy(lane->identity, identity);
	curl_multi_setopt(lane->multi, CURLMOPT_SOCKETFUNCTION,
					  smrt_pump_on_socket);
	curl_multi_setopt(lane->multi, CURLMOPT_SOCKETDATA, lane);
	curl_multi_setopt(lane->multi, CURLMOPT_TIMERFUNCTION, smrt_pump_on_timer);
	curl_multi_setopt(lane->multi, CURLMOPT_TIMERDATA, lane);
	curl_multi_setopt(lane->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_NOTHING);
	curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS,
					  (long) MAX_KEPT_CONNECTIONS);
#if LIBCURL_VERSION_NUM >= 0x081400
	/* Closing a lane must not wait for a resolver's thread. */
	curl_multi_setopt(lane->multi, CURLMOPT_QUICK_EXIT, 1L);
#endif
	dlist_push_head(&smrt_lanes, &lane->node);
	n_lanes++;
	return lane;
}

/* The one unused longest, with its connections; none when all are in use. */
static void
close_idle_lane(void)
{
	SmrtLane   *idle = NULL;
	dlist_iter	iter;

	dlist_foreach(iter, &smrt_lanes)
	{
		SmrtLane   *lane = dlist_container(SmrtLane, node, iter.cur);

		if (lane->n_transfers == 0)
			idle = lane;
	}
	if (idle != NULL)
		close_lane(idle);
}

static void
close_lane(SmrtLane *lane)
{
	dlist_delete(&lane->node);
	n_lanes--;
	curl_multi_cleanup(lane->multi);
	release_descriptors();
	free(lane);
}

/* A multi handle has a pair of sockets to be woken by. */
static bool
acquire_descriptors(void)
{
	if (!AcquireExternalFD())
		return false;
	if (AcquireExternalFD())
		return true;
	ReleaseExternalFD();
	return false;
}

static void
release_descriptors(void)
{
	ReleaseExternalFD();
	ReleaseExternalFD();
}
