/*
 * A span is a view of bytes that belong to someone else: it is passed by
 * value, never freed through, and valid as long as its owner is.  The bytes
 * need not end in NUL and may contain any value.
 */
#ifndef SMRT_AWS_SPAN_H
#define SMRT_AWS_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct SmrtSpan
{
	const char *data;			/* may be NULL when len is 0 */
	size_t		len;
} SmrtSpan;

/* A span over a string literal, usable in static initialisers. */
#define SMRT_LITERAL(s) {(s), sizeof(s) - 1}

/* The span of a NUL-terminated string; NULL gives the absent span. */
static inline SmrtSpan
smrt_span(const char *s)
{
	SmrtSpan	span = {s, s ? strlen(s) : 0};

	return span;
}

static inline SmrtSpan
smrt_span_of(const char *data, size_t len)
{
	SmrtSpan	span = {data, len};

	return span;
}

/* Absent is not the same as empty: an absent member is not sent at all. */
static inline bool
smrt_span_absent(SmrtSpan s)
{
	return s.data == NULL;
}

static inline bool
smrt_span_equal(SmrtSpan a, SmrtSpan b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline char
smrt_ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
}

/* Equal but for the case of ASCII letters, as HTTP field names are. */
static inline bool
smrt_span_equal_nocase(SmrtSpan a, SmrtSpan b)
{
	if (a.len != b.len)
		return false;
	/* The C library compares by the locale, and in Turkish I is no i. */
	for (size_t i = 0; i < a.len; i++)
		if (smrt_ascii_lower(a.data[i]) != smrt_ascii_lower(b.data[i]))
			return false;
	return true;
}

static inline bool
smrt_span_starts_with(SmrtSpan s, SmrtSpan prefix)
{
	return s.len >= prefix.len &&
		(prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

/* What is before the first byte c, all of it when there is none. */
static inline SmrtSpan
smrt_span_up_to(SmrtSpan s, char c)
{
	const char *found = s.len ? memchr(s.data, c, s.len) : NULL;

	return found ? smrt_span_of(s.data, (size_t) (found - s.data)) : s;
}

/* What is after the first n bytes, of which there must be as many. */
static inline SmrtSpan
smrt_span_after(SmrtSpan s, size_t n)
{
	return smrt_span_of(s.data + n, s.len - n);
}

#endif							/* SMRT_AWS_SPAN_H */
