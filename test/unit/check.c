/*
 * The harness of the unit tests.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"

static int	n_cases;
static int	n_failed;
static bool failed;				/* in the case that runs */

static void print_span(const char *label, SmrtSpan s);
static void *resize(void *owner, void *ptr, size_t size);

int
check_run(const CheckCase *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		check_begin();
		cases[i].run();
		check_end(cases[i].name);
	}
	return check_status();
}

void
check_begin(void)
{
	failed = false;
}

void
check_end(const char *name)
{
	n_cases++;
	n_failed += failed;
	printf("%sok %d - %s\n", failed ? "not " : "", n_cases, name);
	fflush(stdout);				/* a later crash must not take it along */
}

void
check_skip(const char *name, const char *reason)
{
	printf("ok %d - %s # SKIP %s\n", ++n_cases, name, reason);
}

int
check_status(void)
{
	return n_failed > 0 || n_cases == 0;
}

bool
check_true(const char *file, int line, const char *what, bool held)
{
	if (held)
		return true;
	failed = true;
	printf("# %s:%d: does not hold: %s\n", file, line, what);
	return false;
}

bool
check_int(const char *file, int line, const char *what, int64_t got,
		  int64_t want)
{
	if (got == want)
		return true;
	failed = true;
	printf("# %s:%d: %s is %" PRId64 ", not %" PRId64 "\n", file, line, what,
		   got, want);
	return false;
}

bool
check_span(const char *file, int line, const char *what, SmrtSpan got,
		   SmrtSpan want)
{
	if (smrt_span_equal(got, want))
		return true;
	failed = true;
	printf("# %s:%d: %s differs\n", file, line, what);
	print_span("got", got);
	print_span("want", want);
	return false;
}

static void
print_span(const char *label, SmrtSpan s)
{
	printf("#   %-4s \"", label);
	for (size_t i = 0; i < s.len; i++)
	{
		unsigned char c = (unsigned char) s.data[i];

		if (c == '\n')
			printf("\\n");
		else if (c < ' ' || c >= 0x7f)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
	printf("\"\n");
}

void
check_memory_init(CheckMemory *memory, int left)
{
	memory->alloc.resize = resize;
	memory->alloc.owner = memory;
	memory->left = left;
	memory->live = 0;
}

/* Always moves a block, so that a stale pointer is noticed. */
static void *
resize(void *owner, void *ptr, size_t size)
{
	CheckMemory *memory = owner;
	size_t	   *block;
	size_t	   *old = ptr ? (size_t *) ptr - 2 : NULL;

	if (size == 0)
	{
		memory->live -= old != NULL;
		free(old);
		return NULL;
	}
	if (memory->left == 0)
		return NULL;
	memory->left -= memory->left > 0;
	block = malloc(size + 2 * sizeof(size_t));
	if (block == NULL)
		abort();
	block[0] = size;
	memory->live += old == NULL;
	if (old)
	{
		memcpy(block + 2, ptr, old[0] < size ? old[0] : size);
		free(old);
	}
	return block + 2;
}
