/*
 * The ring: rows come and go by the million, and so nothing is allocated for one.
 */
#include "postgres.h"

#include "model/places.h"
#include "utils/memutils.h"

#define FIRST_SIZE 64

static void widen(SmrtPlaces *places);

void
smrt_places_init(SmrtPlaces *places)
{
	*places = (SmrtPlaces) {
		.ring = palloc(FIRST_SIZE * sizeof(SmrtPlace)),
		.size = FIRST_SIZE,
	};
}

void
smrt_places_add(SmrtPlaces *places, SmrtBatch *batch, int i)
{
	if (places->end - places->first == places->size)
		widen(places);
	*smrt_places_get(places, places->end++) = (SmrtPlace) {batch, i};
}

static void
widen(SmrtPlaces *places)
{
	SmrtPlaces	old = *places;

	places->size *= 2;
	places->ring = MemoryContextAllocHuge(GetMemoryChunkContext(old.ring),
										  places->size * sizeof(SmrtPlace));
	for (int64 i = old.first; i < old.end; i++)
		*smrt_places_get(places, i) = *smrt_places_get(&old, i);
	pfree(old.ring);
}
