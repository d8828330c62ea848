/*
 * sagemaker_rt: SageMaker models inside SQL.
 *
 * The library's entry: settings, shared memory, the planner step, the queue's launcher and nothing
 * else.  No network, no thread and no descriptor comes of loading it, as it may be loaded by the
 * postmaster.
 */
#include "postgres.h"

#include "fmgr.h"
#include "model/failures.h"
#include "pg/compat.h"
#include "pg/settings.h"
#include "pg/shared.h"
#include "queue/launcher.h"
#include "scan/batching.h"
#include "scan/predictscan.h"
#include "scan/rowbyrow.h"

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(.name = "sagemaker_rt",.version = SMRT_VERSION);
#else
PG_MODULE_MAGIC;
#endif

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	smrt_settings_define();
	smrt_shared_install();
	smrt_failures_install();
	smrt_predictscan_register();
	smrt_batching_install();
	smrt_rowbyrow_install();
	smrt_launcher_install();
}
