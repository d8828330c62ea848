/*
 * What can go wrong with one operation, as a kind and the facts.  This file
 * says what happened; how long to wait is aws/retry's, which SQLSTATE it
 * becomes is pg/report's.
 */
#ifndef SMRT_AWS_FAULT_H
#define SMRT_AWS_FAULT_H

#include "aws/span.h"

typedef enum SmrtFaultKind
{
	SMRT_FAULT_NONE,

	/* before or beside HTTP */
	SMRT_FAULT_RESOLVE,			/* the host's name has no address */
	SMRT_FAULT_ADDRESS,			/* it has one that we do not contact */
	SMRT_FAULT_CONNECT,			/* no connection */
	SMRT_FAULT_CONNECT_TIMEOUT, /* none within our connect_timeout */
	SMRT_FAULT_TLS,				/* handshake or certificate */
	SMRT_FAULT_CUT_OFF,			/* the connection ended too early */
	SMRT_FAULT_TIMEOUT,			/* no whole answer within our timeout */
	SMRT_FAULT_REPLY,			/* not an answer that the API promises */
	SMRT_FAULT_REPLY_TOO_LARGE, /* over our max_response_size */
	SMRT_FAULT_HEADERS_TOO_LARGE,	/* over a limit that is fixed */
	SMRT_FAULT_NO_MEMORY,		/* ours */

	/* not sent */
	SMRT_FAULT_NO_TURN,			/* too many others were in flight for too long */
	SMRT_FAULT_BREAKER,			/* the endpoint has failed too often */

	SMRT_FAULT_COST,			/* a limit of ours on what may be sent */
	SMRT_FAULT_UNMETERED,		/* one on tokens, which no answer would tell */
	SMRT_FAULT_DRY_RUN,			/* nothing is sent now: no failure */

	/* said by the service */
	SMRT_FAULT_REFUSED,			/* ValidationError and its like */
	SMRT_FAULT_TOO_LARGE,		/* 413: the request's body */
	SMRT_FAULT_DENIED,			/* key, signature or permission */
	SMRT_FAULT_EXPIRED,			/* the session token's time is over */
	SMRT_FAULT_MODEL,			/* ModelError: the container failed */
	SMRT_FAULT_NOT_READY,		/* ModelNotReadyException: still loading */
	SMRT_FAULT_THROTTLED,
	SMRT_FAULT_SERVICE,			/* InternalFailure, ServiceUnavailable, 500, 502,
								 * 503, 504 */
	SMRT_FAULT_SERVER,			/* any other status from 500 on */
	SMRT_FAULT_DEPENDENCY,		/* InternalDependencyException */

	/* after a success had been promised */
	SMRT_FAULT_STREAM,			/* a stream ended early, or with ModelStreamError */
	SMRT_FAULT_IN_ANSWER,		/* the answer itself says that it failed */
	SMRT_FAULT_NO_TEXT,			/* what came holds no text that we find */

	/* said by a language model, in an answer that is a success */
	SMRT_FAULT_CUT,				/* it had no tokens left */
	SMRT_FAULT_DECLINED,		/* it does not want to answer */
	SMRT_FAULT_OUTSIDE,			/* it is not of the form that was asked for */

	/* of such an answer */
	SMRT_FAULT_UNTOLD,			/* it does not tell its tokens, which are limited */

	SMRT_FAULT_COUNT
} SmrtFaultKind;

/*
 * One failure.  The spans are owned by whoever filled the fault in; what comes
 * from the service is as it came, unescaped and possibly not UTF-8.
 */
typedef struct SmrtFault
{
	SmrtFaultKind kind;
	SmrtSpan	text;			/* the service's message, or libcurl's */

	/* set when there was an HTTP answer */
	int			status;			/* 0: none */
	SmrtSpan	code;			/* the service's error code, or absent */
	SmrtSpan	request_id;
	int			original_status;	/* ModelError: the container's, or 0 */
	SmrtSpan	original_message;
	SmrtSpan	log_stream_arn;
} SmrtFault;

/*
 * The error code in an X-Amzn-ErrorType header or a body's code or __type:
 * "ns#Code:http://..." gives "Code".
 */
extern SmrtSpan smrt_fault_code(SmrtSpan text);

/* The kind of an answer that is no success; code may be absent. */
extern SmrtFaultKind smrt_fault_kind(int status, SmrtSpan code);

/* It ends a statement, whatever is to become of failed rows. */
extern bool smrt_fault_is_of_limit(SmrtFaultKind kind);

/* The service's words for a model that gave no answer within its 60 s. */
extern bool smrt_fault_is_slow_model(const SmrtFault *fault);

#endif							/* SMRT_AWS_FAULT_H */
