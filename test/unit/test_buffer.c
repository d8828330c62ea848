/*
 * The capped buffer.
 */
#include "check.h"

static void
grows_from_nothing(void)
{
	SmrtBuf		buf;
	char		expected[5000];

	smrt_buf_init(&buf, &smrt_alloc_malloc, 10000);
	CHECK(smrt_buf_ok(&buf));
	CHECK_INT(smrt_buf_span(&buf).len, 0);
	for (size_t i = 0; i < sizeof(expected); i++)
	{
		expected[i] = (char) i;
		CHECK(smrt_buf_append_char(&buf, (char) i));
	}
	CHECK_SPAN(smrt_buf_span(&buf), smrt_span_of(expected, sizeof(expected)));
	CHECK_INT(buf.data[buf.len], '\0');
	smrt_buf_free(&buf);
	CHECK(buf.data == NULL);
}

static void
appends_of_every_kind(void)
{
	SmrtBuf		buf;

	smrt_buf_init(&buf, &smrt_alloc_malloc, 100);
	CHECK(smrt_buf_append(&buf, NULL, 0));
	CHECK(smrt_buf_append_string(&buf, "one"));
	CHECK(smrt_buf_append_span(&buf, smrt_span(", two")));
	CHECK(smrt_buf_append_char(&buf, '!'));
	CHECK_TEXT(smrt_buf_span(&buf), "one, two!");
	smrt_buf_free(&buf);
}

static void
takes_exactly_the_cap(void)
{
	for (size_t max = 0; max < 1100; max++)
	{
		SmrtBuf		buf;

		smrt_buf_init(&buf, &smrt_alloc_malloc, max);
		for (size_t i = 0; i < max; i++)
			CHECK(smrt_buf_append_char(&buf, 'x'));
		CHECK(!smrt_buf_append_char(&buf, 'x'));
		CHECK_INT(buf.state, SMRT_BUF_FULL);
		CHECK_INT(buf.len, max);
		smrt_buf_free(&buf);
	}
}

static void
failure_is_sticky(void)
{
	SmrtBuf		buf;

	smrt_buf_init(&buf, &smrt_alloc_malloc, 5);
	CHECK(smrt_buf_append_string(&buf, "abc"));
	CHECK(!smrt_buf_append_string(&buf, "defg"));
	CHECK(!smrt_buf_append_char(&buf, 'd'));
	CHECK(!smrt_buf_append(&buf, NULL, 0));
	CHECK(!smrt_buf_reserve(&buf, 1));
	CHECK_TEXT(smrt_buf_span(&buf), "abc");
	smrt_buf_reset(&buf);
	CHECK(smrt_buf_append_string(&buf, "12345"));
	CHECK_TEXT(smrt_buf_span(&buf), "12345");
	smrt_buf_free(&buf);
}

static void
lengths_do_not_wrap(void)
{
	SmrtBuf		buf;

	smrt_buf_init(&buf, &smrt_alloc_malloc, 100);
	CHECK(smrt_buf_append_string(&buf, "abc"));
	CHECK(!smrt_buf_append(&buf, "x", SIZE_MAX));
	CHECK_INT(buf.state, SMRT_BUF_FULL);
	smrt_buf_reset(&buf);
	CHECK(!smrt_buf_append(&buf, "x", SIZE_MAX - 2));
	CHECK_INT(buf.state, SMRT_BUF_FULL);
	smrt_buf_reset(&buf);
	CHECK(!smrt_buf_reserve(&buf, SIZE_MAX));
	smrt_buf_free(&buf);
}

static void
reserve_saves_allocations(void)
{
	CheckMemory memory;
	SmrtBuf		buf;

	check_memory_init(&memory, 1);
	smrt_buf_init(&buf, &memory.alloc, 100000);
	CHECK(smrt_buf_reserve(&buf, 5000));
	for (int i = 0; i < 5000; i++)
		smrt_buf_append_char(&buf, 'x');
	CHECK(smrt_buf_ok(&buf));
	CHECK_INT(buf.len, 5000);
	smrt_buf_free(&buf);
	CHECK_INT(memory.live, 0);
}

static void
every_allocation_may_fail(void)
{
	for (int left = 0; left < 5; left++)
	{
		CheckMemory memory;
		SmrtBuf		buf;
		size_t		fitted;

		check_memory_init(&memory, left);
		smrt_buf_init(&buf, &memory.alloc, 100000);
		while (smrt_buf_append_string(&buf, "0123456789"))
			;
		CHECK_INT(buf.state, SMRT_BUF_NO_MEMORY);
		fitted = buf.len;
		CHECK_INT(fitted, buf.size / 10 * 10);
		for (size_t i = 0; i < fitted; i++)
			CHECK_INT(buf.data[i], '0' + (int) (i % 10));

		memory.left = -1;
		CHECK(!smrt_buf_append_char(&buf, 'x'));
		smrt_buf_reset(&buf);
		CHECK(smrt_buf_append_char(&buf, 'x'));
		smrt_buf_free(&buf);
		CHECK_INT(memory.live, 0);
	}
}

/* The memory that a wipe gives back, looked at on its way. */
static bool wiped;

static void *
look_then_resize(void *owner, void *ptr, size_t size)
{
	if (ptr && size == 0)
	{
		wiped = true;
		for (int i = 0; i < 6; i++)
			wiped = wiped && ((char *) ptr)[i] == '\0';
	}
	return smrt_alloc_malloc.resize(owner, ptr, size);
}

static void
wipe_overwrites(void)
{
	const SmrtAlloc alloc = {look_then_resize, NULL};
	SmrtBuf		buf;

	smrt_buf_init(&buf, &alloc, 100);
	smrt_buf_append_string(&buf, "secret");
	smrt_buf_wipe(&buf);
	CHECK(wiped);
	smrt_buf_wipe(&buf);
	CHECK(buf.data == NULL);
}

int
main(void)
{
	static const CheckCase cases[] = {
		{"a buffer grows from nothing", grows_from_nothing},
		{"all appends append", appends_of_every_kind},
		{"a buffer takes exactly its cap", takes_exactly_the_cap},
		{"a failure is sticky until reset", failure_is_sticky},
		{"absurd lengths do not wrap", lengths_do_not_wrap},
		{"reserved room needs no allocation", reserve_saves_allocations},
		{"every allocation may fail", every_allocation_may_fail},
		{"a wipe overwrites before it frees", wipe_overwrites},
	};

	return check_run(cases, COUNT_OF(cases));
}
