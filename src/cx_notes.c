/*
 * cx_notes.c
 *	  An array in which the last note of a dependency has a place by its hash.
 *	  Another one's takes it over, and then nothing is known.
 *
 * Locking: a spinlock for each place.
 */
#include "postgres.h"

#include "storage/spin.h"

#include "cx_notes.h"

#define PLACES 4096

typedef struct Place
{
	slock_t		mutex;
	uint64		id;				/* 0 = free */
	CxNote		note;
} Place;

static Place *places;

Size
cx_notes_size(void)
{
	return PLACES * sizeof(Place);
}

void
cx_notes_init(void *memory)
{
	places = memory;
	memset(memory, 0, cx_notes_size());
	for (int i = 0; i < PLACES; i++)
		SpinLockInit(&places[i].mutex);
}

/* Raises no error. */
void
cx_notes_put(uint64 id, const CxNote *note)
{
	Place	   *place = &places[id % PLACES];

	SpinLockAcquire(&place->mutex);
	place->id = id;
	place->note = *note;
	SpinLockRelease(&place->mutex);
}

/* Returns false when nothing is known. */
bool
cx_notes_get(uint64 id, CxNote *note)
{
	Place	   *place = &places[id % PLACES];
	bool		found;

	SpinLockAcquire(&place->mutex);
	found = place->id == id;
	*note = place->note;
	SpinLockRelease(&place->mutex);
	return found;
}
