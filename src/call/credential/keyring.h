/*
 * Credentials that this backend holds, by identity, and their refresh.
 */
#ifndef SMRT_CALL_CREDENTIAL_KEYRING_H
#define SMRT_CALL_CREDENTIAL_KEYRING_H

#include "call/credential/credential.h"

/*
 * The keys to sign with for the target now.  Valid until the next call of a
 * function of this file: use them and let go.  Waits for the network if they
 * have to be found or refreshed, until give_up_at_ms (on the pump's clock) at
 * most.  Raises 28000, with what each provider said, when there are none.
 */
extern const SmrtKeys *smrt_keyring_get(SmrtTarget *target,
										int64 give_up_at_ms);

/*
 * The service has refused keys that the target signed with, whose id ends like
 * that.  True when looking again may give others, or has: do so, once.
 */
extern bool smrt_keyring_reject(const SmrtTarget *target,
								const char *key_id_tail);

/* What smrt_keyring_get() would use, without asking anybody; NULL: nothing yet. */
extern const SmrtCredential *smrt_keyring_peek(const SmrtTarget *target);

/* Has no key of the target's be repeated by a fault: smrt_report_blot(). */
extern void smrt_keyring_blot(const SmrtTarget *target, SmrtFault *fault);

#endif							/* SMRT_CALL_CREDENTIAL_KEYRING_H */
