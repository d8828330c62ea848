/*
 * One operation as a value: the endpoint, the body and the other members of the
 * API, and the table that says under which header of which operation each
 * travels and what it may look like.
 */
#ifndef SMRT_CALL_OPERATION_H
#define SMRT_CALL_OPERATION_H

#include "aws/error.h"
#include "aws/header.h"

typedef enum SmrtOperation
{
	SMRT_OPERATION_INVOKE,		/* InvokeEndpoint */
	SMRT_OPERATION_STREAM,		/* InvokeEndpointWithResponseStream */
	SMRT_OPERATION_ASYNC,		/* InvokeEndpointAsync */
	SMRT_OPERATION_GET_OBJECT,	/* GetObject of S3, which has no members */
	SMRT_OPERATION_COUNT
} SmrtOperation;

/*
 * Members beside EndpointName and Body: InvokeEndpoint's in the API's order, of
 * which another operation may lack some, then those that only others have.
 */
typedef enum SmrtMember
{
	SMRT_MEMBER_CONTENT_TYPE,
	SMRT_MEMBER_ACCEPT,
	SMRT_MEMBER_CUSTOM_ATTRIBUTES,
	SMRT_MEMBER_TARGET_MODEL,
	SMRT_MEMBER_TARGET_VARIANT,
	SMRT_MEMBER_TARGET_CONTAINER_HOSTNAME,
	SMRT_MEMBER_INFERENCE_ID,
	SMRT_MEMBER_ENABLE_EXPLANATIONS,
	SMRT_MEMBER_INFERENCE_COMPONENT_NAME,
	SMRT_MEMBER_SESSION_ID,
	SMRT_MEMBER_PREFIX_AWARE_ID,
	SMRT_MEMBER_INPUT_LOCATION,
	SMRT_MEMBER_S3_OUTPUT_PATH_EXTENSION,
	SMRT_MEMBER_FILENAME,
	SMRT_MEMBER_REQUEST_TTL_SECONDS,
	SMRT_MEMBER_INVOCATION_TIMEOUT_SECONDS,
	SMRT_MEMBER_COUNT
} SmrtMember;

#define SMRT_INVOKE_MEMBER_COUNT (SMRT_MEMBER_PREFIX_AWARE_ID + 1)

/* All spans belong to the caller and stay until the call has ended. */
typedef struct SmrtRequest
{
	SmrtOperation operation;
	SmrtSpan	endpoint;		/* GetObject: absent */
	SmrtSpan	object;			/* GetObject: its location, for messages */
	SmrtSpan	path;			/* GetObject: bucket and key, as sent */
	const char *model;			/* function that asks, for the statistics; NULL: none */
	int			rows;			/* in the body */
	bool		tells_tokens;	/* we look for them in its answer */
	SmrtSpan	body;			/* absent: InvokeEndpointAsync's is in S3 */
	SmrtSpan	members[SMRT_MEMBER_COUNT]; /* absent ones are not sent */
	const SmrtHeader *extra;	/* members that AWS added later */
	int			n_extra;
	size_t		window;			/* the answer is read while it arrives, so many
								 * bytes ahead of its reader; 0: all at once, a
								 * stream's parts joined */
} SmrtRequest;

/*
 * Whether the request may be sent.  If not, argument is the SQL name of the
 * culprit ("endpoint", "session_id", a header's name) and error says why.
 */
extern bool smrt_request_check(const SmrtRequest *request, SmrtSpan *argument,
							   SmrtError *error);

/* The same as an error: 22023, with the argument's name. */
extern void smrt_request_require(const SmrtRequest *request);

/*
 * What stands in a URL's path behind the endpoint's name: "/invocations"; NULL
 * for GetObject.
 */
extern const char *smrt_operation_path(SmrtOperation operation);

/* The permission of IAM that the key needs, for messages. */
extern const char *smrt_operation_permission(SmrtOperation operation);

/* The SQL name of a member. */
extern const char *smrt_member_name(SmrtMember member);

/*
 * The header that a member travels under; absent: the operation has no such
 * member.
 */
extern SmrtSpan smrt_member_header(SmrtOperation operation, SmrtMember member);

#endif							/* SMRT_CALL_OPERATION_H */
