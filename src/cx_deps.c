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

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "cx_boot.h"
#include "cx_deps.h"
#include "cx_key.h"

#define PARTITIONS	CX_GEN_PARTITIONS
#define SETTLE_AFTER	1000	/* calls of a session that meet with marks of
								 * prepared transactions */
#define SETTLE_EVERY_US	USECS_PER_SEC	/* and no sooner than that */

typedef struct Deps
{
	/* read by every hit, written by writers' commits only */
	pg_atomic_uint32 in_doubt;	/* transactions with marks */
	pg_atomic_uint32 prepared;	/* marks of prepared transactions */
	pg_atomic_uint64 max_xid;	/* greatest xid that ever marked */
	char		pad[PG_CACHE_LINE_SIZE];
	pg_atomic_uint64 overflows;
	pg_atomic_uint64 settled_at;	/* when somebody last looked for prepared
									 * ones that are over */
	uint32		prepared_in[PARTITIONS];	/* under a partition's lock */
	uint32		nlines;			/* a partition */
	CxLine	   *lines;
	LWLockPadded *locks;
} Deps;

static Deps *deps;

/* Lines take 1/64 of the memory within bounds; 2 MB at most. */
static uint32
count_lines(Size budget)
{
	Size		n = budget / 64 / sizeof(CxLine) / PARTITIONS;

	return (uint32) Min(Max(n, 8), 256);
}

/* Bytes of shared memory, out of budget bytes for everything. */
Size
cx_deps_size(Size budget)
{
	Size		size = MAXALIGN(sizeof(Deps)) + PG_CACHE_LINE_SIZE;

	return add_size(size, mul_size((Size) count_lines(budget) * PARTITIONS,
								   sizeof(CxLine)));
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
	pg_atomic_init_u64(&deps->settled_at, 0);
	deps->nlines = count_lines(budget);
	p = (char *) CACHELINEALIGN(p + sizeof(Deps));
	deps->lines = (CxLine *) p;
	deps->locks = GetNamedLWLockTranche("cachex_deps");
}

static inline LWLock *
lock_of(uint64 id)
{
	return &deps->locks[id % PARTITIONS].lock;
}

/* The lock of a line, for assertions. */
#define LOCK_OF_LINE(line) \
	(&deps->locks[((line) - deps->lines) / deps->nlines].lock)

static inline CxLine *
line_of(uint64 id)
{
	return &deps->lines[(id % PARTITIONS) * deps->nlines +
						cx_key_place(id, id / PARTITIONS, deps->nlines)];
}

/* Marks of prepared transactions that have come or gone in a partition. */
static void
count_prepared_locked(uint64 id, int32 n)
{
	Assert(LWLockHeldByMeInMode(lock_of(id), LW_EXCLUSIVE));
	deps->prepared_in[id % PARTITIONS] += n;
	pg_atomic_fetch_add_u32(&deps->prepared, n);
}

/* ---- prepared transactions that are over ---- */

/* The last one that was asked about. */
typedef struct Asked
{
	uint64		xid;
	bool		is_over;
} Asked;

static bool
is_over(Asked *asked, uint64 xid)
{
	if (asked->xid != xid)
	{
		asked->is_over = cx_boot_xid_is_over((TransactionId) xid);
		asked->xid = xid;
	}
	return asked->is_over;
}

/*
 * Resolves what prepared transactions that are over have left in a line; id is
 * any that has it.  Without a view not what found no place.
 */
static void
settle_over(CxLine *line, uint64 id, const CxView *view, Asked *asked)
{
	uint64		xids[CX_MEMBERS];
	uint64		latest;
	uint32		settled;
	int			n;
	int			nover = 0;

	LWLockAcquire(lock_of(id), LW_SHARED);
	n = cx_lines_prepared(line, xids);
	LWLockRelease(lock_of(id));
	for (int i = 0; i < n; i++)
	{
		if (is_over(asked, xids[i]))
			xids[nover++] = xids[i];
	}
	if (nover == 0 && (view == NULL || line->over_prepared == 0 ||
					   view->xmin <= line->over_prepared))
		return;
	LWLockAcquire(lock_of(id), LW_EXCLUSIVE);
	/* in the lock: see cx_overtake */
	latest = cx_view_latest();
	settled = cx_lines_settle_over(line, id, xids, nover, latest);
	if (view)
		settled += cx_lines_settle_overflow(line, view, id, latest);
	count_prepared_locked(id, -(int32) settled);
	LWLockRelease(lock_of(id));
}

static void
settle_all(const CxView *view)
{
	Asked		asked = {0};
	uint64		xids[CX_MEMBERS];

	for (uint32 partition = 0; partition < PARTITIONS; partition++)
	{
		/* what is marked meanwhile is for the next time */
		if (deps->prepared_in[partition] == 0)
			continue;
		CHECK_FOR_INTERRUPTS();
		for (uint32 i = 0; i < deps->nlines; i++)
		{
			CxLine	   *line = &deps->lines[partition * deps->nlines + i];

			if (line->over_prepared != 0 || cx_lines_prepared(line, xids) > 0)
				settle_over(line, partition | cx_key_of_place(i, deps->nlines),
							view, &asked);
		}
	}
}

/*
 * Resolves the marks of prepared transactions that are over in the line of a
 * dependency.
 */
void
cx_deps_settle(uint64 id)
{
	Asked		asked = {0};

	settle_over(line_of(id), id, NULL, &asked);
}

/* Whether marks of prepared transactions stand anywhere. */
bool
cx_deps_any_prepared(void)
{
	return pg_atomic_read_u32(&deps->prepared) > 0;
}

/*
 * Marks of what nobody reads would keep all readers from the short cut for
 * quiet times.  That costs a few of them less than looking for the marks, so it
 * is for who asks often.
 */
static pg_noinline void
settle_now_and_then(const CxView *view)
{
	static int	calls = 0;
	TimestampTz now;
	uint64		last;

	if (++calls < SETTLE_AFTER)
		return;
	calls = 0;
	now = GetCurrentTimestamp();
	last = pg_atomic_read_u64(&deps->settled_at);
	/* the clock may have been set back */
	if ((uint64) now - last >= SETTLE_EVERY_US &&
		pg_atomic_compare_exchange_u64(&deps->settled_at, &last, (uint64) now))
		settle_all(view);
}

/* ---- snapshots ---- */

/*
 * Fills view; false: under this snapshot the cache is not read nor filled.
 * May raise an error, as cx_boot_admits.
 */
bool
cx_deps_view(CxView *view, Snapshot snapshot)
{
	if (snapshot == NULL || snapshot->snapshot_type != SNAPSHOT_MVCC ||
		snapshot->takenDuringRecovery)
		return false;
	cx_view_make(view, snapshot);
	if (!cx_boot_admits(view->xmin))
		return false;
	if (unlikely(pg_atomic_read_u32(&deps->prepared) > 0))
		settle_now_and_then(view);
	return true;
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

/* Prepared writers that the snapshot sees are over: see cx_lines_settle_seen. */
static void
settle_prepared(const CxView *view, CxDep dep, uint64 late)
{
	uint32		settled;

	LWLockAcquire(lock_of(dep.id), LW_EXCLUSIVE);
	settled = cx_lines_settle_seen(line_of(dep.id), view, dep, late,
								   cx_view_latest());
	count_prepared_locked(dep.id, -(int32) settled);
	LWLockRelease(lock_of(dep.id));
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
	CxVerdict	verdict;

	for (int tries = 0; tries <= CX_MEMBERS; tries++)
	{
		uint64		late = 0;

		LWLockAcquire(lock_of(dep.id), LW_SHARED);
		verdict = cx_lines_judge(line_of(dep.id), view, dep, &late);
		LWLockRelease(lock_of(dep.id));
		if (verdict != CX_PREPARED_SEEN)
			return verdict == CX_ADMITTED;
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
	CxLine	   *line = line_of(dep.id);
	TransactionId found = InvalidTransactionId;

	LWLockAcquire(lock_of(dep.id), LW_SHARED);
	for (int i = 0; i < CX_MEMBERS; i++)
	{
		if (line->xid[i] != 0 && cx_lines_latest(line, i) == 0 &&
			cx_lines_is_of(line->hash[i], dep) &&
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
 * A place for a member in dep's line, or -1: all have writers that are in
 * doubt.  Returns with the partition locked.
 */
static int
lock_and_make_place(CxDep dep)
{
	Asked		asked = {0};
	int			place;

	LWLockAcquire(lock_of(dep.id), LW_EXCLUSIVE);
	place = cx_lines_make_place(line_of(dep.id));
	if (place >= 0)
		return place;
	LWLockRelease(lock_of(dep.id));
	settle_over(line_of(dep.id), dep.id, NULL, &asked);
	LWLockAcquire(lock_of(dep.id), LW_EXCLUSIVE);
	return cx_lines_make_place(line_of(dep.id));
}

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
	CxLine	   *line = line_of(dep.id);
	uint64		bare = xid & ~CX_XID_FLAGS;
	bool		prepared = (xid & CX_XID_PREPARED) != 0;
	bool		refused = false;
	int			place = lock_and_make_place(dep);

	if (place >= 0)
	{
		cx_lines_put(line, place, dep, xid);
		if (prepared)
			count_prepared_locked(dep.id, 1);
	}
	else if (prepared && (xid & CX_XID_LATE))
		refused = true;
	else if (prepared)
	{
		if (line->over_prepared == 0)
			count_prepared_locked(dep.id, 1);
		line->over_prepared = Max(line->over_prepared, bare);
	}
	else
	{
		line->over_mixed = line->over_count > 0 &&
			(line->over_mixed || line->over_min != bare);
		line->over_min = line->over_count == 0 ? bare : Min(line->over_min, bare);
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
find_mark_locked(const CxLine *line, CxDep dep, uint64 xid)
{
	Assert(LWLockHeldByMe(LOCK_OF_LINE(line)));
	for (int i = 0; i < CX_MEMBERS; i++)
	{
		if (line->xid[i] == xid && cx_lines_latest(line, i) == 0 &&
			line->hash[i] == cx_lines_tag(dep))
			return i;
	}
	return -1;
}

/* Whether a mark of another xid stands in a line, prepared overflows apart. */
static bool
has_others_in_doubt(const CxLine *line, uint64 xid)
{
	for (int i = 0; i < CX_MEMBERS; i++)
	{
		if (line->xid[i] != 0 && cx_lines_latest(line, i) == 0 &&
			line->xid[i] != xid)
			return true;
	}
	return line->over_count > 0 && (line->over_min != xid || line->over_mixed);
}

static void
leave_overflow_locked(CxLine *line, uint64 xid)
{
	Assert(LWLockHeldByMe(LOCK_OF_LINE(line)));
	Assert(line->over_count > 0);
	line->over_count--;
	line->over_late -= (xid & CX_XID_LATE) != 0;
}

/* Whether a mark of another xid than but stands in the line. Takes no lock. */
bool
cx_deps_in_doubt(uint64 id, uint64 but)
{
	return has_others_in_doubt(line_of(id), but) ||
		line_of(id)->over_prepared != 0;
}

/*
 * The transaction has committed and can be seen.  Moves dep's generation and
 * remembers the writer.  Once for each mark; must not be called for prepared
 * ones.
 */
void
cx_deps_resolve(CxDep dep, uint64 xid)
{
	CxLine	   *line = line_of(dep.id);
	uint64		bare = xid & ~CX_XID_FLAGS;
	uint64		latest;
	int			place;

	LWLockAcquire(lock_of(dep.id), LW_EXCLUSIVE);
	/* in the lock: see cx_overtake */
	latest = cx_view_latest();
	cx_lines_bump(dep, cx_lines_tag(dep));
	/* before the mark goes: cx_deps_in_doubt takes no lock */
	pg_write_barrier();
	if (has_others_in_doubt(line, xid))
		latest |= CX_LATEST_RIVAL;
	place = find_mark_locked(line, dep, xid);
	if (place >= 0)
		cx_lines_remember(line, place, bare, latest, line->hash[place]);
	else
	{
		leave_overflow_locked(line, xid);
		place = cx_lines_make_place(line);
		if (place >= 0)
			cx_lines_remember(line, place, bare, latest, cx_lines_tag(dep));
		else
			cx_lines_remember_in_floor(line, bare, latest);
	}
	LWLockRelease(lock_of(dep.id));
}

/* Waits for who is just moving a dependency. */
void
cx_deps_pass(uint64 id)
{
	LWLockAcquire(lock_of(id), LW_SHARED);
	LWLockRelease(lock_of(id));
}

/*
 * Whether the mark of a plain transaction stands in the line, of another than
 * but.  Takes no lock.
 */
bool
cx_deps_plain_in_doubt(uint64 id, uint64 but)
{
	const CxLine *line = line_of(id);

	for (int i = 0; i < CX_MEMBERS; i++)
	{
		if (line->xid[i] != 0 && line->xid[i] != but && line->latest[i] == 0)
			return true;
	}
	return line->over_count > 0 && (line->over_min != but || line->over_mixed);
}

/*
 * Whether the mark of another one than but stands for dep, or one that has no
 * place.  An own late mark is another's.
 */
bool
cx_deps_is_marked(CxDep dep, uint64 but)
{
	const CxLine *line = line_of(dep.id);
	bool		marked;

	LWLockAcquire(lock_of(dep.id), LW_SHARED);
	marked = line->over_prepared != 0 || line->over_late > 0 ||
		(line->over_count > 0 && (line->over_min != but || line->over_mixed));
	for (int i = 0; i < CX_MEMBERS; i++)
	{
		if (line->xid[i] != 0 && line->xid[i] != but &&
			cx_lines_latest(line, i) == 0 && cx_lines_is_of(line->hash[i], dep))
			marked = true;
	}
	LWLockRelease(lock_of(dep.id));
	return marked;
}

/* See cx_lines_overtaken. */
bool
cx_deps_overtaken(CxDep dep, uint64 xid, uint64 since)
{
	bool		overtaken;

	LWLockAcquire(lock_of(dep.id), LW_SHARED);
	overtaken = cx_lines_overtaken(line_of(dep.id), dep, xid, since);
	LWLockRelease(lock_of(dep.id));
	return overtaken;
}

/* The transaction has aborted. Once for each mark. */
void
cx_deps_unmark(CxDep dep, uint64 xid)
{
	CxLine	   *line = line_of(dep.id);
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
