/*
 * cx_policy.c
 *	  Which entries have to go: for lack of memory, by the limits of their
 *	  cache, because they have expired or are cleared.
 *
 * Locking: one LWLock for all of it, and for what it is made of (cx_queues.c,
 * cx_wheel.c), never taken by a hit, held for at most CX_BATCH victims and as
 * many entries put back.  Does not unlink or free: victims go to
 * cx_store_drop.
 */
#include "postgres.h"

#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "cx_counters.h"
#include "cx_policy.h"
#include "cx_wheel.h"

/* The books of a cache */
typedef struct Books
{
	CxUsage		usage;
	uint64		dead_before;	/* entries with a lower generation are dead */
} Books;

typedef struct Policy
{
	LWLock	   *lock;
	uint64		entries;
	int			nused;			/* no cache from this number on has entries */
	CxWheel		wheel;
	Books	   *books;			/* by cache */
} Policy;

static Policy *policy;

/* Bytes of shared memory. */
Size
cx_policy_size(int ncaches, uint32 max_entries)
{
	Size		size = MAXALIGN(sizeof(Policy));

	size = add_size(size, MAXALIGN(mul_size(ncaches, sizeof(Books))));
	return add_size(size, cx_queues_size(ncaches, max_entries));
}

void
cx_policy_init(void *memory, int ncaches, uint32 max_entries, TimestampTz now)
{
	char	   *p = memory;

	memset(memory, 0, cx_policy_size(ncaches, max_entries));
	policy = memory;
	p += MAXALIGN(sizeof(Policy));
	policy->books = (Books *) p;
	p += MAXALIGN((Size) ncaches * sizeof(Books));
	cx_queues_init(p, ncaches, max_entries);
	policy->lock = &GetNamedLWLockTranche("cachex_policy")->lock;
	cx_wheel_init(&policy->wheel, now);
}

/* ---- eviction ---- */

/* Takes a slot off queue and wheel; its reference goes to the caller. */
static void
take_locked(uint32 n)
{
	CxSlot	   *slot = cx_slot(n);
	CxUsage    *usage = &policy->books[slot->cache].usage;

	Assert(LWLockHeldByMe(policy->lock));
	cx_queues_remove(n);
	cx_wheel_remove(&policy->wheel, n);
	usage->entries--;
	usage->bytes -= cx_slot_bytes(slot);
	policy->entries--;
}

/* A clear does not reach what another transaction has only staged. */
static inline bool
is_cleared(const CxSlot *slot)
{
	return slot->gen < policy->books[slot->cache].dead_before &&
		(slot->flags & CX_SLOT_STAGED) == 0;
}

static inline bool
is_dead(const CxSlot *slot, TimestampTz now)
{
	return slot->expires <= now || is_cleared(slot);
}

/*
 * Takes the entry of a cache that is worth least, putting back up to
 * *patience entries that had hits.
 */
static uint32
take_lowest_locked(int cache, TimestampTz now, int *patience)
{
	for (;;)
	{
		uint32		n = cx_queues_lowest(cache);
		CxSlot	   *slot = cx_slot(n);

		if (is_dead(slot, now))
		{
			cx_counters_add(cache, slot->expires <= now ? CX_EXPIRED : CX_CLEARED,
							1);
			take_locked(n);
			return n;
		}
		cx_queues_inflate(slot->priority);
		if (slot->hits == 0 || (*patience)-- <= 0)
		{
			cx_counters_add(cache, CX_EVICTED, 1);
			if (slot->frequency == 1 && slot->hits == 0)
				cx_counters_add(cache, CX_EVICTED_UNREAD, 1);
			cx_queues_leave_ghost(slot);
			take_locked(n);
			return n;
		}
		cx_queues_promote(n);
	}
}

static inline bool
fits(const CxUsage *usage, const CxLimits *limits, uint64 entries, uint64 bytes)
{
	return usage->entries + entries <= limits->entries &&
		usage->bytes + bytes <= limits->bytes;
}

/*
 * Takes victims until there is room for so much within the limits.  Returns
 * false when the batch is full before that: drop the victims, call again.
 */
static bool
make_room_locked(int cache, const CxLimits *limits, uint64 entries,
				 uint64 bytes, TimestampTz now, CxVictims *victims)
{
	CxUsage    *usage = &policy->books[cache].usage;
	int			patience = CX_BATCH;

	while (!fits(usage, limits, entries, bytes) && usage->entries > 0)
	{
		if (victims->n == CX_BATCH)
			return false;
		victims->slot[victims->n++] = take_lowest_locked(cache, now, &patience);
	}
	return true;
}

/* Counts a slot that is put on its queue. */
static void
count_locked(const CxSlot *slot)
{
	CxUsage    *usage = &policy->books[slot->cache].usage;

	policy->nused = Max(policy->nused, slot->cache + 1);
	usage->entries++;
	usage->bytes += cx_slot_bytes(slot);
	usage->bytes_peak = Max(usage->bytes_peak, usage->bytes);
	policy->entries++;
}

/*
 * Puts a new slot on its queue and on the wheel, evicting within its cache
 * as the limits demand; the slot alone must fit.  frequency is that of an
 * entry which it replaces, 0 = none.  Returns false when the batch of victims
 * is full and the slot has not been entered: drop them and call again.
 */
bool
cx_policy_enter(uint32 n, const CxLimits *limits, uint8 frequency,
				TimestampTz now, CxVictims *victims)
{
	CxSlot	   *slot = cx_slot(n);

	victims->n = 0;
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	if (!make_room_locked(slot->cache, limits, 1, cx_slot_bytes(slot), now,
						  victims))
	{
		LWLockRelease(policy->lock);
		return false;
	}
	count_locked(slot);
	cx_queues_enter(n, frequency, policy->books[slot->cache].usage.entries);
	cx_wheel_add(&policy->wheel, n);
	LWLockRelease(policy->lock);
	return true;
}

/* What priorities are measured from, at the end of the server. */
double
cx_policy_inflation(void)
{
	return cx_queues_inflation();
}

/*
 * Puts a slot of before a restart at the head of its queue, and on the wheel:
 * those of greater priority come first.  hits and frequency are set.
 */
void
cx_policy_restore(uint32 n, int class, double priority)
{
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	count_locked(cx_slot(n));
	cx_queues_restore(n, class, priority);
	cx_wheel_add(&policy->wheel, n);
	LWLockRelease(policy->lock);
}

/*
 * Takes a slot off queue and wheel.  Returns true when it was there: its
 * reference is then the caller's to drop.
 */
bool
cx_policy_leave(uint32 n)
{
	bool		queued;

	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	queued = cx_slot(n)->class != CX_CLASS_NONE;
	if (queued)
		take_locked(n);
	LWLockRelease(policy->lock);
	return queued;
}

/* Takes the entries of least worth, whatever their cache, to free bytes. */
void
cx_policy_evict(uint64 bytes, TimestampTz now, CxVictims *victims)
{
	int			patience = CX_BATCH;
	uint64		freed = 0;

	victims->n = 0;
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	while (freed < bytes && victims->n < CX_BATCH && policy->entries > 0)
	{
		uint32		n = take_lowest_locked(cx_queues_lowest_cache(policy->nused),
										   now, &patience);

		freed += cx_slot_bytes(cx_slot(n));
		victims->slot[victims->n++] = n;
	}
	LWLockRelease(policy->lock);
}

/* Evicts until a cache is within its limits; false: call again. */
bool
cx_policy_trim(int cache, const CxLimits *limits, TimestampTz now,
			   CxVictims *victims)
{
	bool		done;

	victims->n = 0;
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	done = make_room_locked(cache, limits, 0, 0, now, victims);
	LWLockRelease(policy->lock);
	return done;
}

/* Takes a batch of what has expired. Returns whether there may be more. */
bool
cx_policy_expire(TimestampTz now, CxVictims *victims)
{
	bool		more;

	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	victims->n = cx_wheel_due(&policy->wheel, now, victims->slot, CX_BATCH,
							  &more);
	for (int i = 0; i < victims->n; i++)
	{
		cx_counters_add(cx_slot(victims->slot[i])->cache, CX_EXPIRED, 1);
		take_locked(victims->slot[i]);
	}
	LWLockRelease(policy->lock);
	return more;
}

/* From now on entries of a cache with a lower generation are dead. */
void
cx_policy_clear(int cache, uint64 gen)
{
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	policy->books[cache].dead_before = gen;
	LWLockRelease(policy->lock);
}

/*
 * Takes a batch of a cache's dead entries, looking at CX_BATCH heads.  Dead
 * ones are older than living ones, so a queue is done at its first living
 * entry, or at one that was put back.  *position is 0 at the first call;
 * returns whether to call again.
 */
bool
cx_policy_reclaim(int cache, uint32 *position, CxVictims *victims)
{
	victims->n = 0;
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	while (*position < CX_CLASSES && victims->n < CX_BATCH)
	{
		uint32		n = cx_queues_head(cache, *position);

		if (n == CX_NONE || !is_cleared(cx_slot(n)))
		{
			(*position)++;
			continue;
		}
		cx_counters_add(cache, CX_CLEARED, 1);
		take_locked(n);
		victims->slot[victims->n++] = n;
	}
	LWLockRelease(policy->lock);
	return *position < CX_CLASSES;
}

/* When the sweeper has to look again; CX_NEVER = nothing expires. */
TimestampTz
cx_policy_next_expiry(void)
{
	TimestampTz next;

	LWLockAcquire(policy->lock, LW_SHARED);
	next = cx_wheel_next(&policy->wheel);
	LWLockRelease(policy->lock);
	return next;
}

void
cx_policy_usage(int cache, CxUsage *usage)
{
	LWLockAcquire(policy->lock, LW_SHARED);
	*usage = policy->books[cache].usage;
	LWLockRelease(policy->lock);
}

/* The peak starts again from what is used now. */
void
cx_policy_reset_peak(int cache)
{
	CxUsage    *usage = &policy->books[cache].usage;

	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	usage->bytes_peak = usage->bytes;
	LWLockRelease(policy->lock);
}

uint64
cx_policy_entries(void)
{
	return policy->entries;
}

/*
 * Takes a batch of a cache's entries, whatever they are.  Returns whether to
 * call again; else the cache has none left, and its books are those of a new
 * one, so that another can take the number.
 */
bool
cx_policy_drain(int cache, CxVictims *victims)
{
	uint32		n;

	victims->n = 0;
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	while ((n = cx_queues_any(cache)) != CX_NONE && victims->n < CX_BATCH)
	{
		take_locked(n);
		victims->slot[victims->n++] = n;
	}
	if (n == CX_NONE)
	{
		memset(&policy->books[cache], 0, sizeof(Books));
		cx_queues_reset(cache);
	}
	LWLockRelease(policy->lock);
	return n != CX_NONE;
}
