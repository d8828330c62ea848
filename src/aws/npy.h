/*
 * application/x-npy, NumPy's file of one array, as SageMaker's toolkits for Python
 * frameworks speak it.
 */
#ifndef SMRT_AWS_NPY_H
#define SMRT_AWS_NPY_H

#include "aws/buffer.h"
#include "aws/error.h"
#include "aws/number.h"

/* The header that is written has room for any shape. */
#define SMRT_NPY_HEADER 128

#define SMRT_NPY_MAX_DIMENSIONS 8

/* Of a matrix of n_rows x n_columns of 64-bit floats. */
extern void smrt_npy_write_header(char out[SMRT_NPY_HEADER], size_t n_rows,
								  size_t n_columns);

/* Such a float. */
extern void smrt_npy_append(SmrtBuf *out, double value);

/* An array that is read; it points into the bytes. */
typedef struct SmrtNpy
{
	char		kind;			/* f, i, u or b, as NumPy has it */
	size_t		size;			/* of an element, in bytes */
	bool		big_endian;
	bool		columns_first;	/* Fortran's order */
	int			n_dimensions;	/* at least 1 */
	size_t		shape[SMRT_NPY_MAX_DIMENSIONS];
	SmrtSpan	data;
} SmrtNpy;

/* False, with the reason, when it is none that can be read, or not whole. */
extern bool smrt_npy_read(SmrtSpan bytes, SmrtNpy *array, SmrtError *error);

/* The element at a place, which has as many numbers as the shape. */
extern SmrtNumber smrt_npy_element(const SmrtNpy *array, const size_t *place);

#endif							/* SMRT_AWS_NPY_H */
