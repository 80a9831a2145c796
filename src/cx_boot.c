/*
 * cx_boot.c
 *	  The bound below which marks may have been lost, and the transactions
 *	  that are waited for.
 *
 * A transaction that was prepared before a restart may have written anything,
 * and its marks are gone.  So at the first use after a start (or promotion)
 * the next transaction id becomes a bound that snapshots must be beyond, for
 * the life of the server; and all transactions that then hold the lock on
 * their id must have released it: a prepared one becomes visible first and
 * sends its invalidation messages after that.
 *
 * Locking: cachex_boot for the list; the fast path reads two atomics.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/twophase.h"
#include "access/xact.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/lwlock.h"

#include "cx_boot.h"
#include "cx_compat.h"
#include "cx_gens.h"
#include "cx_key.h"

#define MAX_HOLDS 4096

typedef struct Boot
{
	pg_atomic_uint64 bound;		/* 0 = not used yet */
	pg_atomic_uint32 nholds;
	LWLockPadded *lock;
	TransactionId hold[MAX_HOLDS];
} Boot;

static Boot *boot;

Size
cx_boot_size(void)
{
	return sizeof(Boot);
}

void
cx_boot_init(void *memory)
{
	boot = memory;
	pg_atomic_init_u64(&boot->bound, 0);
	pg_atomic_init_u32(&boot->nholds, 0);
	boot->lock = GetNamedLWLockTranche("cachex_boot");
}

/*
 * No transaction was prepared before this start: marks are complete from the
 * first one on, and nobody is waited for.  At the start, before the first
 * session.
 */
void
cx_boot_none(void)
{
	pg_atomic_write_u64(&boot->bound, 1);
}

/*
 * Whether another transaction has ended so far that its locks are released,
 * and so its invalidation messages are out.  When the lock manager has no
 * memory to say, the answer is no.
 */
bool
cx_boot_xid_is_over(TransactionId xid)
{
	LOCKTAG		tag;

	if (TransactionIdIsCurrentTransactionId(xid))
		return false;
	SET_LOCKTAG_TRANSACTION(tag, xid);
	if (cx_compat_try_lock(&tag, ShareLock) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	LockRelease(&tag, ShareLock, false);
	return true;
}

/* The ids of transactions that hold their lock: at most max, or -1. */
static int
find_holders(TransactionId *xids, int max)
{
	LockData   *locks = GetLockStatusData();
	int			n = 0;

	for (int i = 0; i < locks->nelements; i++)
	{
		LockInstanceData *lock = &locks->locks[i];

		if (lock->locktag.locktag_type != LOCKTAG_TRANSACTION ||
			lock->holdMask == 0)
			continue;
		if (n == max)
			return -1;
		xids[n++] = lock->locktag.locktag_field1;
	}
	return n;
}

/* First use: sets the bound and the list. Returns false to try again later. */
static bool
start(void)
{
	TransactionId *xids;
	uint64		bound = 1;
	int			n = 0;

	xids = palloc(MAX_HOLDS * sizeof(TransactionId));
	if (max_prepared_xacts > 0)
	{
		/* the bound first: who is prepared later leaves marks */
		bound = U64FromFullTransactionId(ReadNextFullTransactionId()) - 1;
		n = find_holders(xids, MAX_HOLDS - max_prepared_xacts);
	}
	if (n >= 0)
	{
		LWLockAcquire(&boot->lock->lock, LW_EXCLUSIVE);
		if (pg_atomic_read_u64(&boot->bound) == 0)
		{
			memcpy(boot->hold, xids, n * sizeof(TransactionId));
			pg_atomic_write_u32(&boot->nholds, n);
			pg_write_barrier();
			pg_atomic_write_u64(&boot->bound, bound);
		}
		LWLockRelease(&boot->lock->lock);
	}
	pfree(xids);
	return n >= 0;
}

/*
 * Whether all that are held have ended; if so, what was stored before they
 * did is dead.
 */
static bool
all_over(void)
{
	TransactionId first = InvalidTransactionId;
	uint32		left = 1;

	while (left > 0)
	{
		LWLockAcquire(&boot->lock->lock, LW_SHARED);
		left = pg_atomic_read_u32(&boot->nholds);
		if (left > 0)
			first = boot->hold[left - 1];
		LWLockRelease(&boot->lock->lock);
		if (left == 0)
			break;
		if (!cx_boot_xid_is_over(first))
			return false;
		LWLockAcquire(&boot->lock->lock, LW_EXCLUSIVE);
		left = pg_atomic_read_u32(&boot->nholds);
		if (left > 0 && boot->hold[left - 1] == first)
		{
			/* in this order: who sees none is held sees the floor as well */
			cx_gens_raise_floor(0);
			cx_gens_raise_floor(CX_KEY_OPEN);
			pg_atomic_write_u32(&boot->nholds, --left);
		}
		LWLockRelease(&boot->lock->lock);
	}
	return true;
}

/*
 * Whether a snapshot with this xmin may use the cache.  Not to be called in
 * recovery, nor with an LWLock held.  May raise an error (memory) at the first
 * use.
 */
bool
cx_boot_admits(uint64 xmin)
{
	if (unlikely(pg_atomic_read_u64(&boot->bound) == 0) && !start())
		return false;
	if (xmin <= pg_atomic_read_u64(&boot->bound))
		return false;
	pg_read_barrier();
	return likely(pg_atomic_read_u32(&boot->nholds) == 0) || all_over();
}

/*
 * Holds a transaction: until its end nobody uses the cache.  Returns false
 * when there is no room.  May raise an error at the first use.  xid: the caller's own, before it is prepared.
 */
bool
cx_boot_hold(uint64 xid)
{
	uint64		bound;
	uint32		n;
	bool		ok;

	/* a bound of its own would be lost if the first use came later */
	if (pg_atomic_read_u64(&boot->bound) == 0 && !start())
		return false;
	LWLockAcquire(&boot->lock->lock, LW_EXCLUSIVE);
	n = pg_atomic_read_u32(&boot->nholds);
	ok = n < MAX_HOLDS;
	if (ok)
	{
		bound = pg_atomic_read_u64(&boot->bound);
		boot->hold[n] = (TransactionId) xid;
		pg_atomic_write_u32(&boot->nholds, n + 1);
		pg_atomic_write_u64(&boot->bound, Max(bound, xid));
	}
	LWLockRelease(&boot->lock->lock);
	return ok;
}

/* How many transactions are held. */
int
cx_boot_count(void)
{
	return (int) pg_atomic_read_u32(&boot->nholds);
}
