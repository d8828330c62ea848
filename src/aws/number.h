/*
 * A number out of a binary answer, as wide as it stood there.
 */
#ifndef SMRT_AWS_NUMBER_H
#define SMRT_AWS_NUMBER_H

#include <stdint.h>

typedef enum SmrtNumberKind
{
	SMRT_NUMBER_WHOLE,
	SMRT_NUMBER_SINGLE,			/* a float of 32 bits */
	SMRT_NUMBER_DOUBLE
} SmrtNumberKind;

typedef struct SmrtNumber
{
	SmrtNumberKind kind;
	int64_t		whole;			/* WHOLE */
	double		real;			/* the others */
} SmrtNumber;

#endif							/* SMRT_AWS_NUMBER_H */
