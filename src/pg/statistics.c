/*
 * Statistics.  The lock is held shared to find an entry and exclusively to add or
 * drop one; an entry's mutex guards what it holds.  A full table drops what was
 * used least, as pg_stat_statements does.
 */
#include "postgres.h"

#include <ctype.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pg/compat.h"
#include "pg/report.h"
#include "pg/settings.h"
#include "pg/shared.h"
#include "pg/statistics.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#define FILE_NAME PGSTAT_STAT_PERMANENT_DIRECTORY "/sagemaker_rt.stat"

/* Changes with SmrtStat; the server's version is checked beside it. */
static const uint32 file_format = 0x534d0002;

/* At each eviction: one in twenty goes, and the past counts a little less. */
#define EVICTED_PERCENT 5
#define USAGE_DECAY 0.99

static const SmrtStatCounter class_of[] = {
	/* NONE: nobody asks. */
	[SMRT_FAULT_RESOLVE] = SMRT_STAT_ERRORS_NETWORK,
	[SMRT_FAULT_ADDRESS] = SMRT_STAT_ERRORS_NETWORK,
	[SMRT_FAULT_CONNECT] = SMRT_STAT_ERRORS_NETWORK,
	[SMRT_FAULT_CONNECT_TIMEOUT] = SMRT_STAT_ERRORS_NETWORK,
	[SMRT_FAULT_TLS] = SMRT_STAT_ERRORS_NETWORK,
	[SMRT_FAULT_CUT_OFF] = SMRT_STAT_ERRORS_NETWORK,
	[SMRT_FAULT_TIMEOUT] = SMRT_STAT_ERRORS_TIMEOUT,
	[SMRT_FAULT_REPLY] = SMRT_STAT_ERRORS_REPLY,
	[SMRT_FAULT_REPLY_TOO_LARGE] = SMRT_STAT_ERRORS_REPLY,
	[SMRT_FAULT_HEADERS_TOO_LARGE] = SMRT_STAT_ERRORS_REPLY,
	[SMRT_FAULT_NO_MEMORY] = SMRT_STAT_ERRORS_REPLY,
	[SMRT_FAULT_NO_TURN] = SMRT_STAT_ERRORS_UNSENT,
	[SMRT_FAULT_BREAKER] = SMRT_STAT_ERRORS_UNSENT,
	[SMRT_FAULT_COST] = SMRT_STAT_ERRORS_UNSENT,
	[SMRT_FAULT_UNMETERED] = SMRT_STAT_ERRORS_UNSENT,
	[SMRT_FAULT_DRY_RUN] = SMRT_STAT_ERRORS_UNSENT,
	[SMRT_FAULT_REFUSED] = SMRT_STAT_ERRORS_REFUSED,
	[SMRT_FAULT_TOO_LARGE] = SMRT_STAT_ERRORS_REFUSED,
	[SMRT_FAULT_DENIED] = SMRT_STAT_ERRORS_DENIED,
	[SMRT_FAULT_EXPIRED] = SMRT_STAT_ERRORS_DENIED,
	[SMRT_FAULT_MODEL] = SMRT_STAT_ERRORS_MODEL,
	[SMRT_FAULT_NOT_READY] = SMRT_STAT_ERRORS_THROTTLED,
	[SMRT_FAULT_THROTTLED] = SMRT_STAT_ERRORS_THROTTLED,
	[SMRT_FAULT_SERVICE] = SMRT_STAT_ERRORS_SERVICE,
	[SMRT_FAULT_SERVER] = SMRT_STAT_ERRORS_SERVICE,
	[SMRT_FAULT_DEPENDENCY] = SMRT_STAT_ERRORS_SERVICE,
	[SMRT_FAULT_STREAM] = SMRT_STAT_ERRORS_MODEL,
	[SMRT_FAULT_IN_ANSWER] = SMRT_STAT_ERRORS_MODEL,
	[SMRT_FAULT_NO_TEXT] = SMRT_STAT_ERRORS_REPLY,
	[SMRT_FAULT_CUT] = SMRT_STAT_ERRORS_MODEL,
	[SMRT_FAULT_DECLINED] = SMRT_STAT_ERRORS_MODEL,
	[SMRT_FAULT_OUTSIDE] = SMRT_STAT_ERRORS_MODEL,
	[SMRT_FAULT_UNTOLD] = SMRT_STAT_ERRORS_MODEL,
};

StaticAssertDecl(lengthof(class_of) == SMRT_FAULT_COUNT,
				 "every kind of fault needs a class");

/* What stands at the beginning of the file. */
typedef struct FileHead
{
	uint32		format;
	int			server_version;
	int			entry_size;
	int			n_entries;
} FileHead;

static HTAB *stats;

static HTAB *table(void);
static SmrtStat *find(const SmrtStatKey *key);
static SmrtStat *enter(const SmrtStatKey *key);
static void evict(void);
static int	compare_usage(const void *a, const void *b);
static void add(SmrtStat *stat, const SmrtStatNews *news);
static void note_last_error(SmrtStat *stat, const SmrtFault *fault);
static void save(int code, Datum arg);
static void load(void);
static bool load_entries(FILE *file);

Size
smrt_statistics_size(void)
{
	return hash_estimate_size(smrt_settings.stat_max, sizeof(SmrtStat));
}

void
smrt_statistics_attach(void)
{
	stats = NULL;
	(void) table();
	if (IsUnderPostmaster)
		return;
	on_shmem_exit(save, (Datum) 0);
	load();
}

static HTAB *
table(void)
{
	const SmrtSharedTable spec = {
		.name = "sagemaker_rt statistics",
		.key_size = sizeof(SmrtStatKey),
		.entry_size = sizeof(SmrtStat),
		.max = smrt_settings.stat_max,
	};

	if (stats == NULL)
		stats = smrt_shared_table(&spec);
	return stats;
}

void
smrt_statistics_key(SmrtStatKey *key, const char *server, SmrtSpan endpoint,
					const char *model)
{
	memset(key, 0, sizeof(*key));
	key->database = MyDatabaseId;
	key->role = GetUserId();
	if (server != NULL)
		strlcpy(key->server, server, sizeof(key->server));
	memcpy(key->endpoint, endpoint.data,
		   Min(endpoint.len, sizeof(key->endpoint) - 1));
	if (model != NULL)
		strlcpy(key->model, model, sizeof(key->model));
}

void
smrt_statistics_note_fault(SmrtStatNews *news, const SmrtFault *fault)
{
	news->counts[class_of[fault->kind]]++;
	news->fault = fault;
}

void
smrt_statistics_add(const SmrtStatKey *key, const SmrtStatNews *news)
{
	SmrtStat   *stat;

	smrt_lock(SMRT_LOCK_STATISTICS, LW_SHARED);
	stat = find(key);
	if (stat == NULL)
	{
		smrt_unlock(SMRT_LOCK_STATISTICS);
		smrt_lock(SMRT_LOCK_STATISTICS, LW_EXCLUSIVE);
		stat = enter(key);
	}
	if (stat != NULL)
		add(stat, news);
	smrt_unlock(SMRT_LOCK_STATISTICS);
}

void
smrt_statistics_add_quietly(const SmrtStatKey *key, const SmrtStatNews *news)
{
	SmrtStat   *stat;

	smrt_lock(SMRT_LOCK_STATISTICS, LW_SHARED);
	stat = find(key);
	if (stat != NULL)
		add(stat, news);
	smrt_unlock(SMRT_LOCK_STATISTICS);
}

static SmrtStat *
find(const SmrtStatKey *key)
{
	return hash_search(table(), key, HASH_FIND, NULL);
}

static SmrtStat *
enter(const SmrtStatKey *key)
{
	bool		found;
	SmrtStat   *stat;

	/* Another process may have made it meanwhile. */
	if (find(key) == NULL && hash_get_num_entries(stats) >= smrt_settings.stat_max)
		evict();
	stat = smrt_shared_enter(stats, key, &found);
	if (stat == NULL || found)
		return stat;
	memset((char *) stat + sizeof(SmrtStatKey), 0,
		   sizeof(SmrtStat) - sizeof(SmrtStatKey));
	SpinLockInit(&stat->mutex);
	stat->since = GetCurrentTimestamp();
	return stat;
}

static void
evict(void)
{
	int			n = 0;
	int			n_evicted;
	SmrtStat  **all = palloc(hash_get_num_entries(stats) * sizeof(SmrtStat *));
	HASH_SEQ_STATUS scan;
	SmrtStat   *stat;

	hash_seq_init(&scan, stats);
	while ((stat = hash_seq_search(&scan)) != NULL)
	{
		stat->usage *= USAGE_DECAY;
		all[n++] = stat;
	}
	qsort(all, n, sizeof(SmrtStat *), compare_usage);
	n_evicted = Max(1, n * EVICTED_PERCENT / 100);
	for (int i = 0; i < n_evicted; i++)
		hash_search(stats, &all[i]->key, HASH_REMOVE, NULL);
	pfree(all);
}

static int
compare_usage(const void *a, const void *b)
{
	double		usage_a = (*(SmrtStat *const *) a)->usage;
	double		usage_b = (*(SmrtStat *const *) b)->usage;

	return usage_a < usage_b ? -1 : usage_a > usage_b;
}

static void
add(SmrtStat *stat, const SmrtStatNews *news)
{
	TimestampTz now = news->fault ? GetCurrentTimestamp() : 0;

	SpinLockAcquire(&stat->mutex);
	stat->usage += 1;
	for (int i = 0; i < SMRT_STAT_COUNT; i++)
		stat->counts[i] += news->counts[i];
	if (news->is_answered)
		smrt_histogram_add(&stat->times, news->counts[SMRT_STAT_TIME_US]);
	if (news->fault != NULL)
	{
		note_last_error(stat, news->fault);
		stat->last_error_at = now;
	}
	SpinLockRelease(&stat->mutex);
}

/* A service's code, if it looks like one: who wrote it is not known. */
static void
note_last_error(SmrtStat *stat, const SmrtFault *fault)
{
	size_t		len = fault->code.len;

	stat->last_sqlstate = smrt_report_sqlstate(fault->kind);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char) fault->code.data[i]))
			len = 0;
	if (len == 0 || len >= sizeof(stat->last_error))
		strlcpy(stat->last_error, smrt_report_what(fault->kind),
				sizeof(stat->last_error));
	else
	{
		memcpy(stat->last_error, fault->code.data, len);
		stat->last_error[len] = '\0';
	}
}

SmrtStat *
smrt_statistics_read(int *n)
{
	HASH_SEQ_STATUS scan;
	SmrtStat   *stat;
	SmrtStat   *copies;

	smrt_lock(SMRT_LOCK_STATISTICS, LW_SHARED);
	copies = palloc(Max(1, hash_get_num_entries(table())) * sizeof(SmrtStat));
	*n = 0;
	hash_seq_init(&scan, stats);
	while ((stat = hash_seq_search(&scan)) != NULL)
	{
		SpinLockAcquire(&stat->mutex);
		copies[(*n)++] = *stat;
		SpinLockRelease(&stat->mutex);
	}
	smrt_unlock(SMRT_LOCK_STATISTICS);
	return copies;
}

void
smrt_statistics_reset(void)
{
	HASH_SEQ_STATUS scan;
	SmrtStat   *stat;

	smrt_lock(SMRT_LOCK_STATISTICS, LW_EXCLUSIVE);
	hash_seq_init(&scan, table());
	while ((stat = hash_seq_search(&scan)) != NULL)
		hash_search(stats, &stat->key, HASH_REMOVE, NULL);
	smrt_unlock(SMRT_LOCK_STATISTICS);
}

/*
 * The file.  It is gone while the server runs, so that after a crash nobody takes
 * old figures for new ones.
 */

static void
save(int code, Datum arg)
{
	FileHead	head = {file_format, PG_VERSION_NUM, sizeof(SmrtStat)};
	HASH_SEQ_STATUS scan;
	SmrtStat   *stat;
	FILE	   *file;
	bool		written;

	if (code != 0)
		return;
	file = AllocateFile(FILE_NAME ".tmp", PG_BINARY_W);
	if (file == NULL)
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", FILE_NAME ".tmp")));
		return;
	}
	head.n_entries = hash_get_num_entries(stats);
	written = fwrite(&head, sizeof(head), 1, file) == 1;
	hash_seq_init(&scan, stats);
	while ((stat = hash_seq_search(&scan)) != NULL)
		written = written && fwrite(stat, sizeof(SmrtStat), 1, file) == 1;
	if (FreeFile(file) != 0 || !written)
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", FILE_NAME ".tmp")));
		(void) unlink(FILE_NAME ".tmp");
		return;
	}
	(void) durable_rename(FILE_NAME ".tmp", FILE_NAME, LOG);
}

static void
load(void)
{
	FILE	   *file = AllocateFile(FILE_NAME, PG_BINARY_R);

	if (file == NULL)
		return;
	if (!load_entries(file))
		ereport(LOG,
				(errmsg("ignoring the rest of file \"%s\": it is not of this server and version",
						FILE_NAME)));
	FreeFile(file);
	(void) unlink(FILE_NAME);
}

static bool
load_entries(FILE *file)
{
	FileHead	head;
	SmrtStat	kept;

	if (fread(&head, sizeof(head), 1, file) != 1 ||
		head.format != file_format || head.server_version != PG_VERSION_NUM ||
		head.entry_size != sizeof(SmrtStat))
		return false;
	for (int i = 0; i < head.n_entries; i++)
	{
		SmrtStat   *stat;

		if (fread(&kept, sizeof(kept), 1, file) != 1)
			return false;
		/* stat_max may be less now. */
		if (hash_get_num_entries(stats) >= smrt_settings.stat_max)
			continue;
		stat = enter(&kept.key);
		if (stat == NULL)
			continue;
		*stat = kept;
		SpinLockInit(&stat->mutex);
	}
	return true;
}
