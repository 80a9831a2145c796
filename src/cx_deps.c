/*
 * cx_deps.c
 *	  The writer-set protocol for keys, tags, scopes, caches and relations.
 *
 * Lines hold writers: up to four transactions each, in doubt or resolved,
 * with 32 bits of the dependency's hash; what finds no place is kept as
 * bounds that err towards a miss.  The generations that the writers move are
 * in cx_gens, of a cache in the registry, of a relation in cx_rels.
 *
 * Why it is exact: src/README.md.
 *
 * Locking: dependency d is under partition d.id mod 64, its line and its
 * generation alike.  One partition is held at a time, nothing that locks is
 * called under it.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "port/pg_bitutils.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/snapmgr.h"

#include "cx_boot.h"
#include "cx_bug.h"
#include "cx_deps.h"
#include "cx_rels.h"

#define PARTITIONS	CX_GEN_PARTITIONS
#define MEMBERS		4
#define ASPECT_MASK	((uint32) 3)	/* in the hash of a relation's writer */

/*
 * Writers of the dependencies that share a line.  latest[i] is 0 while
 * xid[i] is in doubt, later latestCompletedXid at its completion or after.
 */
typedef struct Line
{
	uint64		xid[MEMBERS];	/* 0 = free */
	uint64		latest[MEMBERS];
	uint32		hash[MEMBERS];
	uint32		over_count;		/* plain writers in doubt without a place */
	uint32		over_late;		/* of these, late ones */
	uint64		over_min;		/* bounds of their xids */
	uint64		over_max;
	uint64		over_prepared;	/* greatest prepared one without a place */
	uint64		floor_xid;		/* greatest resolved one that lost its place */
	uint64		floor_latest;
} Line;

StaticAssertDecl(sizeof(Line) == 128, "a line of writers is two cache lines");

typedef struct Deps
{
	/* read by every hit, written by writers' commits only */
	pg_atomic_uint32 in_doubt;	/* transactions with marks */
	pg_atomic_uint32 prepared;	/* marks of prepared transactions */
	pg_atomic_uint64 max_xid;	/* greatest xid that ever marked */
	char		pad[PG_CACHE_LINE_SIZE];
	pg_atomic_uint64 overflows;
	uint32		nlines;			/* a partition */
	Line	   *lines;
	LWLockPadded *locks;
} Deps;

static Deps *deps;

/* Lines take 1/64 of the memory within bounds; 2 MB at most. */
static uint32
count_lines(Size budget)
{
	Size		n = budget / 64 / sizeof(Line) / PARTITIONS;

	return (uint32) Min(Max(n, 8), 256);
}

/* Bytes of shared memory, out of budget bytes for everything. */
Size
cx_deps_size(Size budget)
{
	Size		size = MAXALIGN(sizeof(Deps)) + PG_CACHE_LINE_SIZE;

	return add_size(size, mul_size((Size) count_lines(budget) * PARTITIONS,
								   sizeof(Line)));
}

void
cx_deps_init(void *memory, Size budget)
{
	char	   *p = memory;

	deps = memory;
	memset(memory, 0, cx_deps_size(budget));
	pg_atomic_init_u32(&deps->in_doubt, 0);
	pg_atomic_init_u32(&deps->prepared, 0);
	pg_atomic_init_u64(&deps->max_xid, 0);
	pg_atomic_init_u64(&deps->overflows, 0);
	deps->nlines = count_lines(budget);
	p = (char *) CACHELINEALIGN(p + sizeof(Deps));
	deps->lines = (Line *) p;
	deps->locks = GetNamedLWLockTranche("cachex_deps");
}

static inline LWLock *
lock_of(uint64 id)
{
	return &deps->locks[id % PARTITIONS].lock;
}

static inline Line *
line_of(uint64 id)
{
	return &deps->lines[(id % PARTITIONS) * deps->nlines +
						cx_key_place(id, id / PARTITIONS, deps->nlines)];
}

/*
 * What a member of a line is known by: the part of the hash that neither
 * partition nor line is made of, and of a relation the aspect.
 */
static inline uint32
member_tag(CxDep dep)
{
	uint32		tag = (uint32) (dep.id >> 32);

	if (dep.kind != CX_DEP_RELATION)
		return tag;
	return (tag & ~ASPECT_MASK) | (uint32) pg_rightmost_one_pos32(dep.aspects);
}

static inline bool
is_of(uint32 hash, CxDep dep)
{
	uint32		tag = (uint32) (dep.id >> 32);

	if (dep.kind != CX_DEP_RELATION)
		return hash == tag;
	return ((hash ^ tag) & ~ASPECT_MASK) == 0 &&
		(dep.aspects & (1 << (hash & ASPECT_MASK)));
}

/* ---- generations ---- */

/*
 * Moves a dependency's generation; of a relation, that of the aspect in the
 * member's hash.  Its partition is locked.
 */
static void
bump_locked(CxDep dep, uint32 hash)
{
	Assert(LWLockHeldByMe(lock_of(dep.id)));
	switch (dep.kind)
	{
		case CX_DEP_KEY:
			cx_gens_bump(CX_GEN_KEY, dep.id);
			break;
		case CX_DEP_GROUP:
		case CX_DEP_FILLS:
			cx_gens_bump(CX_GEN_GROUP, dep.id);
			break;
		case CX_DEP_CACHE:
			pg_atomic_write_u64(dep.gen, cx_gens_next());
			break;
		case CX_DEP_IDENTITY:
			break;
		case CX_DEP_RELATION:
			if (!CX_BUG_IS(CX_BUG_NO_BUMP))
				cx_rels_bump(dep.id, (CxAspect) (hash & ASPECT_MASK));
			break;
	}
}

/* ---- snapshots ---- */

/* Fills view; false: under this snapshot the cache is not read nor filled. */
bool
cx_deps_view(CxView *view, Snapshot snapshot)
{
	if (snapshot == NULL || snapshot->snapshot_type != SNAPSHOT_MVCC ||
		snapshot->takenDuringRecovery)
		return false;
	cx_view_make(view, snapshot);
	return cx_boot_admits(view->xmin);
}

/*
 * First half of the short cut for quiet times, before anything is looked up:
 * no transaction is in doubt.
 */
bool
cx_deps_quiet(void)
{
	bool		quiet = pg_atomic_read_u32(&deps->in_doubt) == 0 &&
	pg_atomic_read_u32(&deps->prepared) == 0;

	pg_read_barrier();
	return quiet;
}

/*
 * Second half, after the entry was read: every transaction that marked
 * anything is one that the snapshot sees.  Both halves true: admits() would
 * say yes for every dependency.
 */
bool
cx_deps_settled(const CxView *view)
{
	pg_read_barrier();
	return pg_atomic_read_u64(&deps->max_xid) < view->xmin;
}

/* A writer whose completion is bounded by xid and latest is seen for sure. */
static inline bool
surely_seen(const CxView *view, uint64 xid, uint64 latest)
{
	return view->xmin > xid || view->xmax - 1 > latest;
}

static void
remember_locked(Line *line, int place, uint64 xid, uint64 latest, uint32 hash)
{
	line->xid[place] = xid;
	line->latest[place] = Max(latest, 1);
	line->hash[place] = hash;
}

/*
 * A place for a member: a free one, else that of the resolved member with
 * the least latest, which goes to the floor.  -1 when all are in doubt.
 */
static int
make_place_locked(Line *line)
{
	int			victim = -1;

	for (int i = 0; i < MEMBERS; i++)
	{
		if (line->xid[i] == 0)
			return i;
		if (line->latest[i] != 0 &&
			(victim < 0 || line->latest[i] < line->latest[victim]))
			victim = i;
	}
	if (victim >= 0)
	{
		line->floor_xid = Max(line->floor_xid, line->xid[victim]);
		line->floor_latest = Max(line->floor_latest, line->latest[victim]);
		line->xid[victim] = 0;
	}
	return victim;
}

/*
 * A prepared writer that the snapshot sees is over; nobody else tells us.
 * One whose change is late is over only when its locks are released: late is
 * such a one, or 0.
 */
static void
settle_prepared(const CxView *view, CxDep dep, uint64 late)
{
	Line	   *line = line_of(dep.id);

	LWLockAcquire(lock_of(dep.id), LW_EXCLUSIVE);
	for (int i = 0; i < MEMBERS; i++)
	{
		uint64		xid = line->xid[i] & ~CX_XID_FLAGS;

		if (line->latest[i] == 0 && (line->xid[i] & CX_XID_PREPARED) &&
			((line->xid[i] & CX_XID_LATE) == 0 || xid == late) &&
			is_of(line->hash[i], dep) && cx_view_sees(view, xid))
		{
			bump_locked(dep, line->hash[i]);
			remember_locked(line, i, xid, view->xmax - 1, line->hash[i]);
			pg_atomic_fetch_sub_u32(&deps->prepared, 1);
		}
	}
	if (line->over_prepared != 0 && view->xmin > line->over_prepared)
	{
		line->floor_xid = Max(line->floor_xid, line->over_prepared);
		line->floor_latest = Max(line->floor_latest, view->xmax - 1);
		line->over_prepared = 0;
		cx_gens_raise_floor(dep.id);
		pg_atomic_fetch_sub_u32(&deps->prepared, 1);
	}
	LWLockRelease(lock_of(dep.id));
}

typedef enum Verdict
{
	ADMITTED,
	REFUSED,
	PREPARED_SEEN				/* ask again after settle_prepared */
} Verdict;

/* What the bounds of a line say. Its partition is locked. */
static Verdict
judge_bounds_locked(const CxView *view, const Line *line)
{
	if (line->over_late > 0)
		return REFUSED;
	if (line->over_count > 0 && line->over_min < view->xmax &&
		!(line->over_min == line->over_max && !cx_view_sees(view, line->over_min)))
		return REFUSED;
	if (line->over_prepared != 0)
		return view->xmin > line->over_prepared ? PREPARED_SEEN : REFUSED;
	if (line->floor_xid != 0 && !CX_BUG_IS(CX_BUG_NO_FLOOR) &&
		!surely_seen(view, line->floor_xid, line->floor_latest))
		return REFUSED;
	return ADMITTED;
}

/*
 * What the members of a line say.  A writer in doubt that the snapshot does
 * not see is no objection, but for fills, since a pattern has looked at what
 * was there, and when it is late: what it does to files is not MVCC-safe.
 * *late is a prepared one that is seen and must have released its locks.
 */
static Verdict
judge_locked(const CxView *view, const Line *line, CxDep dep, uint64 *late)
{
	for (int i = 0; i < MEMBERS; i++)
	{
		uint64		xid = line->xid[i];

		if (xid == 0 || !is_of(line->hash[i], dep))
			continue;
		if (line->latest[i] != 0)
		{
			if (!cx_view_sees(view, xid) && !CX_BUG_IS(CX_BUG_UNCOMPARED))
				return REFUSED;
		}
		else if (cx_view_sees(view, xid & ~CX_XID_FLAGS))
		{
			/* not over: it may be our own, about to be prepared */
			if ((xid & CX_XID_PREPARED) == 0 ||
				TransactionIdIsCurrentTransactionId((TransactionId) xid))
				return REFUSED;
			if ((xid & CX_XID_LATE) && dep.kind != CX_DEP_RELATION)
				return REFUSED; /* another one's, with the same hash */
			if (xid & CX_XID_LATE)
				*late = xid & ~CX_XID_FLAGS;
			return PREPARED_SEEN;
		}
		else if (xid & CX_XID_LATE)
			return REFUSED;
		if (line->latest[i] == 0 && dep.kind == CX_DEP_FILLS)
			return REFUSED;
	}
	if (dep.kind == CX_DEP_FILLS && line->over_count > 0)
		return REFUSED;
	return judge_bounds_locked(view, line);
}

/*
 * Whether the snapshot sees just those writers of dep that the generations
 * tell of: none of them unseen, none seen but still in doubt.  Only then may
 * an entry be served, or what the snapshot shows be stored.  To be asked
 * after the entry was read and before its generations are compared.
 *
 * For CX_DEP_IDENTITY and CX_DEP_FILLS the caller may hold a partition of the
 * table; for any other kind no LWLock, since a prepared late writer is looked
 * up in the lock manager.
 */
bool
cx_deps_admits(const CxView *view, CxDep dep)
{
	Verdict		verdict;

	for (int tries = 0; tries <= MEMBERS; tries++)
	{
		uint64		late = 0;

		LWLockAcquire(lock_of(dep.id), LW_SHARED);
		verdict = judge_locked(view, line_of(dep.id), dep, &late);
		LWLockRelease(lock_of(dep.id));
		if (verdict != PREPARED_SEEN)
			return verdict == ADMITTED;
		if (late != 0 && !cx_boot_xid_is_over((TransactionId) late))
			return false;
		settle_prepared(view, dep, late);
	}
	return false;
}

/* A plain writer of dep that is seen and not through with its commit, or 0. */
TransactionId
cx_deps_unfinished(const CxView *view, CxDep dep)
{
	Line	   *line = line_of(dep.id);
	TransactionId found = InvalidTransactionId;

	LWLockAcquire(lock_of(dep.id), LW_SHARED);
	for (int i = 0; i < MEMBERS; i++)
	{
		if (line->xid[i] != 0 && line->latest[i] == 0 &&
			is_of(line->hash[i], dep) &&
			(line->xid[i] & CX_XID_FLAGS) == 0 && cx_view_sees(view, line->xid[i]))
			found = (TransactionId) line->xid[i];
	}
	if (line->over_count > 0 && cx_view_sees(view, line->over_min))
		found = (TransactionId) line->over_min;
	LWLockRelease(lock_of(dep.id));
	return found;
}

/* ---- writers ---- */

/*
 * Before a transaction's first mark; it is plain, not being prepared.  The
 * marks between this and cx_deps_end() are looked at by every reader.
 */
void
cx_deps_begin(uint64 xid)
{
	uint64		bare = xid & ~CX_XID_FLAGS;
	uint64		last = pg_atomic_read_u64(&deps->max_xid);

	while (last < bare &&
		   !pg_atomic_compare_exchange_u64(&deps->max_xid, &last, bare))
		;
	if ((xid & CX_XID_PREPARED) == 0)
		pg_atomic_fetch_add_u32(&deps->in_doubt, 1);
	pg_memory_barrier();
}

/* After a transaction's last resolve or unmark. */
void
cx_deps_end(void)
{
	pg_memory_barrier();
	pg_atomic_fetch_sub_u32(&deps->in_doubt, 1);
}

/*
 * Puts xid in doubt for dep: before the transaction can be seen.  A prepared
 * one carries CX_XID_PREPARED and may displace a resolved member only.
 * Returns false when a prepared one with CX_XID_LATE has found no place: then
 * it has no mark, and has to be held (cx_boot_hold).
 */
bool
cx_deps_mark(CxDep dep, uint64 xid)
{
	Line	   *line = line_of(dep.id);
	uint64		bare = xid & ~CX_XID_FLAGS;
	bool		prepared = (xid & CX_XID_PREPARED) != 0;
	bool		refused = false;
	int			place;

	LWLockAcquire(lock_of(dep.id), LW_EXCLUSIVE);
	place = make_place_locked(line);
	if (place >= 0)
	{
		line->xid[place] = xid;
		line->latest[place] = 0;
		line->hash[place] = member_tag(dep);
		if (prepared)
			pg_atomic_fetch_add_u32(&deps->prepared, 1);
	}
	else if (prepared && (xid & CX_XID_LATE))
		refused = true;
	else if (prepared)
	{
		if (line->over_prepared == 0)
			pg_atomic_fetch_add_u32(&deps->prepared, 1);
		line->over_prepared = Max(line->over_prepared, bare);
	}
	else
	{
		line->over_min = line->over_count == 0 ? bare : Min(line->over_min, bare);
		line->over_max = line->over_count == 0 ? bare : Max(line->over_max, bare);
		line->over_count++;
		line->over_late += (xid & CX_XID_LATE) != 0;
	}
	LWLockRelease(lock_of(dep.id));
	if (place < 0)
		pg_atomic_fetch_add_u64(&deps->overflows, 1);
	return !refused;
}

/* The member that is xid's mark for dep, or -1: it overflowed. */
static int
find_mark_locked(const Line *line, CxDep dep, uint64 xid)
{
	for (int i = 0; i < MEMBERS; i++)
	{
		if (line->xid[i] == xid && line->latest[i] == 0 &&
			line->hash[i] == member_tag(dep))
			return i;
	}
	return -1;
}

static bool
others_in_doubt_locked(const Line *line, uint64 xid)
{
	for (int i = 0; i < MEMBERS; i++)
	{
		if (line->xid[i] != 0 && line->latest[i] == 0 && line->xid[i] != xid)
			return true;
	}
	return line->over_count > 0 &&
		(line->over_min != xid || line->over_max != xid);
}

static void
leave_overflow_locked(Line *line, uint64 xid)
{
	Assert(line->over_count > 0);
	line->over_count--;
	line->over_late -= (xid & CX_XID_LATE) != 0;
}

/* Whether a mark of another xid than but stands in the line. Takes no lock. */
bool
cx_deps_in_doubt(uint64 id, uint64 but)
{
	return others_in_doubt_locked(line_of(id), but) ||
		line_of(id)->over_prepared != 0;
}

/*
 * The transaction has committed and can be seen; latest is what
 * cx_view_latest() said after that.  Moves dep's generation and remembers the
 * writer.  Once for each mark; must not be called for prepared ones.
 */
void
cx_deps_resolve(CxDep dep, uint64 xid, uint64 latest)
{
	Line	   *line = line_of(dep.id);
	uint64		bare = xid & ~CX_XID_FLAGS;
	int			place;

	LWLockAcquire(lock_of(dep.id), LW_EXCLUSIVE);
	bump_locked(dep, member_tag(dep));
	/* later than any other who is still to be resolved: see overtaken */
	if (others_in_doubt_locked(line, xid))
		latest++;
	place = find_mark_locked(line, dep, xid);
	if (place >= 0)
		remember_locked(line, place, bare, latest, line->hash[place]);
	else
	{
		leave_overflow_locked(line, xid);
		place = make_place_locked(line);
		if (place >= 0)
			remember_locked(line, place, bare, latest, member_tag(dep));
		else
		{
			line->floor_xid = Max(line->floor_xid, bare);
			line->floor_latest = Max(line->floor_latest, latest);
		}
	}
	LWLockRelease(lock_of(dep.id));
}

/* Whether a writer that may have completed after latest was resolved first. */
bool
cx_deps_overtaken(CxDep dep, uint64 xid, uint64 latest)
{
	Line	   *line = line_of(dep.id);
	bool		overtaken;

	LWLockAcquire(lock_of(dep.id), LW_SHARED);
	overtaken = line->floor_latest > latest;
	for (int i = 0; i < MEMBERS; i++)
	{
		if (line->xid[i] != 0 && line->xid[i] != xid &&
			is_of(line->hash[i], dep) && line->latest[i] > latest)
			overtaken = true;
	}
	LWLockRelease(lock_of(dep.id));
	return overtaken;
}

/* The transaction has aborted. Once for each mark. */
void
cx_deps_unmark(CxDep dep, uint64 xid)
{
	Line	   *line = line_of(dep.id);
	int			place;

	LWLockAcquire(lock_of(dep.id), LW_EXCLUSIVE);
	place = find_mark_locked(line, dep, xid);
	if (place >= 0)
		line->xid[place] = 0;
	else
		leave_overflow_locked(line, xid);
	LWLockRelease(lock_of(dep.id));
}

void
cx_deps_counts(CxDepsCounts *counts)
{
	counts->in_doubt = pg_atomic_read_u32(&deps->in_doubt);
	counts->prepared = pg_atomic_read_u32(&deps->prepared);
	counts->overflows = pg_atomic_read_u64(&deps->overflows);
}
