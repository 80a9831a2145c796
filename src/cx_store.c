/*
 * cx_store.c
 *	  Finding an entry, and what a reader gets of it.
 *
 * Locking: none on entry or return; one partition of the table, shared.  A long
 * value is copied without it, its slot being held meanwhile.
 */
#include "postgres.h"

#include "storage/lwlock.h"

#include "cx_store.h"
#include "cx_table.h"

static uint32 my_pin = CX_NONE; /* slot that this backend holds */

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

	Assert(LWLockHeldByMe(cx_table_lock(slot->hash)));
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
	CxDep		identity = {ident->id, CX_DEP_IDENTITY, 0};
	LWLock	   *lock = cx_table_lock((uint32) ident->id);
	CxPlace		place;
	bool		found;

	cx_store_release_stale();
	LWLockAcquire(lock, LW_SHARED);
	found = cx_table_find_committed_locked(&place, ident, &hit->entry);
	if (found)
	{
		copy_hit_locked(cx_bucket_slot(&place), whole, hit);
		hit->admitted = view == NULL || cx_deps_admits(view, identity);
	}
	LWLockRelease(lock);
	return found;
}

/* The same for an entry that the caller has staged and nobody has evicted. */
bool
cx_store_find_staged(const CxIdent *ident, uint32 slot, uint64 stage_gen,
					 bool whole, CxHit *hit)
{
	LWLock	   *lock = cx_table_lock((uint32) ident->id);
	CxPlace		place;
	bool		found;

	cx_store_release_stale();
	LWLockAcquire(lock, LW_SHARED);
	found = cx_table_find_staged_locked(&place, (uint32) ident->id, slot, stage_gen) &&
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
	LWLock	   *lock = cx_table_lock((uint32) id);
	CxEntry		entry;
	CxPlace		place;
	CxCursor	c;

	entry.ntags = 0;
	reads->known = false;
	LWLockAcquire(lock, LW_SHARED);
	if (cx_table_find_staged_locked(&place, (uint32) id, slot, stage_gen))
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
	LWLock	   *lock = cx_table_lock((uint32) ident->id);
	CxPlace		place;
	CxEntry		entry;

	LWLockAcquire(lock, LW_SHARED);
	if (cx_table_find_committed_locked(&place, ident, &entry) &&
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
