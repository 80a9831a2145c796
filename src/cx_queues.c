/*
 * cx_queues.c
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
 * Locking: the caller's, the policy lock.
 * Not here: who has to go when (cx_policy.c).
 */
#include "postgres.h"

#include <math.h>

#include "port/pg_bitutils.h"
#include "storage/shmem.h"

#include "cx_key.h"
#include "cx_queues.h"

#define CLASS_OFFSET	24		/* class of worth 1 microsecond a byte */

/* Those of a cache */
typedef struct Queues
{
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

typedef struct AllQueues
{
	double		inflation;		/* the L of GreedyDual */
	uint32		nghosts;
	double	   *lowest;			/* by cache: least head priority */
	Queues	   *queues;			/* by cache */
	Ghost	   *ghosts;
} AllQueues;

static AllQueues *all;

/* Bytes of shared memory. */
Size
cx_queues_size(int ncaches, uint32 max_entries)
{
	Size		size = MAXALIGN(sizeof(AllQueues));

	size = add_size(size, MAXALIGN(mul_size(ncaches, sizeof(double))));
	size = add_size(size, mul_size(ncaches, sizeof(Queues)));
	return add_size(size, mul_size(max_entries, sizeof(Ghost)));
}

/* memory is zeroed. */
void
cx_queues_init(void *memory, int ncaches, uint32 max_entries)
{
	char	   *p = memory;

	all = memory;
	p += MAXALIGN(sizeof(AllQueues));
	all->lowest = (double *) p;
	p += MAXALIGN((Size) ncaches * sizeof(double));
	all->queues = (Queues *) p;
	p += (Size) ncaches * sizeof(Queues);
	all->ghosts = (Ghost *) p;
	all->nghosts = max_entries;
	for (int i = 0; i < ncaches; i++)
		all->lowest[i] = INFINITY;
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
	Queues	   *q = &all->queues[cache];
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
	all->lowest[cache] = lowest;
}

/* Appends a slot to the queue of a worth. */
static void
append(uint32 n, double worth)
{
	CxSlot	   *slot = cx_slot(n);
	Queues	   *q = &all->queues[slot->cache];
	int			class = class_of(worth);

	slot->class = class;
	slot->priority = all->inflation + worth;
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

/* Takes a slot off its queue. */
void
cx_queues_remove(uint32 n)
{
	CxSlot	   *slot = cx_slot(n);
	Queues	   *q = &all->queues[slot->cache];
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

/* Puts an entry that had hits where it belongs with them. */
void
cx_queues_promote(uint32 n)
{
	CxSlot	   *slot = cx_slot(n);

	slot->frequency = Min(CX_MAX_FREQUENCY, slot->frequency + slot->hits);
	slot->hits = 0;
	cx_queues_remove(n);
	append(n, slot->frequency * slot->weight);
}

/*
 * Puts a slot of before a restart at the head of its queue; hits and frequency
 * are set.
 */
void
cx_queues_restore(uint32 n, int class, double priority)
{
	CxSlot	   *slot = cx_slot(n);
	Queues	   *q = &all->queues[slot->cache];

	Assert(class >= 0 && class < CX_CLASSES);
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
}

/* The head of least priority of a cache that has entries. */
uint32
cx_queues_lowest(int cache)
{
	Queues	   *q = &all->queues[cache];

	for (uint64 rest = q->busy; rest != 0; rest &= rest - 1)
	{
		int			class = pg_rightmost_one_pos64(rest);

		if (q->head_priority[class] == all->lowest[cache])
			return q->head[class];
	}
	pg_unreachable();
}

/* Which of the first so many caches, one of which has entries, has it. */
int
cx_queues_lowest_cache(int ncaches)
{
	int			cache = 0;

	for (int i = 1; i < ncaches; i++)
	{
		if (all->lowest[i] < all->lowest[cache])
			cache = i;
	}
	return cache;
}

/* The oldest of a queue, or CX_NONE. */
uint32
cx_queues_head(int cache, int class)
{
	return all->queues[cache].head[class];
}

/* Any entry of a cache, or CX_NONE. */
uint32
cx_queues_any(int cache)
{
	Queues	   *q = &all->queues[cache];

	return q->busy == 0 ? CX_NONE : q->head[pg_rightmost_one_pos64(q->busy)];
}

/* All that is worth less than what goes now has sunk. */
void
cx_queues_inflate(double priority)
{
	all->inflation = Max(all->inflation, priority);
}

/* What priorities are measured from. */
double
cx_queues_inflation(void)
{
	return all->inflation;
}

/* A cache that has no entries is as new. */
void
cx_queues_reset(int cache)
{
	memset(&all->queues[cache], 0, sizeof(Queues));
	all->lowest[cache] = INFINITY;
}

/* ---- ghosts ---- */

static inline Ghost *
ghost_of(uint32 hash, uint32 *tag)
{
	uint64		h = cx_key_mix(hash);

	*tag = (uint32) (h >> 32) << 4;
	return &all->ghosts[((h & 0xffffffff) * all->nghosts) >> 32];
}

/* Remembers an entry that is evicted. */
void
cx_queues_leave_ghost(const CxSlot *slot)
{
	uint32		tag;
	Ghost	   *ghost = ghost_of(slot->hash ^ slot->cache, &tag);

	ghost->tag = tag | slot->frequency;
	ghost->evicted_at = (uint32) ++all->queues[slot->cache].evictions;
}

/* Frequency that a newcomer inherits from its ghost; 0 = it has none. */
static int
recall_ghost(const CxSlot *slot, uint64 entries)
{
	uint32		tag;
	Ghost	   *ghost = ghost_of(slot->hash ^ slot->cache, &tag);
	Queues	   *q = &all->queues[slot->cache];
	int			frequency = ghost->tag & 15;

	if (frequency == 0 || (ghost->tag & ~15) != tag ||
		(uint32) q->evictions - ghost->evicted_at >= entries)
		return 0;
	ghost->tag = 0;
	return frequency / 2 + 2;
}

/*
 * Puts a new slot on the queue of its worth.  frequency is that of an entry
 * which it replaces, 0 = none; entries is how many its cache has.
 */
void
cx_queues_enter(uint32 n, uint8 frequency, uint64 entries)
{
	CxSlot	   *slot = cx_slot(n);

	if (frequency == 0)
		frequency = recall_ghost(slot, entries);
	slot->hits = 0;
	slot->frequency = Max(1, Min(frequency, CX_MAX_FREQUENCY));
	append(n, slot->weight * (frequency == 0 ? 0.5 : slot->frequency));
}
