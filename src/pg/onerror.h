/*
 * What becomes of a row whose prediction failed.
 */
#ifndef SMRT_PG_ONERROR_H
#define SMRT_PG_ONERROR_H

typedef enum SmrtOnError
{
	SMRT_ON_ERROR_ERROR,
	SMRT_ON_ERROR_NULL,
	SMRT_ON_ERROR_WARNING,		/* NULL, and a warning */
	SMRT_ON_ERROR_COUNT
} SmrtOnError;

/* As they are written; NULL after the last. */
extern const char *const smrt_on_error_words[SMRT_ON_ERROR_COUNT + 1];

/* What the setting on_error says for the current role. */
extern SmrtOnError smrt_on_error_setting(void);

#endif							/* SMRT_PG_ONERROR_H */
