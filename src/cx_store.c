/*
 * cx_store.c
 *	  The table of buckets and the locks over it: finding, linking, replacing.
 *
 * An identity has at most one committed entry, and any number that
 * transactions have staged; those are found by slot number only.
 *
 * Locking: 128 partitions.  Shared to find, exclusive to link and unlink.
 * Under a partition the lock of a dependency and the arena's may be taken,
 * never the policy's, never another partition's.  What is unlinked is freed
 * after the partition is released.
 */
#include "postgres.h"

#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "cx_bucket.h"
#include "cx_counters.h"
#include "cx_store.h"

#define PARTITIONS	128
#define ENTRIES_A_BUCKET 7		/* on average, in a full store */
#define MAX_UNLINKED 8			/* more have no hash of 48 bits in common */

typedef struct Store
{
	uint32		nbuckets;
	LWLockPadded *locks;
	CxBucket   *buckets;
} Store;

/* Slots taken off the table, to be freed when the partition is released. */
typedef struct Unlinked
{
	int			n;
	uint32		slot[MAX_UNLINKED + 1];
} Unlinked;

static Store *store;
static uint32 my_pin = CX_NONE; /* slot that this backend holds */

uint32
cx_store_buckets(uint32 max_entries)
{
	return max_entries / ENTRIES_A_BUCKET + PARTITIONS;
}

Size
cx_store_size(uint32 nbuckets)
{
	return add_size(MAXALIGN(sizeof(Store)) + PG_CACHE_LINE_SIZE,
					mul_size(nbuckets, sizeof(CxBucket)));
}

void
cx_store_init(void *memory, uint32 nbuckets)
{
	store = memory;
	store->nbuckets = nbuckets;
	store->locks = GetNamedLWLockTranche("cachex_table");
	store->buckets = (CxBucket *) CACHELINEALIGN((char *) memory + sizeof(Store));
	memset(store->buckets, 0, (Size) nbuckets * sizeof(CxBucket));
}

uint32
cx_store_nbuckets(void)
{
	return store->nbuckets;
}

static inline uint32
bucket_number(uint32 hash)
{
	return (uint32) (((uint64) hash * store->nbuckets) >> 32);
}

/* The bucket of an identity. */
uint32
cx_store_bucket(uint64 id)
{
	return bucket_number((uint32) id);
}

static inline LWLock *
lock_of_bucket(uint32 bucket)
{
	return &store->locks[bucket % PARTITIONS].lock;
}

static inline LWLock *
lock_of(uint32 hash)
{
	return lock_of_bucket(bucket_number(hash));
}

static inline uint16
tag_of(uint64 id)
{
	return (uint16) (id >> 48);
}

/* ---- places ---- */

static inline void
start(CxPlace *place, uint32 hash)
{
	cx_bucket_start(place, &store->buckets[bucket_number(hash)]);
}

static bool
find_slot(CxPlace *place, uint32 hash, uint32 n)
{
	return cx_bucket_find(place, &store->buckets[bucket_number(hash)], n);
}

static bool
link_locked(uint32 n, uint16 tag)
{
	uint32		hash = cx_slot(n)->hash;

	Assert(LWLockHeldByMeInMode(lock_of(hash), LW_EXCLUSIVE));
	return cx_bucket_link(&store->buckets[bucket_number(hash)], n, tag);
}

static uint32
unlink_locked(const CxPlace *place)
{
	Assert(LWLockHeldByMeInMode(lock_of(cx_slot(cx_bucket_slot(place))->hash),
								LW_EXCLUSIVE));
	return cx_bucket_unlink(place);
}

/* The committed entry of an identity, keys compared. */
static inline bool
find_committed_locked(CxPlace *place, const CxIdent *ident, CxEntry *entry)
{
	Assert(LWLockHeldByMe(lock_of((uint32) ident->id)));
	start(place, (uint32) ident->id);
	while (cx_bucket_match(place, tag_of(ident->id), (uint32) ident->id))
	{
		CxSlot	   *slot = cx_slot(cx_bucket_slot(place));

		if ((slot->flags & CX_SLOT_STAGED) == 0 &&
			cx_entry_matches(slot, ident, entry))
			return true;
	}
	return false;
}

/* Gives up what was unlinked: table's reference, and the queues'. */
static void
free_unlinked(const Unlinked *unlinked)
{
	for (int i = 0; i < unlinked->n; i++)
		cx_store_drop_one(unlinked->slot[i]);
}

/* ---- readers ---- */

/* Releases a pin that an error left behind; called at transaction end. */
void
cx_store_release_stale(void)
{
	if (my_pin != CX_NONE)
	{
		uint32		n = my_pin;

		my_pin = CX_NONE;
		cx_slot_unref(n);
	}
}

/* Copies what a reader needs. The partition is locked. */
static void
copy_hit_locked(uint32 n, bool whole, CxHit *hit)
{
	CxSlot	   *slot = cx_slot(n);
	CxCursor	c = hit->entry.tags;

	Assert(LWLockHeldByMe(lock_of(slot->hash)));
	hit->copy = NULL;
	hit->gen = slot->gen;
	hit->ends = slot->expires;
	hit->expires = slot->expires == CX_NEVER ? CX_NEVER
		: slot->expires - (int64) hit->entry.stale_ms * 1000;
	hit->charge = slot->charge;
	hit->cost_us = (double) slot->weight * cx_slot_bytes(slot);
	hit->frequency = slot->frequency;
	hit->hits = slot->hits;
	if (slot->hits < 3)
		slot->hits++;
	if (hit->entry.ntags > 0)
		cx_arena_read(&c, hit->tag_id, hit->entry.ntags * sizeof(uint64));
	cx_entry_reads(&hit->entry, &hit->reads);
	if (hit->entry.has_access)
		cx_entry_access(&hit->entry, &hit->access);
	if (!whole && hit->entry.value_len <= CX_SMALL_VALUE)
	{
		c = cx_entry_value(&hit->entry);
		cx_arena_read(&c, hit->small, hit->entry.value_len);
		hit->pinned = CX_NONE;
	}
	else
	{
		pg_atomic_fetch_add_u32(&slot->refs, 1);
		my_pin = hit->pinned = n;
	}
}

/*
 * Finds the committed entry of an identity, whether it may be served or not.
 * Its writers replace it under the partition's lock and move no generation, so
 * they are asked here (view not NULL) whether they admit the snapshot.
 * A small value is copied, else (or when the whole entry is asked for) the
 * slot is held; one at a time, the last one's hold ends here.
 */
bool
cx_store_find(const CxIdent *ident, bool whole, const CxView *view,
			  CxHit *hit)
{
	CxDep		identity = {ident->id, CX_DEP_IDENTITY, NULL};
	LWLock	   *lock = lock_of((uint32) ident->id);
	CxPlace		place;
	bool		found;

	cx_store_release_stale();
	LWLockAcquire(lock, LW_SHARED);
	found = find_committed_locked(&place, ident, &hit->entry);
	if (found)
	{
		copy_hit_locked(cx_bucket_slot(&place), whole, hit);
		hit->admitted = view == NULL || cx_deps_admits(view, identity);
	}
	LWLockRelease(lock);
	return found;
}

/* Finds the place of a staged slot that is still the caller's. */
static bool
find_staged_locked(CxPlace *place, uint32 hash, uint32 n, uint64 stage_gen)
{
	Assert(LWLockHeldByMe(lock_of(hash)));
	return n != CX_NONE && find_slot(place, hash, n) &&
		cx_slot(n)->gen == stage_gen &&
		(cx_slot(n)->flags & CX_SLOT_STAGED) != 0;
}

/* The same for an entry that the caller has staged and nobody has evicted. */
bool
cx_store_find_staged(const CxIdent *ident, uint32 slot, uint64 stage_gen,
					 bool whole, CxHit *hit)
{
	LWLock	   *lock = lock_of((uint32) ident->id);
	CxPlace		place;
	bool		found;

	cx_store_release_stale();
	LWLockAcquire(lock, LW_SHARED);
	found = find_staged_locked(&place, (uint32) ident->id, slot, stage_gen) &&
		cx_entry_matches(cx_slot(slot), ident, &hit->entry);
	if (found)
		copy_hit_locked(slot, whole, hit);
	LWLockRelease(lock);
	return found;
}

/*
 * What a staged entry depends on: fills reads and returns the number of tags.
 * Allocates nothing.
 */
int
cx_store_staged(uint64 id, uint32 slot, uint64 stage_gen, uint64 *tag_id,
				CxReads *reads)
{
	LWLock	   *lock = lock_of((uint32) id);
	CxEntry		entry;
	CxPlace		place;
	CxCursor	c;

	entry.ntags = 0;
	reads->known = false;
	LWLockAcquire(lock, LW_SHARED);
	if (find_staged_locked(&place, (uint32) id, slot, stage_gen))
	{
		cx_entry_read(cx_slot(slot), &entry);
		c = entry.names;
		cx_arena_skip(&c, entry.scope_len + entry.key_len);
		entry.tags = c;
		cx_arena_read(&c, tag_id, entry.ntags * sizeof(uint64));
		cx_entry_reads(&entry, reads);
	}
	LWLockRelease(lock);
	return entry.ntags;
}

/*
 * Notes something in the entry of a generation, if it is still there: see
 * cx_entry_set_seen and cx_entry_set_checked.
 */
void
cx_store_note(const CxIdent *ident, uint64 gen,
			  void (*set) (const CxSlot *, uint32), uint32 value)
{
	LWLock	   *lock = lock_of((uint32) ident->id);
	CxPlace		place;
	CxEntry		entry;

	LWLockAcquire(lock, LW_SHARED);
	if (find_committed_locked(&place, ident, &entry) &&
		cx_slot(cx_bucket_slot(&place))->gen == gen)
		set(cx_slot(cx_bucket_slot(&place)), value);
	LWLockRelease(lock);
}

/* Copies the value, hit->entry.value_len bytes; takes no lock. */
void
cx_store_value(const CxHit *hit, char *to)
{
	CxCursor	c;

	if (hit->copy)
	{
		if (hit->entry.value_len > 0)
			memcpy(to, hit->copy->value, hit->entry.value_len);
		return;
	}
	if (hit->pinned == CX_NONE)
	{
		memcpy(to, hit->small, hit->entry.value_len);
		return;
	}
	c = cx_entry_value(&hit->entry);
	cx_arena_read(&c, to, hit->entry.value_len);
}

void
cx_store_release(CxHit *hit)
{
	if (hit->pinned != CX_NONE)
		cx_store_release_stale();
	hit->pinned = CX_NONE;
}

/* ---- writers ---- */

/* Links a slot unless it is doomed. */
static CxLinked
link_unless_doomed_locked(uint32 n, uint16 tag)
{
	Assert(LWLockHeldByMeInMode(lock_of(cx_slot(n)->hash), LW_EXCLUSIVE));
	if (cx_slot(n)->flags & CX_SLOT_DOOMED)
		return CX_LINK_REFUSED;
	return link_locked(n, tag) ? CX_LINKED : CX_LINK_NO_MEMORY;
}

/*
 * Links what a loader returned under view, in place of the identity's entry,
 * if the writers of the identity, and patterns (fills), admit it: a pattern's
 * look at this bucket comes after its mark.  What somebody has put since the
 * loader began stays.
 * A slot that is not linked is the caller's to drop.
 */
CxLinked
cx_store_fill(const CxIdent *ident, uint32 n, const CxView *view, CxDep fills)
{
	LWLock	   *lock = lock_of((uint32) ident->id);
	CxDep		mark = {ident->id, CX_DEP_IDENTITY, NULL};
	Unlinked	unlinked = {0};
	CxPlace		place;
	CxLinked	result = CX_LINK_REFUSED;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (cx_deps_admits(view, mark) && cx_deps_admits(view, fills))
	{
		CxEntry		entry;
		bool		taken = find_committed_locked(&place, ident, &entry);

		if (!taken || (entry.flags & CX_ENTRY_MANUAL) == 0 ||
			cx_slot(cx_bucket_slot(&place))->gen < cx_slot(n)->gen)
		{
			if (taken)
				unlinked.slot[unlinked.n++] = unlink_locked(&place);
			result = link_unless_doomed_locked(n, tag_of(ident->id));
		}
	}
	LWLockRelease(lock);
	cx_counters_add(ident->cache, CX_REPLACED, unlinked.n);
	free_unlinked(&unlinked);
	return result;
}

/* Links an entry that only its transaction knows of. */
CxLinked
cx_store_stage(uint64 id, uint32 n)
{
	LWLock	   *lock = lock_of((uint32) id);
	CxLinked	result;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	cx_slot(n)->flags |= CX_SLOT_STAGED;
	result = link_unless_doomed_locked(n, tag_of(id));
	LWLockRelease(lock);
	return result;
}

/*
 * Unlinks all committed entries of an identity's hash.  The hash has 48 bits
 * here; an entry of another identity that shares them is lost, no more.
 * Returns whether what was there is what the writer started from, and no
 * later writer has been here before.
 */
static bool
unlink_base_locked(uint64 id, const CxPublish *p, Unlinked *unlinked)
{
	CxPlace		place;
	bool		as_expected = p->base_gen != CX_BASE_ANY ||
	!cx_deps_overtaken(p->mark, p->xid, p->latest);

	Assert(LWLockHeldByMeInMode(lock_of((uint32) id), LW_EXCLUSIVE));
	start(&place, (uint32) id);
	while (unlinked->n < MAX_UNLINKED &&
		   cx_bucket_match(&place, tag_of(id), (uint32) id))
	{
		CxSlot	   *slot = cx_slot(cx_bucket_slot(&place));

		if (slot->flags & CX_SLOT_STAGED)
			continue;
		if (p->base_gen != CX_BASE_ANY && p->base_gen != slot->gen)
			as_expected = false;
		unlinked->slot[unlinked->n++] = unlink_locked(&place);
		start(&place, (uint32) id);
	}
	return as_expected;
}

/*
 * Links an entry of before a restart; false: no memory for that, or there is
 * one with its hash.
 */
bool
cx_store_restore(uint64 id, uint32 n)
{
	LWLock	   *lock = lock_of((uint32) id);
	CxPlace		place;
	bool		linked;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	start(&place, (uint32) id);
	linked = !cx_bucket_match(&place, tag_of(id), (uint32) id) &&
		link_locked(n, tag_of(id));
	LWLockRelease(lock);
	return linked;
}

/*
 * Makes a staged entry the one of its identity, or leaves none, and resolves
 * the writer's mark with it.  Cannot fail: called when the transaction has
 * committed.
 */
CxPublished
cx_store_publish(uint64 id, const CxPublish *p)
{
	LWLock	   *lock = lock_of((uint32) id);
	Unlinked	unlinked = {0};
	CxPlace		place;
	int			cache;
	int			replaced;
	CxPublished result = CX_PUBLISHED;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (!unlink_base_locked(id, p, &unlinked))
		result = CX_PUBLISH_CONFLICT;
	replaced = unlinked.n;
	cache = replaced > 0 ? cx_slot(unlinked.slot[0])->cache : 0;
	if (!find_staged_locked(&place, (uint32) id, p->slot, p->stage_gen))
		result = result == CX_PUBLISHED ? CX_PUBLISH_GONE : result;
	else if (result == CX_PUBLISHED && p->publish)
	{
		cx_slot(p->slot)->gen = p->gen;
		cx_slot(p->slot)->flags &= ~CX_SLOT_STAGED;
	}
	else
		unlinked.slot[unlinked.n++] = unlink_locked(&place);
	cx_deps_resolve(p->mark, p->xid, p->latest);
	LWLockRelease(lock);
	cx_counters_add(cache, CX_REPLACED, replaced);
	free_unlinked(&unlinked);
	return result;
}

/* Gives up a staged entry; false when it had been evicted. Cannot fail. */
bool
cx_store_unstage(uint64 id, uint32 slot, uint64 stage_gen)
{
	LWLock	   *lock = lock_of((uint32) id);
	Unlinked	unlinked = {0};
	CxPlace		place;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (find_staged_locked(&place, (uint32) id, slot, stage_gen))
		unlinked.slot[unlinked.n++] = unlink_locked(&place);
	LWLockRelease(lock);
	free_unlinked(&unlinked);
	return unlinked.n > 0;
}

/* Unlinks an identity's committed entry if it has just this generation. */
void
cx_store_remove_dead(const CxIdent *ident, uint64 gen)
{
	LWLock	   *lock = lock_of((uint32) ident->id);
	Unlinked	unlinked = {0};
	CxEntry		entry;
	CxPlace		place;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (find_committed_locked(&place, ident, &entry) &&
		cx_slot(cx_bucket_slot(&place))->gen == gen)
		unlinked.slot[unlinked.n++] = unlink_locked(&place);
	LWLockRelease(lock);
	free_unlinked(&unlinked);
}

/*
 * Takes victims of the policy off the table; one that is not yet linked will
 * not be.  Drops the references of the queues and of the table.
 */
void
cx_store_drop(const CxVictims *victims)
{
	/* their buckets are seldom in the processor's cache */
	for (int i = 0; i < victims->n; i++)
		cx_bucket_prefetch(&store->buckets[bucket_number(cx_slot(victims->slot[i])->hash)]);
	for (int i = 0; i < victims->n; i++)
	{
		uint32		n = victims->slot[i];
		CxSlot	   *slot = cx_slot(n);
		LWLock	   *lock = lock_of(slot->hash);
		CxPlace		place;
		bool		linked;

		LWLockAcquire(lock, LW_EXCLUSIVE);
		linked = find_slot(&place, slot->hash, n);
		if (linked)
			unlink_locked(&place);
		else
			slot->flags |= CX_SLOT_DOOMED;
		LWLockRelease(lock);
		if (linked)
			cx_slot_unref(n);
		cx_slot_unref(n);
	}
}

/*
 * Drops the table's reference of a slot that is not linked, and takes it off
 * the queues unless somebody else has.
 */
void
cx_store_drop_one(uint32 n)
{
	if (cx_policy_leave(n))
		cx_slot_unref(n);
	cx_slot_unref(n);
}

/* ---- all of it ---- */

/* Calls back for every entry of a bucket; its partition is locked shared. */
void
cx_store_scan(uint32 bucket, CxScanCallback callback, void *arg)
{
	LWLock	   *lock = lock_of_bucket(bucket);
	CxBucket   *b = &store->buckets[bucket];

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
cx_store_granules(uint32 bucket)
{
	return cx_bucket_granules(&store->buckets[bucket]);
}
