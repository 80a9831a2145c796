/*
 * cx_policy.c
 *	  Which entries have to go: for lack of memory, by the limits of their
 *	  cache or scope, because they have expired or are cleared.
 *
 * In a full scope its entries are looked at from the oldest on.  Those that
 * had hits become its latest; of the first few without hits the one of least
 * worth goes.
 *
 * Locking: one LWLock for all of it, and for what it is made of (cx_queues.c,
 * cx_scopes.c, cx_wheel.c), never taken by a hit, held for at most CX_BATCH
 * victims and as many entries put back.  Does not unlink or free: victims go
 * to cx_link_drop.
 */
#include "postgres.h"

#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "cx_counters.h"
#include "cx_gens.h"
#include "cx_policy.h"
#include "cx_wheel.h"

#define MAX_CANDIDATES 4		/* of a scope, for one victim */
#define BUCKETS_AT_ONCE 256		/* of the table of scopes */

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
	size = add_size(size, cx_scopes_size(max_entries));
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
	cx_scopes_init(p, max_entries);
	p += cx_scopes_size(max_entries);
	cx_queues_init(p, ncaches, max_entries);
	policy->lock = &GetNamedLWLockTranche("cachex_policy")->lock;
	cx_wheel_init(&policy->wheel, now);
}

/* ---- eviction ---- */

/* Takes a slot off queue, scope and wheel; its reference goes to the caller. */
static void
take_locked(uint32 n)
{
	CxSlot	   *slot = cx_slot(n);
	CxUsage    *usage = &policy->books[slot->cache].usage;

	Assert(LWLockHeldByMe(policy->lock));
	cx_queues_remove(n);
	cx_wheel_remove(&policy->wheel, n);
	if (slot->flags & CX_SLOT_IN_SCOPE)
		cx_scopes_leave(n);
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

/* Takes a slot if it is dead. */
static bool
take_dead_locked(uint32 n, TimestampTz now)
{
	const CxSlot *slot = cx_slot(n);

	Assert(LWLockHeldByMe(policy->lock));
	if (slot->expires > now && !is_cleared(slot))
		return false;
	cx_counters_add(slot->cache,
					slot->expires <= now ? CX_EXPIRED : CX_CLEARED, 1);
	take_locked(n);
	return true;
}

/* Takes a slot that might have stayed. */
static void
take_alive_locked(uint32 n)
{
	const CxSlot *slot = cx_slot(n);

	Assert(LWLockHeldByMe(policy->lock));
	cx_counters_add(slot->cache, CX_EVICTED, 1);
	if (slot->frequency == 1 && slot->hits == 0)
		cx_counters_add(slot->cache, CX_EVICTED_UNREAD, 1);
	cx_queues_leave_ghost(slot);
	take_locked(n);
}

/*
 * Takes the entry of a cache that is worth least, putting back up to
 * *patience entries that had hits.
 */
static uint32
take_lowest_locked(int cache, TimestampTz now, int *patience)
{
	Assert(LWLockHeldByMe(policy->lock));
	for (;;)
	{
		uint32		n = cx_queues_lowest(cache);
		CxSlot	   *slot = cx_slot(n);

		if (take_dead_locked(n, now))
			return n;
		cx_queues_inflate(slot->priority);
		if (slot->hits == 0 || (*patience)-- <= 0)
		{
			take_alive_locked(n);
			return n;
		}
		cx_queues_promote(n);
	}
}

/* As take_dead_locked, for an entry whose scope was cleared by itself. */
static bool
take_cleared_in_scope_locked(uint32 n)
{
	const CxSlot *slot = cx_slot(n);

	Assert(LWLockHeldByMe(policy->lock));
	if ((slot->flags & CX_SLOT_STAGED) != 0 ||
		slot->gen >= cx_gens_get(CX_GEN_GROUP, cx_entry_link(slot)->id))
		return false;
	cx_counters_add(slot->cache, CX_CLEARED, 1);
	take_locked(n);
	return true;
}

/* As take_lowest_locked, within a scope, of which oldest is the oldest. */
static uint32
take_from_scope_locked(uint32 oldest, TimestampTz now, int *patience)
{
	uint32		count = cx_scopes_count(oldest);
	int			candidates = Min(MAX_CANDIDATES, 1 + count / 4);
	uint32		least = CX_NONE;
	uint32		n = oldest;

	Assert(LWLockHeldByMe(policy->lock));
	for (uint32 i = 0; i < count && candidates > 0; i++)
	{
		CxSlot	   *slot = cx_slot(n);
		uint32		next = cx_scopes_next(n);

		if (take_dead_locked(n, now) || take_cleared_in_scope_locked(n))
			return n;
		if (slot->hits > 0 && (*patience)-- > 0)
		{
			cx_queues_promote(n);
			cx_scopes_renew(n);
		}
		else
		{
			if (least == CX_NONE ||
				slot->priority < cx_slot(least)->priority)
				least = n;
			candidates--;
		}
		n = next;
	}
	/* all had hits: the order is what it was */
	if (least == CX_NONE)
		least = n;
	take_alive_locked(least);
	return least;
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

	Assert(LWLockHeldByMe(policy->lock));
	while (!fits(usage, limits, entries, bytes) && usage->entries > 0)
	{
		if (victims->n == CX_BATCH)
			return false;
		victims->slot[victims->n++] = take_lowest_locked(cache, now, &patience);
	}
	return true;
}

/* The same for the scope of a slot, which need not be in it. */
static bool
make_room_in_scope_locked(uint32 slot, uint64 limit, TimestampTz now,
						  int *patience, CxVictims *victims)
{
	uint32		oldest;

	Assert(LWLockHeldByMe(policy->lock));
	while ((oldest = cx_scopes_oldest(slot)) != CX_NONE &&
		   cx_scopes_count(oldest) > limit)
	{
		if (victims->n == CX_BATCH)
			return false;
		victims->slot[victims->n++] = take_from_scope_locked(oldest, now,
															 patience);
	}
	return true;
}

/* Whether a slot may be entered; if not, some victims may be there. */
static bool
make_room_for_locked(uint32 n, const CxLimits *limits, TimestampTz now,
					 CxVictims *victims)
{
	CxSlot	   *slot = cx_slot(n);
	int			patience = CX_BATCH;

	Assert(LWLockHeldByMe(policy->lock));
	if ((slot->flags & CX_SLOT_IN_SCOPE) &&
		(!cx_scopes_is_ready() ||
		 !make_room_in_scope_locked(n, limits->per_scope - 1, now, &patience,
									victims)))
		return false;
	return make_room_locked(slot->cache, limits, 1, cx_slot_bytes(slot), now,
							victims);
}

/* Counts a slot that is put on its queue. */
static void
count_locked(const CxSlot *slot)
{
	CxUsage    *usage = &policy->books[slot->cache].usage;

	Assert(LWLockHeldByMe(policy->lock));
	policy->nused = Max(policy->nused, slot->cache + 1);
	usage->entries++;
	usage->bytes += cx_slot_bytes(slot);
	usage->bytes_peak = Max(usage->bytes_peak, usage->bytes);
	policy->entries++;
}

/*
 * Puts a new slot on its queue, in its scope and on the wheel, evicting within
 * cache and scope as the limits demand; the slot alone must fit, and for one
 * with CX_SLOT_IN_SCOPE cx_policy_grow_scopes has found room.  frequency is
 * that of an entry which it replaces, 0 = none.  Returns false when the batch
 * of victims is full, or that room is gone, and the slot has not been entered:
 * drop them, see to it, and call again.
 */
bool
cx_policy_enter(uint32 n, const CxLimits *limits, uint8 frequency,
				TimestampTz now, CxVictims *victims)
{
	CxSlot	   *slot = cx_slot(n);

	victims->n = 0;
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	if (!make_room_for_locked(n, limits, now, victims))
	{
		LWLockRelease(policy->lock);
		return false;
	}
	count_locked(slot);
	cx_queues_enter(n, frequency, policy->books[slot->cache].usage.entries);
	if (slot->flags & CX_SLOT_IN_SCOPE)
		cx_scopes_enter(n);
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
 * Puts a slot of before a restart at the head of its queue, as the oldest in
 * its scope, and on the wheel: those of greater priority come first.  hits and
 * frequency are set.
 */
void
cx_policy_restore(uint32 n, int class, double priority)
{
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	count_locked(cx_slot(n));
	cx_queues_restore(n, class, priority);
	if (cx_slot(n)->flags & CX_SLOT_IN_SCOPE)
		cx_scopes_restore(n);
	cx_wheel_add(&policy->wheel, n);
	LWLockRelease(policy->lock);
}

/*
 * Takes a slot off queue, scope and wheel.  Returns true when it was there: its
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

/* ---- scopes ---- */

/*
 * Sees to it that a scope can begin.  Takes the arena's lock and then the
 * policy's, never both; evicts nothing.
 */
CxScopeRoom
cx_policy_grow_scopes(void)
{
	/* without the lock: who sees what was is asked again, or goes on slowly */
	while (cx_scopes_wants())
	{
		uint32		granule = cx_arena_alloc_granule();
		bool		wanted;

		if (granule == CX_NONE)
			return cx_scopes_is_ready() ? CX_SCOPE_TIGHT : CX_SCOPE_NO_ROOM;
		LWLockAcquire(policy->lock, LW_EXCLUSIVE);
		wanted = cx_scopes_wants();
		if (wanted)
			cx_scopes_give(granule);
		LWLockRelease(policy->lock);
		if (!wanted)
			cx_arena_free_granule(granule);
	}
	return CX_SCOPE_ROOM;
}

/* Gives memory back that scopes needed; returns whether to call again. */
bool
cx_policy_shrink_scopes(void)
{
	uint32		granules[CX_BATCH];
	bool		more;
	int			n;

	if (cx_scopes_granules() == 0)
		return false;
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	more = cx_scopes_shrink(granules, CX_BATCH, &n);
	LWLockRelease(policy->lock);
	for (int i = 0; i < n; i++)
		cx_arena_free_granule(granules[i]);
	return more;
}

/*
 * Evicts from scopes of a cache that have more entries than the limit, *bucket
 * being 0 at the first call.  Returns whether to call again.
 */
bool
cx_policy_trim_scopes(int cache, uint64 limit, uint32 *bucket,
					  TimestampTz now, CxVictims *victims)
{
	uint32		end = *bucket + BUCKETS_AT_ONCE;
	int			patience = CX_BATCH;
	uint32		oldest;
	bool		more;

	victims->n = 0;
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	do
		more = cx_scopes_find_over(bucket, end, cache, limit, &oldest);
	while (oldest != CX_NONE &&
		   make_room_in_scope_locked(oldest, limit, now, &patience, victims));
	LWLockRelease(policy->lock);
	return more;
}

/*
 * Whether the scopes have so many entries, and each is in its own; NULL or
 * what is wrong.  *granules: what their table occupies.  For tests.
 */
const char *
cx_policy_check_scopes(uint64 entries, uint64 *granules)
{
	const char *fault;

	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	*granules = cx_scopes_granules();
	fault = cx_scopes_check();
	if (fault == NULL && cx_scopes_entries() != entries)
		fault = "the scopes hold other entries than the table";
	LWLockRelease(policy->lock);
	return fault;
}
