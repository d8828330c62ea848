/*
 * The order in which providers are asked.
 */
#ifndef SMRT_CALL_CREDENTIAL_CHAIN_H
#define SMRT_CALL_CREDENTIAL_CHAIN_H

#include "call/credential/credential.h"

/*
 * A credential for the search's target, in the current memory context: of the
 * keys that it holds, of its profile, or of the first provider that has one;
 * then of the role that it names.  False, with a line for each provider that was
 * asked.
 */
extern bool smrt_chain_walk(const SmrtSearch *search,
							SmrtCredential *credential, StringInfo said);

#endif							/* SMRT_CALL_CREDENTIAL_CHAIN_H */
