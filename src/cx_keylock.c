/*
 * cx_keylock.c
 *	  Two transactions that change one key atomically meet here: the second
 *	  waits for the end of the first.
 *
 * The locks are heavyweight advisory locks of their own kinds (the fourth
 * field is 3 or 4; users' have 1 or 2), so the deadlock detector sees every
 * wait and pg_locks shows it.  A transaction takes its cache's lock in a mode
 * that lets others in and the key's; past so many keys it takes the cache's
 * alone, in a mode that does not, so it cannot exhaust the lock table.  A role
 * has entries of its own in a cache that is not shared, and so a lock of its
 * own: nobody waits for what another role does there.
 *
 * Plain puts, invalidations and triggers take none of them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"

#include "cx_compat.h"
#include "cx_keylock.h"

#define FIELD4_KEY		3
#define FIELD4_CACHE	4

static LocalTransactionId counted_in = InvalidLocalTransactionId;
static int	nkeys = 0;

static bool
acquire(uint64 id, uint16 field4, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (id >> 32), (uint32) id,
						 field4);
	return LockAcquire(&tag, mode, false, false) == LOCKACQUIRE_OK;
}

/*
 * Waits for its turn at an identity and keeps it until the transaction or
 * subtransaction ends.  May raise the errors of any lock wait.
 */
void
cx_keylock_acquire(const CxCache *cache, const CxIdent *ident)
{
	uint64		all = cx_key_mix(cx_key_mix(cache->uid) + ident->role);

	if (counted_in != cx_compat_my_lxid())
	{
		counted_in = cx_compat_my_lxid();
		nkeys = 0;
	}
	if (nkeys >= Max(max_locks_per_xact / 2, 8))
	{
		acquire(all, FIELD4_CACHE, ExclusiveLock);
		return;
	}
	acquire(all, FIELD4_CACHE, RowExclusiveLock);
	if (acquire(ident->id, FIELD4_KEY, ExclusiveLock))
		nkeys++;
}
