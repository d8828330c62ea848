/*
 * Looking for asynchronous answers.
 *
 * S3 says NoSuchKey of an object that is not there yet, if the key may list the
 * bucket.  If not, it denies access, so as not to tell what is in the bucket; in
 * one's own account it adds that s3:ListBucket is what is missing, and then the
 * object is not there either.  Without these words it may as well be an object
 * that must not be read, so that is an error.
 */
#include "postgres.h"

#include "aws/s3location.h"
#include "call/asyncanswer.h"
#include "call/location.h"
#include "net/pump.h"
#include "pg/alloc.h"
#include "pg/compat.h"
#include "utils/memutils.h"

/*
 * Pauses between two looks.  An answer takes seconds to an hour; at the longest
 * pause, a thousand sessions that wait ask S3 for less than a hundred objects
 * a second, of the thousands that it gives.
 */
#define FIRST_PAUSE_MS 500
#define LONGEST_PAUSE_MS (30 * 1000)

static bool look(SmrtTarget *target, const SmrtLimits *limits,
				 const SmrtAsyncQuestion *question, SmrtAsyncAnswer *answer);
static bool fetch(SmrtTarget *target, const SmrtLimits *limits,
				  SmrtSpan object, SmrtResponse *response);
static void require_location(const char *argument, SmrtSpan text);
static SmrtSpan path_of(const SmrtTarget *target,
						const SmrtS3Location *location);
static bool is_missing(const SmrtFault *fault);

void
smrt_asyncanswer_find(SmrtTarget *target, const SmrtLimits *limits,
					  const SmrtAsyncQuestion *question,
					  SmrtAsyncAnswer *answer)
{
	MemoryContext round = AllocSetContextCreate(CurrentMemoryContext,
												"sagemaker_rt look",
												ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(round);
	int64		end = smrt_pump_now_ms() + question->wait_ms;
	int64		pause = FIRST_PAUSE_MS;
	int64		left;

	require_location("output_location", question->output_location);
	if (!smrt_span_absent(question->failure_location))
		require_location("failure_location", question->failure_location);
	/* What was found stays in the context, and goes with the one above. */
	while (!look(target, limits, question, answer) &&
		   (left = end - smrt_pump_now_ms()) > 0)
	{
		MemoryContextReset(round);
		/* At random, so that many who began at once do not go on as one. */
		smrt_pump_sleep(Min(left, pause / 2 +
							(int64) (pause / 2 * smrt_random_fraction())));
		pause = Min(pause * 2, LONGEST_PAUSE_MS);
	}
	MemoryContextSwitchTo(before);
}

static bool
look(SmrtTarget *target, const SmrtLimits *limits,
	 const SmrtAsyncQuestion *question, SmrtAsyncAnswer *answer)
{
	answer->state = SMRT_ASYNC_PENDING;
	if (fetch(target, limits, question->output_location, &answer->response))
		answer->state = SMRT_ASYNC_DONE;
	else if (!smrt_span_absent(question->failure_location) &&
			 fetch(target, limits, question->failure_location,
				   &answer->response))
		answer->state = SMRT_ASYNC_FAILED;
	return answer->state != SMRT_ASYNC_PENDING;
}

/* False if the object is not there. */
static bool
fetch(SmrtTarget *target, const SmrtLimits *limits, SmrtSpan object,
	  SmrtResponse *response)
{
	SmrtRequest request = {.operation = SMRT_OPERATION_GET_OBJECT,
		.object = object,.body = SMRT_LITERAL("")};
	SmrtS3Location location;
	SmrtError	error;
	SmrtTarget *bucket;
	SmrtCallSet *set;
	SmrtCall   *call;

	(void) smrt_s3location_parse(object, &location, &error);
	bucket = smrt_location_of_bucket(target, location.bucket,
									 smrt_pump_now_ms() + limits->total_timeout);
	request.path = path_of(bucket, &location);
	set = smrt_callset_create(bucket, limits);
	smrt_target_release(bucket);
	smrt_callset_submit(set, &request);
	call = smrt_callset_wait(set);
	if (call->reply.fault.kind == SMRT_FAULT_NONE)
	{
		*response = call->reply.response;
		return true;
	}
	if (!is_missing(&call->reply.fault))
		smrt_report_fault(&call->reply.fault, &call->report);
	smrt_callset_delete(set);
	return false;
}

static void
require_location(const char *argument, SmrtSpan text)
{
	SmrtS3Location location;
	SmrtError	error;

	if (!smrt_s3location_parse(text, &location, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" is not valid: %s", argument,
						error.text),
				 errhint("It is of the form s3://bucket/key, as sagemaker_invoke_async gives it.")));
}

static SmrtSpan
path_of(const SmrtTarget *target, const SmrtS3Location *location)
{
	SmrtBuf		path;

	smrt_buf_init(&path, &smrt_alloc_palloc, SMRT_EXCHANGE_MAX_URL);
	if (target->bucket_len == 0)
	{
		smrt_buf_append_char(&path, '/');
		smrt_buf_append_span(&path, location->bucket);
	}
	smrt_buf_append_char(&path, '/');
	if (!smrt_s3location_path(location->key, &path))
		elog(ERROR, "an object's path does not fit");
	return smrt_buf_span(&path);
}

static bool
is_missing(const SmrtFault *fault)
{
	static const char permission[] = "s3:ListBucket";

	if (smrt_span_equal(fault->code, smrt_span("NoSuchKey")))
		return true;
	return smrt_span_equal(fault->code, smrt_span("AccessDenied")) &&
		fault->text.len > 0 &&
		memmem(fault->text.data, fault->text.len, permission,
			   strlen(permission)) != NULL;
}
