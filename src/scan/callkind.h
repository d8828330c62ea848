/*
 * Which functions are models, or operations, that a plan may call in batches.
 */
#ifndef SMRT_SCAN_CALLKIND_H
#define SMRT_SCAN_CALLKIND_H

#include "nodes/primnodes.h"

/* The language that models are written in. */
#define SMRT_LANGUAGE "sagemaker"

typedef enum SmrtCallKind
{
	SMRT_CALL_OF_OTHER,				/* no model's */
	SMRT_CALL_OF_MODEL,				/* a function of language sagemaker */
	SMRT_CALL_OF_PREDICT,			/* sagemaker_predict(endpoint, ...) */
	SMRT_CALL_OF_AURORA,				/* invoke_endpoint(endpoint, max_rows, ...) */
	SMRT_CALL_OF_INVOKE				/* sagemaker_invoke[_async](...) */
} SmrtCallKind;

/* What node is a call of; language is that of model functions. */
extern SmrtCallKind smrt_callkind_of(Node *node, Oid language);

/* Whether it is a call of any of them. */
extern bool smrt_callkind_is_model(Node *node, Oid language);

/* Whether there is such a call anywhere in node. */
extern bool smrt_callkind_exists(Node *node, Oid language);

/* Adds the functions of all of them to a list of Oid. */
extern void smrt_callkind_collect(Node *node, Oid language, List **functions);

#endif							/* SMRT_SCAN_CALLKIND_H */
