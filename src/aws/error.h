/*
 * Why a pure function refused its input: one sentence fragment, lower case,
 * without a full stop, fit for errdetail's middle or a test's output.  It never
 * holds a secret.
 */
#ifndef SMRT_AWS_ERROR_H
#define SMRT_AWS_ERROR_H

#include <stdbool.h>

typedef struct SmrtError
{
	char		text[200];		/* cut when longer; "" while nothing failed */
} SmrtError;

/* Fills the error and returns false, so that a caller can return the call. */
extern bool smrt_error_set(SmrtError *error, const char *format,...)
	__attribute__((format(printf, 2, 3)));

#endif							/* SMRT_AWS_ERROR_H */
