/*
 * cx_table.c
 *	  The table from an identity's hash to its slots: laid out, walked over.
 *
 * An identity has at most one committed entry, and any number that
 * transactions have staged; those are found by slot number only.
 *
 * Locking: 128 partitions.  Shared to find, exclusive to link and unlink.
 * Under a partition the lock of a dependency and the arena's may be taken,
 * never the policy's, never another partition's.
 * Not here: reading an entry (cx_store.c), linking one (cx_link.c).
 */
#include "postgres.h"

#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "cx_table.h"

#define ENTRIES_A_BUCKET 7		/* on average, in a full store */

CxTable    *cx_table;

uint32
cx_table_count_buckets(uint32 max_entries)
{
	return max_entries / ENTRIES_A_BUCKET + CX_TABLE_PARTITIONS;
}

Size
cx_table_size(uint32 nbuckets)
{
	return add_size(MAXALIGN(sizeof(CxTable)) + PG_CACHE_LINE_SIZE,
					mul_size(nbuckets, sizeof(CxBucket)));
}

void
cx_table_init(void *memory, uint32 nbuckets)
{
	cx_table = memory;
	cx_table->nbuckets = nbuckets;
	cx_table->locks = GetNamedLWLockTranche("cachex_table");
	cx_table->buckets = (CxBucket *) CACHELINEALIGN((char *) memory + sizeof(CxTable));
	memset(cx_table->buckets, 0, (Size) nbuckets * sizeof(CxBucket));
}

uint32
cx_table_nbuckets(void)
{
	return cx_table->nbuckets;
}

/* Calls back for every entry of a bucket; its partition is locked shared. */
void
cx_table_scan(uint32 bucket, CxScanCallback callback, void *arg)
{
	LWLock	   *lock = cx_table_lock_of_bucket(bucket);
	CxBucket   *b = &cx_table->buckets[bucket];

	LWLockAcquire(lock, LW_SHARED);
	for (;;)
	{
		for (int i = 0; i < CX_BUCKET_SLOTS; i++)
		{
			if (b->slot[i] != CX_NONE)
				callback(cx_slot(b->slot[i]), arg);
		}
		if (b->next == CX_NONE)
			break;
		b = cx_arena_slot(b->next);
	}
	LWLockRelease(lock);
}

/* Granules that a bucket goes on in, which must not change meanwhile. */
uint32
cx_table_granules(uint32 bucket)
{
	return cx_bucket_granules(&cx_table->buckets[bucket]);
}
