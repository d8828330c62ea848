/*
 * Where rows stand that were not handed out: a ring by their numbers.
 */
#ifndef SMRT_MODEL_PLACES_H
#define SMRT_MODEL_PLACES_H

#include "model/batch.h"

typedef struct SmrtPlace
{
	SmrtBatch  *batch;			/* NULL: the row is not sent */
	int			i;				/* its number there */
} SmrtPlace;

typedef struct SmrtPlaces
{
	SmrtPlace  *ring;
	int64		size;			/* of it, a power of two */
	int64		first;			/* the oldest row that was not handed out */
	int64		end;			/* the number that the next row has */
} SmrtPlaces;

/* In the current memory context, as what it grows to. */
extern void smrt_places_init(SmrtPlaces *places);

/* The next row's. */
extern void smrt_places_add(SmrtPlaces *places, SmrtBatch *batch, int i);

/* Of a row from first on, before end.  Valid until one is added. */
static inline SmrtPlace *
smrt_places_get(const SmrtPlaces *places, int64 number)
{
	return &places->ring[number & (places->size - 1)];
}

#endif							/* SMRT_MODEL_PLACES_H */
