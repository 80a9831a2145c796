/*
 * cx_reclaim.c
 *	  What of the memory is held by entries that nobody can get any more?
 *
 * Three kinds: what has expired, by the wheel; what a clear has left behind,
 * by the flag that the clear sets; and whatever a dropped cache still has.
 * With them the table of scopes may have become too large.  One call takes at
 * most a batch of each, so that the caller can be interrupted and nobody waits
 * long for a lock.
 *
 * Who finds a cache's flag takes it off before it looks at the entries: a
 * clear that comes meanwhile sets it again, and is not lost.  A dropped cache
 * gives its number back with its last entry.
 *
 * Locking: none on entry or return; the policy's, the table's, the arena's
 * and the registry's are taken one after the other.  Only the walk for a
 * role raises errors.
 *
 * What a dropped role has left behind goes when another one gets its OID,
 * before that one can ask for anything.
 *
 * Not done here: choosing what has to go for lack of room (cx_make.c), and
 * when to look (cx_sweeper.c).
 */
#include "postgres.h"

#include "cx_cache.h"
#include "cx_counters.h"
#include "cx_link.h"
#include "cx_reclaim.h"
#include "cx_scan.h"

/* Takes a batch of what has expired; returns whether there may be more. */
static bool
expire(TimestampTz now)
{
	CxVictims	victims;
	bool		more = cx_policy_expire(now, &victims);

	cx_link_drop(&victims);
	return more;
}

/* The same for what is older than the last clear of a cache. */
static bool
reclaim_cleared(int number)
{
	CxVictims	victims;
	uint32		position = 0;
	bool		more = cx_policy_reclaim(number, &position, &victims);

	cx_link_drop(&victims);
	return more;
}

/*
 * The same for all entries of a cache that is no more, late ones of sessions
 * that had not heard of it included.  With the last one the number is free.
 */
static bool
drain(int number)
{
	CxVictims	victims;
	bool		more = cx_policy_drain(number, &victims);

	cx_link_drop(&victims);
	if (!more)
	{
		cx_counters_reset(number);
		cx_registry_release(number);
	}
	return more;
}

/* Does one batch of what a cache's flag asks for. */
static bool
reclaim(int number, CxSharedCache *shared)
{
	bool		more;

	/* first a plain look: an exchange would take the cache line away */
	if (pg_atomic_read_u32(&shared->reclaim) == 0 ||
		pg_atomic_exchange_u32(&shared->reclaim, 0) == 0)
		return false;
	more = shared->state == CX_CACHE_DROPPED
		? drain(number) : reclaim_cleared(number);
	if (more)
		pg_atomic_write_u32(&shared->reclaim, 1);
	return more;
}

/*
 * Does one bounded step, in every cache, and notes the time in those that are
 * in use.  Returns whether there is more to do at once.
 */
bool
cx_reclaim_sweep(TimestampTz now)
{
	bool		more = expire(now);

	more |= cx_policy_shrink_scopes();

	for (int i = 0; i < cx_registry_capacity(); i++)
	{
		CxSharedCache *shared = cx_registry_get(i);

		if (shared->state == CX_CACHE_FREE)
			continue;
		more |= reclaim(i, shared);
		if (shared->state == CX_CACHE_USED)
			shared->last_sweep = now;
	}
	return more;
}

/* When cx_reclaim_sweep has something to do by the clock; CX_NEVER = never. */
TimestampTz
cx_reclaim_next_due(void)
{
	return cx_policy_next_expiry();
}

/* Removes an entry that a walk has found, if it is still there. */
static void
remove_found(const CxScanned *found)
{
	CxSharedCache *shared = cx_registry_get(found->cache);
	const CxEntry *entry = &found->entry;
	CxIdent		ident;

	cx_key_make(&ident, found->cache, shared->uid,
				cx_key_of_name(shared->db, NameStr(shared->name),
							   strlen(NameStr(shared->name)),
							   cx_registry_is_public(shared->id)),
				entry->role, found->key, entry->key_len,
				(entry->flags & CX_ENTRY_SCOPE) ? found->scope : NULL,
				entry->scope_len);
	cx_link_remove_dead(&ident, found->gen);
}

/*
 * A role is being created: removes what another one with its OID has cached,
 * in all databases.  OIDs grow until they begin anew, so there is seldom
 * anything to look for.  Interruptible.
 */
void
cx_reclaim_role_created(Oid role)
{
	CxScan	   *scan;
	CxScanned	found;

	if (role > cx_registry_last_role())
		return;
	scan = cx_scan_begin(-1);
	while (cx_scan_next(scan, &found))
	{
		if (found.entry.role == role)
			remove_found(&found);
	}
	cx_scan_end(scan);
}
