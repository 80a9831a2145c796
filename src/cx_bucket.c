/*
 * cx_bucket.c
 *	  Linking and unlinking slots in a bucket.
 *
 * Locking: the caller's, the partition's lock, exclusive to link and unlink.
 * Takes the arena's for a granule.  Frees no slots.
 */
#include "postgres.h"

#include "cx_bucket.h"

/* Finds the place of a slot number; false when it is not in the bucket. */
bool
cx_bucket_find(CxPlace *place, CxBucket *bucket, uint32 slot)
{
	cx_bucket_start(place, bucket);
	while (cx_bucket_step(place))
	{
		if (cx_bucket_slot(place) == slot)
			return true;
	}
	return false;
}

/* Puts a slot into an empty place; false when there is no memory for one. */
bool
cx_bucket_link(CxBucket *bucket, uint32 slot, uint16 tag)
{
	CxPlace		place;
	uint32		more;

	cx_bucket_start(&place, bucket);
	while (cx_bucket_step(&place))
	{
		if (cx_bucket_slot(&place) == CX_NONE)
			break;
	}
	if (place.i == CX_BUCKET_SLOTS)
	{
		more = cx_arena_alloc_granule();
		if (more == CX_NONE)
			return false;
		memset(cx_arena_slot(more), 0, sizeof(CxBucket));
		place.bucket->next = more;
		place.bucket = cx_arena_slot(more);
		place.i = 0;
	}
	place.bucket->tag[place.i] = tag;
	place.bucket->slot[place.i] = slot;
	cx_slot(slot)->flags |= CX_SLOT_LINKED;
	return true;
}

static bool
is_empty(const CxBucket *bucket)
{
	for (int i = 0; i < CX_BUCKET_SLOTS; i++)
	{
		if (bucket->slot[i] != CX_NONE)
			return false;
	}
	return true;
}

/* Takes the slot at a place off. The place is then no more valid. */
uint32
cx_bucket_unlink(const CxPlace *place)
{
	uint32		n = cx_bucket_slot(place);

	place->bucket->slot[place->i] = CX_NONE;
	cx_slot(n)->flags &= ~CX_SLOT_LINKED;
	if (place->before && is_empty(place->bucket))
	{
		uint32		granule = place->before->next;

		place->before->next = place->bucket->next;
		cx_arena_free_granule(granule);
	}
	return n;
}

/* Granules that the bucket goes on in. */
uint32
cx_bucket_granules(const CxBucket *bucket)
{
	uint32		n = 0;

	for (uint32 next = bucket->next; next != CX_NONE;
		 next = ((CxBucket *) cx_arena_slot(next))->next)
		n++;
	return n;
}
