/*
 * Retry arithmetic.  The figures are those of the SDKs' standard retry mode
 * 2.1; ModelNotReadyException and InternalDependencyException, which it does
 * not retry, are ours to add (sagemaker-runtime's service model names both).
 */
#include "aws/retry.h"

#include "aws/timestamp.h"

#define MAX_DELAY_MS 20000.0	/* before the jitter */
#define MAX_HINT_EXTRA_MS 5000	/* a server may lengthen a delay by this */
#define BUCKET_CAPACITY 500

typedef struct ClassRow
{
	double		base_ms;
	int			price;			/* tokens a retry costs */
} ClassRow;

static const ClassRow classes[] = {
	[SMRT_RETRY_NEVER] = {0, 0},
	[SMRT_RETRY_TRANSIENT] = {50, 14},
	[SMRT_RETRY_THROTTLED] = {1000, 5},
	[SMRT_RETRY_ONCE] = {50, 14},
	/* Free: a model that loads is no sign of an overloaded host. */
	[SMRT_RETRY_PATIENT] = {1000, 0},
};

static int64_t whole_number(SmrtSpan text);

SmrtRetryClass
smrt_retry_class(SmrtFaultKind kind)
{
	switch (kind)
	{
		case SMRT_FAULT_RESOLVE:
		case SMRT_FAULT_CONNECT:
		case SMRT_FAULT_CONNECT_TIMEOUT:
		case SMRT_FAULT_CUT_OFF:
		case SMRT_FAULT_TIMEOUT:
		case SMRT_FAULT_SERVICE:
		case SMRT_FAULT_STREAM:
			return SMRT_RETRY_TRANSIENT;
		case SMRT_FAULT_THROTTLED:
			return SMRT_RETRY_THROTTLED;
		case SMRT_FAULT_DEPENDENCY:
			return SMRT_RETRY_ONCE;
		case SMRT_FAULT_NOT_READY:
			return SMRT_RETRY_PATIENT;
		default:
			return SMRT_RETRY_NEVER;
	}
}

bool
smrt_retry_counts(SmrtRetryClass class, int retry, int max_attempts)
{
	switch (class)
	{
		case SMRT_RETRY_NEVER:
			return false;
		case SMRT_RETRY_ONCE:
			return retry == 0 && max_attempts > 1;
		case SMRT_RETRY_PATIENT:
			return max_attempts > 1;
		default:
			return retry + 1 < max_attempts;
	}
}

int64_t
smrt_retry_delay_ms(SmrtRetryClass class, int retry, double jitter,
					int64_t hint_ms)
{
	double		delay = classes[class].base_ms;
	int64_t		ms;

	while (retry-- > 0 && delay < MAX_DELAY_MS)
		delay *= 2;
	if (delay > MAX_DELAY_MS)
		delay = MAX_DELAY_MS;
	ms = (int64_t) (delay * jitter);
	if (hint_ms > ms)
		ms = hint_ms < ms + MAX_HINT_EXTRA_MS ? hint_ms : ms + MAX_HINT_EXTRA_MS;
	return ms;
}

int64_t
smrt_retry_hint_ms(SmrtSpan amz_ms, SmrtSpan retry_after, SmrtSpan date)
{
	int64_t		ms = whole_number(amz_ms);
	int64_t		seconds = whole_number(retry_after);
	int64_t		until;
	int64_t		now;

	if (ms >= 0)
		return ms;
	if (seconds < 0 && smrt_timestamp_parse_http(retry_after, &until) &&
		smrt_timestamp_parse_http(date, &now))
		seconds = until > now ? until - now : 0;
	return seconds < 0 ? -1 : seconds * 1000;
}

/* -1 for anything but one to nine digits: a bad wish is no wish. */
static int64_t
whole_number(SmrtSpan text)
{
	int64_t		value = 0;

	if (text.len == 0 || text.len > 9)
		return -1;
	for (size_t i = 0; i < text.len; i++)
	{
		if (text.data[i] < '0' || text.data[i] > '9')
			return -1;
		value = value * 10 + (text.data[i] - '0');
	}
	return value;
}

void
smrt_bucket_init(SmrtRetryBucket *bucket)
{
	bucket->tokens = BUCKET_CAPACITY;
}

bool
smrt_bucket_take(SmrtRetryBucket *bucket, SmrtRetryClass class, int *price)
{
	*price = classes[class].price;
	if (bucket->tokens < *price)
		return false;
	bucket->tokens -= *price;
	return true;
}

void
smrt_bucket_give(SmrtRetryBucket *bucket, int last_price)
{
	bucket->tokens += last_price > 0 ? last_price : 1;
	if (bucket->tokens > BUCKET_CAPACITY)
		bucket->tokens = BUCKET_CAPACITY;
}
