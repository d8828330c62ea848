/*
 * Classes of ASCII characters, whatever the locale.
 */
#ifndef SMRT_AWS_ASCII_H
#define SMRT_AWS_ASCII_H

#include <stdbool.h>

static inline bool
smrt_ascii_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
smrt_ascii_alnum(char c)
{
	return smrt_ascii_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The value of a hexadecimal digit, -1 for anything else. */
static inline int
smrt_ascii_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static inline char
smrt_ascii_lower(char c)
{
	return (char) (c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

#endif							/* SMRT_AWS_ASCII_H */
