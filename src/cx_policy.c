/*
 * cx_policy.c
 *	  Lazy GreedyDual: an entry is worth what it saves, how often times what
 *	  its loader took, for each byte that it occupies.
 *
 * Each cache has 64 queues by the power of two of that worth.  Priorities are
 * the worth plus a value that grows with each eviction, so what is not asked
 * for sinks.  Within a queue, arrival order is nearly priority order, so only
 * the heads are looked at.  An entry that had hits is not evicted when it
 * comes to the head but put at the tail of the queue of its new worth.  A
 * newcomer counts half, unless a ghost tells that it was here not long ago.
 *
 * Parts are published: GreedyDual-Size-Frequency (Cherkasova), CAMP's
 * rounding to classes (Ghandeharizadeh et al.), the lazy promotion and quick
 * demotion of S3-FIFO (Yang et al.).
 *
 * Locking: one LWLock for all of it, never taken by a hit, held for at most
 * CX_BATCH victims and as many entries put back.  Does not unlink or free:
 * victims go to cx_store_drop.
 */
#include "postgres.h"

#include <math.h>

#include "port/pg_bitutils.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "cx_counters.h"
#include "cx_key.h"
#include "cx_policy.h"
#include "cx_wheel.h"

#define CLASS_OFFSET	24		/* class of worth 1 microsecond a byte */

typedef struct Queues
{
	CxUsage		usage;
	uint64		dead_before;	/* entries with a lower generation are dead */
	uint64		evictions;		/* the age of a ghost is measured in these */
	uint64		busy;			/* bitmap of queues that are not empty */
	double		head_priority[CX_CLASSES];
	uint32		head[CX_CLASSES];
	uint32		tail[CX_CLASSES];
} Queues;

typedef struct Ghost
{
	uint32		evicted_at;		/* low bits of the cache's evictions */
	uint32		tag;			/* 28 bits of hash, 4 of frequency; 0 = none */
} Ghost;

typedef struct Policy
{
	LWLock	   *lock;
	double		inflation;		/* the L of GreedyDual */
	uint64		entries;
	int			ncaches;
	int			nused;			/* no cache from this number on has entries */
	uint32		nghosts;
	CxWheel		wheel;
	double	   *lowest;			/* by cache: least head priority */
	Queues	   *queues;
	Ghost	   *ghosts;
} Policy;

static Policy *policy;

/* Bytes of shared memory. */
Size
cx_policy_size(int ncaches, uint32 max_entries)
{
	Size		size = MAXALIGN(sizeof(Policy));

	size = add_size(size, MAXALIGN(mul_size(ncaches, sizeof(double))));
	size = add_size(size, mul_size(ncaches, sizeof(Queues)));
	return add_size(size, mul_size(max_entries, sizeof(Ghost)));
}

void
cx_policy_init(void *memory, int ncaches, uint32 max_entries, TimestampTz now)
{
	char	   *p = memory;

	memset(memory, 0, cx_policy_size(ncaches, max_entries));
	policy = memory;
	p += MAXALIGN(sizeof(Policy));
	policy->lowest = (double *) p;
	p += MAXALIGN((Size) ncaches * sizeof(double));
	policy->queues = (Queues *) p;
	p += (Size) ncaches * sizeof(Queues);
	policy->ghosts = (Ghost *) p;
	policy->lock = &GetNamedLWLockTranche("cachex_policy")->lock;
	policy->ncaches = ncaches;
	policy->nghosts = max_entries;
	for (int i = 0; i < ncaches; i++)
		policy->lowest[i] = INFINITY;
	cx_wheel_init(&policy->wheel, now);
}

/* ---- queues ---- */

static int
class_of(double worth)
{
	int			class = worth > 0 ? ilogb(worth) + CLASS_OFFSET : 0;

	return Min(Max(class, 0), CX_CLASSES - 1);
}

/* Sets what is derived from the head of a queue. */
static void
update_head(int cache, int class)
{
	Queues	   *q = &policy->queues[cache];
	double		lowest = INFINITY;

	if (q->head[class] == CX_NONE)
		q->busy &= ~(UINT64CONST(1) << class);
	else
	{
		q->busy |= UINT64CONST(1) << class;
		q->head_priority[class] = cx_slot(q->head[class])->priority;
	}
	for (uint64 rest = q->busy; rest != 0; rest &= rest - 1)
		lowest = Min(lowest, q->head_priority[pg_rightmost_one_pos64(rest)]);
	policy->lowest[cache] = lowest;
}

/* Appends a slot to the queue of a worth. */
static void
append(uint32 n, double worth)
{
	CxSlot	   *slot = cx_slot(n);
	Queues	   *q = &policy->queues[slot->cache];
	int			class = class_of(worth);

	slot->class = class;
	slot->priority = policy->inflation + worth;
	slot->queue_next = CX_NONE;
	slot->queue_prev = q->tail[class];
	if (slot->queue_prev != CX_NONE)
		cx_slot(slot->queue_prev)->queue_next = n;
	q->tail[class] = n;
	if (q->head[class] == CX_NONE)
	{
		q->head[class] = n;
		update_head(slot->cache, class);
	}
}

static void
unlink_slot(uint32 n)
{
	CxSlot	   *slot = cx_slot(n);
	Queues	   *q = &policy->queues[slot->cache];
	int			class = slot->class;

	if (slot->queue_next != CX_NONE)
		cx_slot(slot->queue_next)->queue_prev = slot->queue_prev;
	else
		q->tail[class] = slot->queue_prev;
	if (slot->queue_prev != CX_NONE)
		cx_slot(slot->queue_prev)->queue_next = slot->queue_next;
	else
	{
		q->head[class] = slot->queue_next;
		update_head(slot->cache, class);
	}
	slot->class = CX_CLASS_NONE;
}

/* Takes a slot off queue and wheel; its reference goes to the caller. */
static void
take_locked(uint32 n)
{
	CxSlot	   *slot = cx_slot(n);
	CxUsage    *usage = &policy->queues[slot->cache].usage;

	Assert(LWLockHeldByMe(policy->lock));
	unlink_slot(n);
	cx_wheel_remove(&policy->wheel, n);
	usage->entries--;
	usage->bytes -= cx_slot_bytes(slot);
	policy->entries--;
}

/* A clear does not reach what another transaction has only staged. */
static inline bool
is_cleared(const CxSlot *slot)
{
	return slot->gen < policy->queues[slot->cache].dead_before &&
		(slot->flags & CX_SLOT_STAGED) == 0;
}

static inline bool
is_dead(const CxSlot *slot, TimestampTz now)
{
	return slot->expires <= now || is_cleared(slot);
}

/* ---- ghosts ---- */

static inline Ghost *
ghost_of(uint32 hash, uint32 *tag)
{
	uint64		h = cx_key_mix(hash);

	*tag = (uint32) (h >> 32) << 4;
	return &policy->ghosts[((h & 0xffffffff) * policy->nghosts) >> 32];
}

static void
leave_ghost(const CxSlot *slot)
{
	uint32		tag;
	Ghost	   *ghost = ghost_of(slot->hash ^ slot->cache, &tag);

	ghost->tag = tag | slot->frequency;
	ghost->evicted_at = (uint32) policy->queues[slot->cache].evictions;
}

/* Frequency that a newcomer inherits from its ghost; 0 = it has none. */
static int
recall_ghost(const CxSlot *slot)
{
	uint32		tag;
	Ghost	   *ghost = ghost_of(slot->hash ^ slot->cache, &tag);
	Queues	   *q = &policy->queues[slot->cache];
	int			frequency = ghost->tag & 15;

	if (frequency == 0 || (ghost->tag & ~15) != tag ||
		(uint32) q->evictions - ghost->evicted_at >= q->usage.entries)
		return 0;
	ghost->tag = 0;
	return frequency / 2 + 2;
}

/* ---- eviction ---- */

/* The queue with the lowest head of a cache that has one. */
static int
lowest_class(int cache)
{
	Queues	   *q = &policy->queues[cache];

	for (uint64 rest = q->busy; rest != 0; rest &= rest - 1)
	{
		int			class = pg_rightmost_one_pos64(rest);

		if (q->head_priority[class] == policy->lowest[cache])
			return class;
	}
	pg_unreachable();
}

/*
 * Takes the entry of a cache that is worth least, putting back up to
 * *patience entries that had hits.
 */
static uint32
take_lowest_locked(int cache, TimestampTz now, int *patience)
{
	Queues	   *q = &policy->queues[cache];

	for (;;)
	{
		uint32		n = q->head[lowest_class(cache)];
		CxSlot	   *slot = cx_slot(n);

		if (is_dead(slot, now))
		{
			cx_counters_add(cache, slot->expires <= now ? CX_EXPIRED : CX_CLEARED,
							1);
			take_locked(n);
			return n;
		}
		policy->inflation = Max(policy->inflation, slot->priority);
		if (slot->hits == 0 || (*patience)-- <= 0)
		{
			cx_counters_add(cache, CX_EVICTED, 1);
			if (slot->frequency == 1 && slot->hits == 0)
				cx_counters_add(cache, CX_EVICTED_UNREAD, 1);
			q->evictions++;
			leave_ghost(slot);
			take_locked(n);
			return n;
		}
		slot->frequency = Min(CX_MAX_FREQUENCY, slot->frequency + slot->hits);
		slot->hits = 0;
		unlink_slot(n);
		append(n, slot->frequency * slot->weight);
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
	CxUsage    *usage = &policy->queues[cache].usage;
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
	CxUsage    *usage = &policy->queues[slot->cache].usage;

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
	if (frequency == 0)
		frequency = recall_ghost(slot);
	slot->hits = 0;
	slot->frequency = Max(1, Min(frequency, CX_MAX_FREQUENCY));
	append(n, slot->weight * (frequency == 0 ? 0.5 : slot->frequency));
	cx_wheel_add(&policy->wheel, n);
	LWLockRelease(policy->lock);
	return true;
}

/* What priorities are measured from, at the end of the server. */
double
cx_policy_inflation(void)
{
	return policy->inflation;
}

/*
 * Puts a slot of before a restart at the head of its queue, and on the wheel:
 * those of greater priority come first.  hits and frequency are set.
 */
void
cx_policy_restore(uint32 n, int class, double priority)
{
	CxSlot	   *slot = cx_slot(n);
	Queues	   *q = &policy->queues[slot->cache];

	Assert(class >= 0 && class < CX_CLASSES);
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	count_locked(slot);
	slot->class = class;
	slot->priority = priority;
	slot->queue_prev = CX_NONE;
	slot->queue_next = q->head[class];
	if (slot->queue_next != CX_NONE)
		cx_slot(slot->queue_next)->queue_prev = n;
	else
		q->tail[class] = n;
	q->head[class] = n;
	update_head(slot->cache, class);
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
		int			cache = 0;
		uint32		n;

		for (int i = 1; i < policy->nused; i++)
		{
			if (policy->lowest[i] < policy->lowest[cache])
				cache = i;
		}
		n = take_lowest_locked(cache, now, &patience);
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
	policy->queues[cache].dead_before = gen;
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
	Queues	   *q = &policy->queues[cache];

	victims->n = 0;
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	while (*position < CX_CLASSES && victims->n < CX_BATCH)
	{
		uint32		n = q->head[*position];

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
	*usage = policy->queues[cache].usage;
	LWLockRelease(policy->lock);
}

/* The peak starts again from what is used now. */
void
cx_policy_reset_peak(int cache)
{
	CxUsage    *usage = &policy->queues[cache].usage;

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
	Queues	   *q = &policy->queues[cache];
	bool		more;

	victims->n = 0;
	LWLockAcquire(policy->lock, LW_EXCLUSIVE);
	while (q->busy != 0 && victims->n < CX_BATCH)
	{
		uint32		n = q->head[pg_rightmost_one_pos64(q->busy)];

		take_locked(n);
		victims->slot[victims->n++] = n;
	}
	more = q->busy != 0;
	if (!more)
	{
		memset(q, 0, sizeof(Queues));
		policy->lowest[cache] = INFINITY;
	}
	LWLockRelease(policy->lock);
	return more;
}
