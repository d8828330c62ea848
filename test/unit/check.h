/*
 * The harness of the unit tests: a program is a table of named functions.  A
 * failed check is reported and the function goes on, so that one run shows all.
 */
#ifndef SMRT_TEST_CHECK_H
#define SMRT_TEST_CHECK_H

#include <stdint.h>

#include "aws/buffer.h"

typedef struct CheckCase
{
	const char *name;			/* the property shown */
	void		(*run) (void);
} CheckCase;

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Runs them and prints a line for each; gives the exit status. */
extern int	check_run(const CheckCase *cases, size_t n);

/* One more result, for programs whose cases are not known beforehand. */
extern void check_begin(void);
extern void check_end(const char *name);
extern void check_skip(const char *name, const char *reason);
extern int	check_status(void);

#define CHECK(condition) \
	check_true(__FILE__, __LINE__, #condition, (condition))
#define CHECK_INT(got, want) \
	check_int(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_SPAN(got, want) \
	check_span(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_TEXT(got, want) \
	check_span(__FILE__, __LINE__, #got, (got), smrt_span(want))

/* Each gives whether it held. */
extern bool check_true(const char *file, int line, const char *what, bool held);
extern bool check_int(const char *file, int line, const char *what,
					  int64_t got, int64_t want);
extern bool check_span(const char *file, int line, const char *what,
					   SmrtSpan got, SmrtSpan want);

/* Memory that ends: the allocation after the next "left" ones fails. */
typedef struct CheckMemory
{
	SmrtAlloc	alloc;
	int			left;			/* negative: as many as wanted */
	int			live;			/* blocks not given back */
} CheckMemory;

extern void check_memory_init(CheckMemory *memory, int left);

#endif							/* SMRT_TEST_CHECK_H */
