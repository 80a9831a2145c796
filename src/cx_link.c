/*
 * cx_link.c
 *	  Linking entries, replacing them and taking them off the table.
 *
 * Locking: none on entry or return; one partition of the table, exclusive.
 * What is unlinked is freed after the partition is released.
 */
#include "postgres.h"

#include "storage/lwlock.h"

#include "cx_counters.h"
#include "cx_link.h"
#include "cx_table.h"

#define MAX_UNLINKED 8

/* Slots taken off the table, to be freed when the partition is released. */
typedef struct Unlinked
{
	int			n;
	uint32		slot[MAX_UNLINKED + 1];
} Unlinked;

static bool
link_locked(uint32 n, uint16 tag)
{
	uint32		hash = cx_slot(n)->hash;

	Assert(LWLockHeldByMeInMode(cx_table_lock(hash), LW_EXCLUSIVE));
	return cx_bucket_link(&cx_table->buckets[cx_table_bucket(hash)], n, tag);
}

static uint32
unlink_locked(const CxPlace *place)
{
	Assert(LWLockHeldByMeInMode(cx_table_lock(cx_slot(cx_bucket_slot(place))->hash),
								LW_EXCLUSIVE));
	return cx_bucket_unlink(place);
}

/* Gives up what was unlinked: table's reference, and the queues'. */
static void
free_unlinked(const Unlinked *unlinked)
{
	for (int i = 0; i < unlinked->n; i++)
		cx_link_drop_one(unlinked->slot[i]);
}

/* Links a slot unless it is doomed. */
static CxLinked
link_unless_doomed_locked(uint32 n, uint16 tag)
{
	Assert(LWLockHeldByMeInMode(cx_table_lock(cx_slot(n)->hash), LW_EXCLUSIVE));
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
cx_link_fill(const CxIdent *ident, uint32 n, const CxView *view, CxDep fills)
{
	LWLock	   *lock = cx_table_lock((uint32) ident->id);
	CxDep		mark = {ident->id, CX_DEP_IDENTITY, 0};
	Unlinked	unlinked = {0};
	CxPlace		place;
	CxLinked	result = CX_LINK_REFUSED;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (cx_deps_admits(view, mark) && cx_deps_admits(view, fills))
	{
		CxEntry		entry;
		bool		taken = cx_table_find_committed_locked(&place, ident, &entry);

		if (!taken || (entry.flags & CX_ENTRY_MANUAL) == 0 ||
			cx_slot(cx_bucket_slot(&place))->gen < cx_slot(n)->gen)
		{
			if (taken)
				unlinked.slot[unlinked.n++] = unlink_locked(&place);
			result = link_unless_doomed_locked(n, cx_table_tag(ident->id));
		}
	}
	LWLockRelease(lock);
	cx_counters_add(ident->cache, CX_REPLACED, unlinked.n);
	free_unlinked(&unlinked);
	return result;
}

/* Links an entry that only its transaction knows of. */
CxLinked
cx_link_stage(uint64 id, uint32 n)
{
	LWLock	   *lock = cx_table_lock((uint32) id);
	CxLinked	result;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	cx_slot(n)->flags |= CX_SLOT_STAGED;
	result = link_unless_doomed_locked(n, cx_table_tag(id));
	LWLockRelease(lock);
	return result;
}

/*
 * Unlinks all committed entries of an identity's hash.  The hash has 48 bits
 * here; an entry of another identity that shares them is lost, no more.
 * Returns whether what was there is what the writer started from, and no
 * other has been here that may have completed later.
 */
static bool
unlink_base_locked(uint64 id, const CxPublish *p, Unlinked *unlinked)
{
	CxPlace		place;
	bool		as_expected = true;
	bool		found_base = false;

	Assert(LWLockHeldByMeInMode(cx_table_lock((uint32) id), LW_EXCLUSIVE));
	cx_table_start(&place, (uint32) id);
	while (unlinked->n < MAX_UNLINKED &&
		   cx_bucket_match(&place, cx_table_tag(id), (uint32) id))
	{
		CxSlot	   *slot = cx_slot(cx_bucket_slot(&place));

		if (slot->flags & CX_SLOT_STAGED)
			continue;
		if (p->base_gen == slot->gen)
			found_base = true;
		else if (p->base_gen != CX_BASE_ANY)
			as_expected = false;
		unlinked->slot[unlinked->n++] = unlink_locked(&place);
		cx_table_start(&place, (uint32) id);
	}
	/* a base that is still there has been replaced by nobody */
	return as_expected &&
		(found_base || !cx_deps_overtaken(p->mark, p->xid, p->xid));
}

/*
 * Links an entry of before a restart; false: no memory for that, or there is
 * one with its hash.
 */
bool
cx_link_restore(uint64 id, uint32 n)
{
	LWLock	   *lock = cx_table_lock((uint32) id);
	CxPlace		place;
	bool		linked;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	cx_table_start(&place, (uint32) id);
	linked = !cx_bucket_match(&place, cx_table_tag(id), (uint32) id) &&
		link_locked(n, cx_table_tag(id));
	LWLockRelease(lock);
	return linked;
}

/*
 * Makes a staged entry the one of its identity, or leaves none, and resolves
 * the writer's mark with it.  Cannot fail: called when the transaction has
 * committed.
 */
CxPublished
cx_link_publish(uint64 id, const CxPublish *p)
{
	LWLock	   *lock = cx_table_lock((uint32) id);
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
	if (!cx_table_find_staged_locked(&place, (uint32) id, p->slot, p->stage_gen))
		result = result == CX_PUBLISHED ? CX_PUBLISH_GONE : result;
	else if (result == CX_PUBLISHED && p->publish)
	{
		cx_slot(p->slot)->gen = p->gen;
		cx_slot(p->slot)->flags &= ~CX_SLOT_STAGED;
	}
	else
		unlinked.slot[unlinked.n++] = unlink_locked(&place);
	cx_deps_resolve(p->mark, p->xid);
	LWLockRelease(lock);
	cx_counters_add(cache, CX_REPLACED, replaced);
	free_unlinked(&unlinked);
	return result;
}

/* Gives up a staged entry; false when it had been evicted. Cannot fail. */
bool
cx_link_unstage(uint64 id, uint32 slot, uint64 stage_gen)
{
	LWLock	   *lock = cx_table_lock((uint32) id);
	Unlinked	unlinked = {0};
	CxPlace		place;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (cx_table_find_staged_locked(&place, (uint32) id, slot, stage_gen))
		unlinked.slot[unlinked.n++] = unlink_locked(&place);
	LWLockRelease(lock);
	free_unlinked(&unlinked);
	return unlinked.n > 0;
}

/* Unlinks an identity's committed entry if it has just this generation. */
void
cx_link_remove_dead(const CxIdent *ident, uint64 gen)
{
	LWLock	   *lock = cx_table_lock((uint32) ident->id);
	Unlinked	unlinked = {0};
	CxEntry		entry;
	CxPlace		place;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (cx_table_find_committed_locked(&place, ident, &entry) &&
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
cx_link_drop(const CxVictims *victims)
{
	/* their buckets are seldom in the processor's cache */
	for (int i = 0; i < victims->n; i++)
		cx_bucket_prefetch(&cx_table->buckets[cx_table_bucket(cx_slot(victims->slot[i])->hash)]);
	for (int i = 0; i < victims->n; i++)
	{
		uint32		n = victims->slot[i];
		CxSlot	   *slot = cx_slot(n);
		LWLock	   *lock = cx_table_lock(slot->hash);
		CxPlace		place;
		bool		linked;

		LWLockAcquire(lock, LW_EXCLUSIVE);
		linked = cx_table_find_slot(&place, slot->hash, n);
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
cx_link_drop_one(uint32 n)
{
	if (cx_policy_leave(n))
		cx_slot_unref(n);
	cx_slot_unref(n);
}
