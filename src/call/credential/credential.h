/*
 * A set of keys with where it came from and how long it lasts, and what a
 * provider of such sets looks like.
 */
#ifndef SMRT_CALL_CREDENTIAL_CREDENTIAL_H
#define SMRT_CALL_CREDENTIAL_CREDENTIAL_H

#include "aws/sigv4.h"
#include "lib/stringinfo.h"
#include "pg/target.h"

typedef struct SmrtCredential SmrtCredential;
typedef struct SmrtSearch SmrtSearch;

typedef enum SmrtProvision
{
	SMRT_PROVISION_GIVEN,		/* the credential is filled in */
	SMRT_PROVISION_NONE,		/* not set up here: ask the next one */
	SMRT_PROVISION_FAILED		/* set up and not working: ask no other */
} SmrtProvision;

/*
 * Fills in credential, in the current memory context, or says in one phrase
 * why not ("no AWS_ACCESS_KEY_ID").  Waits for the network if it must, as
 * interruptible as a call; raises nothing of its own.
 */
typedef SmrtProvision (*SmrtProvider) (const SmrtSearch *search,
									   SmrtCredential *credential,
									   StringInfo why);

/* Taken and replaced as a whole.  Everything is in one memory context. */
struct SmrtCredential
{
	SmrtKeys	keys;
	int64		expires_at;		/* seconds from 1970; 0: not */
	bool		from_file;		/* may change at any time without notice */
	SmrtProvider provider;		/* who gave it; NULL: the target */
	const char *source;			/* "profile \"x\"", for people */
};

/* For whom keys are looked for, and how far. */
struct SmrtSearch
{
	const SmrtTarget *target;
	int64		give_up_at_ms;	/* on the pump's clock */
	bool		once;			/* a request that failed is not repeated */
	SmrtProvider last;			/* none behind it is asked; NULL: all are */
};

extern SmrtProvision smrt_provide_environment(const SmrtSearch *search,
											  SmrtCredential *credential,
											  StringInfo why);
extern SmrtProvision smrt_provide_profile(const SmrtSearch *search,
										  SmrtCredential *credential,
										  StringInfo why);
extern SmrtProvision smrt_provide_web_identity(const SmrtSearch *search,
											   SmrtCredential *credential,
											   StringInfo why);
extern SmrtProvision smrt_provide_container(const SmrtSearch *search,
											SmrtCredential *credential,
											StringInfo why);
extern SmrtProvision smrt_provide_imds(const SmrtSearch *search,
									   SmrtCredential *credential,
									   StringInfo why);

/*
 * Reads the JSON that container and instance services give; what names the
 * service, token is what it was asked with, which is not to be repeated.  GIVEN
 * or FAILED.
 */
extern SmrtProvision smrt_credential_from_json(SmrtSpan json, const char *what,
											   SmrtSpan token,
											   SmrtCredential *credential,
											   StringInfo why);

#endif							/* SMRT_CALL_CREDENTIAL_CREDENTIAL_H */
