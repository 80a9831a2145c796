/*
 * cx_registry.c
 *	  Numbers for caches.
 *
 * A dropped cache keeps its number until the sweeper has taken all of its
 * entries; then another may have it.  Sessions know a cache by number and
 * uid, so a session that is late with the news cannot mistake one for another.
 *
 * Locking: one LWLock, exclusive to change, shared to search.  Single fields
 * of a cache whose uid the caller knows are read without it.
 */
#include "postgres.h"

#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "cx_registry.h"

typedef struct Registry
{
	LWLock	   *lock;
	int			capacity;
	uint64		last_uid;
	pg_atomic_uint64 changes;
	pg_atomic_uint32 last_role;
	CxSharedCache cache[FLEXIBLE_ARRAY_MEMBER];
} Registry;

static Registry *registry;

#define NUMBER_BITS 12			/* of a packed cache */
#define NUMBER_MASK	(((uint64) 1 << NUMBER_BITS) - 1)

/* How many caches a budget of so many bytes is divided among at most. */
int
cx_registry_count(Size budget)
{
	Size		n = budget / (256 * 1024);

	return (int) Min(Max(n, 64), 512);
}

Size
cx_registry_size(int ncaches)
{
	return add_size(offsetof(Registry, cache),
					mul_size(ncaches, sizeof(CxSharedCache)));
}

void
cx_registry_init(void *memory, int ncaches)
{
	registry = memory;
	memset(memory, 0, cx_registry_size(ncaches));
	registry->lock = &GetNamedLWLockTranche("cachex_registry")->lock;
	registry->capacity = ncaches;
	pg_atomic_init_u64(&registry->changes, 0);
	pg_atomic_init_u32(&registry->last_role, InvalidOid);
	for (int i = 0; i < ncaches; i++)
	{
		pg_atomic_init_u64(&registry->cache[i].gen, 0);
		pg_atomic_init_u64(&registry->cache[i].row, 0);
		pg_atomic_init_u32(&registry->cache[i].reclaim, 0);
		pg_atomic_init_u32(&registry->cache[i].warmers, 0);
		pg_atomic_init_u64(&registry->cache[i].warmed, 0);
	}
}

int
cx_registry_capacity(void)
{
	return registry->capacity;
}

CxSharedCache *
cx_registry_get(int number)
{
	Assert(number >= 0 && number < registry->capacity);
	return &registry->cache[number];
}

/* A cache as one number, whose three highest bits are free. */
uint64
cx_registry_pack(int number)
{
	return cx_registry_get(number)->uid << NUMBER_BITS | (uint64) number;
}

/* The cache again; NULL when another one has its place, or none. */
CxSharedCache *
cx_registry_unpack(uint64 packed)
{
	CxSharedCache *c = cx_registry_get((int) (packed & NUMBER_MASK));

	return c->uid == packed >> NUMBER_BITS ? c : NULL;
}

static int
find_locked(Oid db, int64 id)
{
	Assert(LWLockHeldByMe(registry->lock));
	for (int i = 0; i < registry->capacity; i++)
	{
		CxSharedCache *c = &registry->cache[i];

		if (c->state == CX_CACHE_USED && c->db == db && c->id == id)
			return i;
	}
	return -1;
}

/* The number of a cache, or -1 when it has none. */
int
cx_registry_find(Oid db, int64 id)
{
	int			number;

	LWLockAcquire(registry->lock, LW_SHARED);
	number = find_locked(db, id);
	LWLockRelease(registry->lock);
	return number;
}

/*
 * Notes what the row of a cache says, as seen when a generation was the last
 * one.  Who has read it before another transaction changed it may come later,
 * and is late.
 */
void
cx_registry_set_row(int number, uint64 as_of, uint64 says)
{
	pg_atomic_uint64 *row = &cx_registry_get(number)->row;
	uint64		old = pg_atomic_read_u64(row);

	while (old >> 2 <= as_of &&
		   !pg_atomic_compare_exchange_u64(row, &old, as_of << 2 | says))
		;
}

static int
take_number_locked(void)
{
	Assert(LWLockHeldByMe(registry->lock));
	for (int i = 0; i < registry->capacity; i++)
	{
		if (registry->cache[i].state == CX_CACHE_FREE)
			return i;
	}
	return -1;
}

/* Gives a number to a cache. */
static void
occupy_locked(CxSharedCache *c, Oid db, int64 id, const char *name,
			  TimestampTz now)
{
	Assert(LWLockHeldByMe(registry->lock));
	c->db = db;
	c->id = id;
	c->uid = ++registry->last_uid;
	strlcpy(NameStr(c->name), name, NAMEDATALEN);
	pg_atomic_write_u64(&c->gen, 0);
	pg_atomic_write_u32(&c->reclaim, 0);
	pg_atomic_write_u64(&c->row, 0);
	pg_atomic_write_u32(&c->warmers, 0);
	pg_atomic_write_u64(&c->warmed, 0);
	c->stats_reset = now;
	c->last_sweep = c->last_warm = 0;
	c->state = CX_CACHE_USED;
}

/*
 * The number of a cache, a new one if it has none, and its uid; -1 when all
 * numbers are taken.  The caller has made sure that the row exists.
 */
int
cx_registry_register(Oid db, int64 id, const char *name, TimestampTz now,
					 uint64 *uid)
{
	int			number;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	number = find_locked(db, id);
	if (number < 0)
	{
		number = take_number_locked();
		if (number >= 0)
			occupy_locked(&registry->cache[number], db, id, name, now);
	}
	*uid = number < 0 ? 0 : registry->cache[number].uid;
	LWLockRelease(registry->lock);
	return number;
}

/*
 * Gives a number to a cache of before the restart, whose entries go by uid.
 * Returns -1 when there is none, or the cache has one.
 */
int
cx_registry_restore(Oid db, int64 id, const char *name, TimestampTz now,
					uint64 uid)
{
	int			number = -1;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	if (find_locked(db, id) < 0)
		number = take_number_locked();
	if (number >= 0)
	{
		occupy_locked(&registry->cache[number], db, id, name, now);
		registry->cache[number].uid = uid;
		pg_atomic_write_u64(&registry->cache[number].row, CX_ROW_KEEP);
	}
	LWLockRelease(registry->lock);
	return number;
}

/* No uid up to this one is given out again. */
void
cx_registry_restore_last(uint64 uid)
{
	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	registry->last_uid = Max(registry->last_uid, uid);
	LWLockRelease(registry->lock);
}

/* The last uid given out; to be asked while nobody registers caches. */
uint64
cx_registry_last_uid(void)
{
	return registry->last_uid;
}

/* Grows whenever a number is lost or becomes free. */
uint64
cx_registry_changes(void)
{
	return pg_atomic_read_u64(&registry->changes);
}

/* To be called before an entry of a role can be found. */
void
cx_registry_note_role(Oid role)
{
	uint32		last = pg_atomic_read_u32(&registry->last_role);

	while (unlikely(last < role))
	{
		if (pg_atomic_compare_exchange_u32(&registry->last_role, &last, role))
			break;
	}
}

/* No role with a greater OID has, or had, an entry. */
Oid
cx_registry_last_role(void)
{
	return pg_atomic_read_u32(&registry->last_role);
}

static void
drop_locked(CxSharedCache *c, uint64 gen)
{
	Assert(LWLockHeldByMe(registry->lock));
	c->state = CX_CACHE_DROPPED;
	c->uid = 0;
	pg_atomic_write_u64(&c->gen, gen);
	pg_atomic_write_u32(&c->reclaim, 1);
	pg_atomic_fetch_add_u64(&registry->changes, 1);
}

/*
 * Gives a cache up: no session will find its entries, the sweeper takes them.
 * gen is a generation later than theirs.
 */
void
cx_registry_drop(int number, uint64 gen)
{
	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	if (registry->cache[number].state == CX_CACHE_USED)
		drop_locked(&registry->cache[number], gen);
	LWLockRelease(registry->lock);
}

/* The same for every cache of a database. */
void
cx_registry_drop_database(Oid db, uint64 gen)
{
	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	for (int i = 0; i < registry->capacity; i++)
	{
		CxSharedCache *c = &registry->cache[i];

		if (c->state == CX_CACHE_USED && c->db == db)
			drop_locked(c, gen);
	}
	LWLockRelease(registry->lock);
}

/* The last entry of a dropped cache is gone: the number is free again. */
void
cx_registry_release(int number)
{
	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	if (registry->cache[number].state == CX_CACHE_DROPPED)
		registry->cache[number].state = CX_CACHE_FREE;
	pg_atomic_fetch_add_u64(&registry->changes, 1);
	LWLockRelease(registry->lock);
}
