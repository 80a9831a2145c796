/*
 * cx_bucket.h
 *	  Buckets of one cache line: ten slots and 16 bits of hash for each; more
 *	  than ten go on in a granule of the arena.
 */
#ifndef CX_BUCKET_H
#define CX_BUCKET_H

#include "cx_slot.h"

#define CX_BUCKET_SLOTS 10

typedef struct CxBucket
{
	uint16		tag[CX_BUCKET_SLOTS];
	uint32		slot[CX_BUCKET_SLOTS];	/* CX_NONE = empty */
	uint32		next;			/* granule with more, or CX_NONE */
} CxBucket;

StaticAssertDecl(sizeof(CxBucket) == CX_SLOT_SIZE, "a bucket is a granule");

/* A place in a bucket, and the way to it. */
typedef struct CxPlace
{
	CxBucket   *before;			/* the bucket that leads here, or NULL */
	CxBucket   *bucket;
	int			i;
} CxPlace;

extern bool cx_bucket_find(CxPlace *place, CxBucket *bucket, uint32 slot);
extern bool cx_bucket_link(CxBucket *bucket, uint32 slot, uint16 tag);
extern uint32 cx_bucket_unlink(const CxPlace *place);
extern uint32 cx_bucket_granules(const CxBucket *bucket);

static inline void
cx_bucket_start(CxPlace *place, CxBucket *bucket)
{
	place->before = NULL;
	place->bucket = bucket;
	place->i = -1;
}

/* Has a bucket that will be written brought near. */
static inline void
cx_bucket_prefetch(const CxBucket *bucket)
{
#ifdef __GNUC__
	__builtin_prefetch(bucket, 1);
#endif
}

/* Steps to the next place, empty or not; false at the end. */
static inline bool
cx_bucket_step(CxPlace *place)
{
	if (++place->i < CX_BUCKET_SLOTS)
		return true;
	if (place->bucket->next == CX_NONE)
		return false;
	place->before = place->bucket;
	place->bucket = cx_arena_slot(place->bucket->next);
	place->i = 0;
	return true;
}

static inline uint32
cx_bucket_slot(const CxPlace *place)
{
	return place->bucket->slot[place->i];
}

/* Steps to the next slot with a hash and tag; false at the end. */
static inline bool
cx_bucket_match(CxPlace *place, uint16 tag, uint32 hash)
{
	while (cx_bucket_step(place))
	{
		uint32		n = cx_bucket_slot(place);

		if (n != CX_NONE && place->bucket->tag[place->i] == tag &&
			cx_slot(n)->hash == hash)
			return true;
	}
	return false;
}

#endif							/* CX_BUCKET_H */
