/*
 * cx_table.h
 *	  The buckets, the locks over them, and finding a slot under a lock.
 */
#ifndef CX_TABLE_H
#define CX_TABLE_H

#include "storage/lwlock.h"

#include "cx_bucket.h"
#include "cx_entry.h"
#include "cx_hidden.h"

#define CX_TABLE_PARTITIONS 128

typedef struct CxTable
{
	uint32		nbuckets;
	LWLockPadded *locks;
	CxBucket   *buckets;
} CxTable;

extern CX_HIDDEN CxTable *cx_table;

extern uint32 cx_table_count_buckets(uint32 max_entries);
extern Size cx_table_size(uint32 nbuckets);
extern void cx_table_init(void *memory, uint32 nbuckets);
extern uint32 cx_table_nbuckets(void);

/* Called for every entry of a bucket, its partition locked: no error, no
 * allocation, no other lock. */
typedef void (*CxScanCallback) (const CxSlot *slot, void *arg);
extern void cx_table_scan(uint32 bucket, CxScanCallback callback, void *arg);
extern uint32 cx_table_granules(uint32 bucket);

/* The bucket of a hash, the low half of an identity's. */
static inline uint32
cx_table_bucket(uint32 hash)
{
	return (uint32) (((uint64) hash * cx_table->nbuckets) >> 32);
}

static inline LWLock *
cx_table_lock_of_bucket(uint32 bucket)
{
	return &cx_table->locks[bucket % CX_TABLE_PARTITIONS].lock;
}

static inline LWLock *
cx_table_lock(uint32 hash)
{
	return cx_table_lock_of_bucket(cx_table_bucket(hash));
}

/* What a bucket keeps of an identity, beside its slot. */
static inline uint16
cx_table_tag(uint64 id)
{
	return (uint16) (id >> 48);
}

static inline void
cx_table_start(CxPlace *place, uint32 hash)
{
	cx_bucket_start(place, &cx_table->buckets[cx_table_bucket(hash)]);
}

static inline bool
cx_table_find_slot(CxPlace *place, uint32 hash, uint32 n)
{
	return cx_bucket_find(place, &cx_table->buckets[cx_table_bucket(hash)], n);
}

/* The committed entry of an identity, keys compared. */
static inline bool
cx_table_find_committed_locked(CxPlace *place, const CxIdent *ident,
							   CxEntry *entry)
{
	Assert(LWLockHeldByMe(cx_table_lock((uint32) ident->id)));
	cx_table_start(place, (uint32) ident->id);
	while (cx_bucket_match(place, cx_table_tag(ident->id), (uint32) ident->id))
	{
		CxSlot	   *slot = cx_slot(cx_bucket_slot(place));

		if ((slot->flags & CX_SLOT_STAGED) == 0 &&
			cx_entry_matches(slot, ident, entry))
			return true;
	}
	return false;
}

/* Finds the place of a staged slot that is still the caller's. */
static inline bool
cx_table_find_staged_locked(CxPlace *place, uint32 hash, uint32 n,
							uint64 stage_gen)
{
	Assert(LWLockHeldByMe(cx_table_lock(hash)));
	return n != CX_NONE && cx_table_find_slot(place, hash, n) &&
		cx_slot(n)->gen == stage_gen &&
		(cx_slot(n)->flags & CX_SLOT_STAGED) != 0;
}

#endif							/* CX_TABLE_H */
