/*
 * Settings that count only for the role that set them: keys, the default server,
 * and what becomes of failures.
 *
 * Any role may set them in its session.  While the effective user is another
 * one (SECURITY DEFINER, REFRESH, a role that was switched to), what the
 * session set is passed over: else a caller could have a function's owner send
 * protected rows to an account of his own.
 */
#ifndef SMRT_PG_OWNSETTING_H
#define SMRT_PG_OWNSETTING_H

typedef enum SmrtOwnSetting
{
	SMRT_OWN_ACCESS_KEY_ID,
	SMRT_OWN_SECRET_ACCESS_KEY,
	SMRT_OWN_SESSION_TOKEN,
	SMRT_OWN_DEFAULT_SERVER,
	SMRT_OWN_ON_ERROR,
	SMRT_OWN_COUNT
} SmrtOwnSetting;

extern void smrt_ownsettings_define(const char *prefix);

/*
 * What the configuration file or command line says; "" for nothing.  An error
 * when that is hidden from this session.
 */
extern const char *smrt_ownsetting_configured(SmrtOwnSetting setting);

/* What that role itself set in this session; NULL for nothing. */
extern const char *smrt_ownsetting_of_role(SmrtOwnSetting setting, Oid role);

#endif							/* SMRT_PG_OWNSETTING_H */
