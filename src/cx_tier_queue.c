/*
 * cx_tier_queue.c
 *	  What of the entries in memory has still to be copied into the table of
 *	  stored entries, for all databases?
 *
 * A reader that has filled an entry writes nothing to a table: it may be in a
 * read-only transaction, and must not wait.  It leaves the entry's identity
 * and generation in a ring of fixed size, and a visiting worker copies it.
 * When the ring is full the oldest item goes and is counted (tier_dropped):
 * it will be missed after a restart, no more.
 *
 * A database is asked to be visited when its first item comes; from then on
 * visits follow each other, a second apart, until one finds nothing.
 *
 * Also here: from when on rows may be stored.  Who invalidates writes a record
 * only where a cache is persistent, and looks at that when its commit begins.
 * One that looked before such a cache was there, and completes later, leaves
 * no record.  So while a transaction that makes a cache persistent is between
 * its commit and the sending of its messages, no row is stored; and after it
 * none under a snapshot that does not see all the transactions that had begun
 * by then.
 *
 * Locking: one LWLock (cachex_tier) for ring and dates; the array of visits is
 * told after it is released.
 */
#include "postgres.h"

#include "access/transam.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#include "cx_counters.h"
#include "cx_tier_queue.h"
#include "cx_visits.h"

#define RING_SIZE		512
#define MAX_DATABASES	64

/* What is known of a database. */
typedef struct Place
{
	Oid			db;				/* InvalidOid: the place is free */
	bool		expected;		/* a visit for items is on its way */
	TimestampTz clean_at;		/* CX_TIER_NOT_DUE: nothing to look for */
} Place;

typedef struct Queue
{
	LWLock	   *lock;
	pg_atomic_uint64 since;		/* first xid that need not be seen; 0 = not
								 * yet known */
	pg_atomic_uint32 defining;	/* transactions that are making a cache
								 * persistent, or not */
	uint32		first;
	uint32		n;
	CxTierItem	ring[RING_SIZE];
	Place		place[MAX_DATABASES];
} Queue;

static Queue *queue;

Size
cx_tier_queue_size(void)
{
	return sizeof(Queue);
}

void
cx_tier_queue_init(void *memory)
{
	queue = memory;
	memset(queue, 0, sizeof(Queue));
	queue->lock = &GetNamedLWLockTranche("cachex_tier")->lock;
	pg_atomic_init_u64(&queue->since, 0);
	pg_atomic_init_u32(&queue->defining, 0);
}

/* The place of a database, a new one if it has none; NULL: all are taken. */
static Place *
place_locked(Oid db)
{
	Place	   *unused = NULL;

	Assert(LWLockHeldByMeInMode(queue->lock, LW_EXCLUSIVE));
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		Place	   *p = &queue->place[i];

		if (p->db == db)
			return p;
		if (unused == NULL && (!OidIsValid(p->db) ||
							   (!p->expected && p->clean_at == CX_TIER_NOT_DUE)))
			unused = p;
	}
	if (unused)
	{
		/* after a start nobody knows what the tables hold */
		unused->db = db;
		unused->expected = false;
		unused->clean_at = 0;
	}
	return unused;
}

/* ---- the ring ---- */

/* Has an entry copied. Cannot fail. */
void
cx_tier_queue_push(const CxTierItem *item)
{
	Place	   *p;
	int			dropped = -1;
	bool		ask;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	if (queue->n == RING_SIZE)
	{
		dropped = queue->ring[queue->first].cache;
		queue->first = (queue->first + 1) % RING_SIZE;
		queue->n--;
	}
	queue->ring[(queue->first + queue->n++) % RING_SIZE] = *item;
	p = place_locked(item->db);
	ask = p == NULL || !p->expected;
	if (p)
		p->expected = true;
	LWLockRelease(queue->lock);
	if (dropped >= 0)
		cx_counters_add(dropped, CX_TIER_DROPPED, 1);
	if (ask)
		cx_visits_due_now(item->db);
}

/*
 * Takes up to max items of a database off the ring.  0: there are none, and
 * the next one that comes asks for a visit.
 */
int
cx_tier_queue_take(Oid db, CxTierItem *items, int max)
{
	uint32		kept = 0;
	int			n = 0;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	for (uint32 i = 0; i < queue->n; i++)
	{
		CxTierItem	item = queue->ring[(queue->first + i) % RING_SIZE];

		if (item.db == db && n < max)
			items[n++] = item;
		else
			queue->ring[(queue->first + kept++) % RING_SIZE] = item;
	}
	queue->n = kept;
	if (n == 0)
	{
		Place	   *p = place_locked(db);

		if (p)
			p->expected = false;
	}
	LWLockRelease(queue->lock);
	return n;
}

/* A database, or the extension in it, is gone. Cannot fail. */
void
cx_tier_queue_forget(Oid db)
{
	CxTierItem	item;

	while (cx_tier_queue_take(db, &item, 1) > 0)
		;
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (queue->place[i].db == db)
			queue->place[i].db = InvalidOid;
	}
	LWLockRelease(queue->lock);
}

/* ---- when rows may be stored ---- */

/*
 * A transaction that makes a cache persistent, or not, is about to be seen.
 * To be followed by define_end when its messages are out, or it has aborted.
 */
void
cx_tier_queue_define_begin(void)
{
	pg_atomic_fetch_add_u32(&queue->defining, 1);
}

/* Cannot fail. */
void
cx_tier_queue_define_end(void)
{
	pg_atomic_write_u64(&queue->since,
						U64FromFullTransactionId(ReadNextFullTransactionId()));
	pg_memory_barrier();
	pg_atomic_fetch_sub_u32(&queue->defining, 1);
}

/*
 * To be called when it is first known in a process that there is a persistent
 * cache.  What was prepared before the server's start counts as begun.
 */
void
cx_tier_queue_start(void)
{
	uint64		unknown = 0;

	if (pg_atomic_read_u64(&queue->since) == 0)
		(void) pg_atomic_compare_exchange_u64(&queue->since, &unknown,
											  U64FromFullTransactionId(ReadNextFullTransactionId()));
}

/*
 * Whether a row may be stored whose value is that of a snapshot with this
 * xmin.  To be asked when the snapshot has been taken, and before the
 * definition of the cache is looked at.
 */
bool
cx_tier_queue_admits(uint64 xmin)
{
	if (pg_atomic_read_u32(&queue->defining) != 0)
		return false;
	pg_memory_barrier();
	cx_tier_queue_start();
	return xmin >= pg_atomic_read_u64(&queue->since);
}

/* ---- when to look through the rows ---- */

/* Has the rows of a database looked through, not before an instant. */
void
cx_tier_queue_clean(Oid db, TimestampTz when)
{
	Place	   *p;
	bool		ask = true;

	if (when == CX_TIER_NOT_DUE)
		return;
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	p = place_locked(db);
	if (p)
	{
		ask = when < p->clean_at || p->clean_at == 0;
		p->clean_at = Min(p->clean_at, when);
	}
	LWLockRelease(queue->lock);
	if (ask)
		cx_visits_due_by(db, when);
}

/* When the rows of a database are to be looked through. */
TimestampTz
cx_tier_queue_due(Oid db)
{
	TimestampTz due;
	Place	   *p;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	p = place_locked(db);
	due = p ? p->clean_at : CX_TIER_NOT_DUE;
	LWLockRelease(queue->lock);
	return due;
}

/*
 * That is being seen to; what comes from now on is for the next time, which is
 * again if this one fails.
 */
void
cx_tier_queue_begin_clean(Oid db, TimestampTz again)
{
	Place	   *p;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	p = place_locked(db);
	if (p)
		p->clean_at = again;
	LWLockRelease(queue->lock);
}

/* It has been done, and the next time is due then, if nobody asked for less. */
void
cx_tier_queue_end_clean(Oid db, TimestampTz again, TimestampTz next)
{
	Place	   *p;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	p = place_locked(db);
	if (p)
		p->clean_at = p->clean_at == again ? next : Min(p->clean_at, next);
	LWLockRelease(queue->lock);
}
