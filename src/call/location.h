/*
 * Which host and region a target means.
 */
#ifndef SMRT_CALL_LOCATION_H
#define SMRT_CALL_LOCATION_H

#include "aws/endpoint.h"
#include "pg/target.h"

/*
 * Fills in the region, if it is not yet: asks environment, profile and instance
 * metadata where nothing else names one, so it may wait for the network, until
 * give_up_at_ms (on the pump's clock) at most.  False: nothing names one.  Raises
 * 22023 for one that is no name.
 */
extern bool smrt_location_region(SmrtTarget *target, int64 give_up_at_ms);

/*
 * Fills in all that is located of a target, likewise.  Errors: 22023 for no
 * region, a URL that is not permitted, or one beside use_fips or use_dualstack.
 */
extern void smrt_location_find(SmrtTarget *target, int64 give_up_at_ms);

/*
 * Where a bucket of S3 is reached, with the target's keys: a target that is
 * located already, the caller's to release.  Where its bucket_len is 0, paths
 * begin with the bucket's name.  Errors as above.
 */
extern SmrtTarget *smrt_location_of_bucket(SmrtTarget *target, SmrtSpan bucket,
										   int64 give_up_at_ms);

/*
 * The URL of a service in the target's region, palloc'ed, for a service that
 * has no URL of its own.  Raises 22023 for a region that is no name.
 */
extern char *smrt_location_url(const SmrtTarget *target, SmrtService service);

#endif							/* SMRT_CALL_LOCATION_H */
