/*
 * cx_lines.c
 *	  A line of writers: places, what it says of a dependency under a snapshot,
 *	  and marks of prepared transactions that are over.
 *
 * A prepared transaction ends in a session that knows nothing of its marks,
 * so readers resolve them when they see that it is over.  Marks of what nobody
 * reads are resolved by a writer who finds no place, and now and then by who
 * reads a lot else.  So a mark says what it stands for; those without a place
 * do not, and who resolves them makes all entries dead that were stored before.
 *
 * Locking: the caller holds the partition of the line, exclusively where it
 * changes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "port/pg_bitutils.h"

#include "cx_bug.h"
#include "cx_lines.h"
#include "cx_gens.h"
#include "cx_registry.h"
#include "cx_rels.h"

#define ASPECT_MASK	((uint32) 3)	/* in the hash of a relation's writer */
#define KIND_BITS	3			/* in what a prepared one's mark stands for */
#define KIND_MASK	(((uint64) 1 << KIND_BITS) - 1)
#define PARTITION_MASK ((uint64) CX_GEN_PARTITIONS - 1)

StaticAssertDecl((CX_GEN_PARTITIONS & (CX_GEN_PARTITIONS - 1)) == 0 &&
				 CX_GEN_PARTITIONS >= 1 << KIND_BITS,
				 "the kind takes the partition's bits");

/*
 * What a member of a line is known by: the part of the hash that neither
 * partition nor line is made of, and of a relation the aspect.
 */
uint32
cx_lines_tag(CxDep dep)
{
	uint32		tag = (uint32) (dep.id >> 32);

	if (dep.kind != CX_DEP_RELATION)
		return tag;
	return (tag & ~ASPECT_MASK) | (uint32) pg_rightmost_one_pos32(dep.aspects);
}

/* Whether a member with this hash is a writer of the dependency. */
bool
cx_lines_is_of(uint32 hash, CxDep dep)
{
	uint32		tag = (uint32) (dep.id >> 32);

	if (dep.kind != CX_DEP_RELATION)
		return hash == tag;
	return ((hash ^ tag) & ~ASPECT_MASK) == 0 &&
		(dep.aspects & (1 << (hash & ASPECT_MASK)));
}

/* A cache that was dropped meanwhile may have got a successor of its name. */
static void
bump_cache(CxDep dep)
{
	CxSharedCache *cache = cx_registry_unpack(dep.cache);

	if (cache)
		cx_gens_raise(&cache->gen, cx_gens_next());
	else
		cx_gens_raise_floor(dep.id);
}

/*
 * Moves a dependency's generation; of a relation, that of the aspect in the
 * member's hash.
 */
void
cx_lines_bump(CxDep dep, uint32 hash)
{
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
			bump_cache(dep);
			break;
		case CX_DEP_IDENTITY:
			break;
		case CX_DEP_RELATION:
			if (!CX_BUG_IS(CX_BUG_NO_BUMP))
				cx_rels_bump(dep.id, (CxAspect) (hash & ASPECT_MASK));
			break;
	}
}

/* ---- places ---- */

/* A resolved writer gets a place; latest with CX_LATEST_RIVAL if it is one. */
void
cx_lines_remember(CxLine *line, int place, uint64 xid, uint64 latest,
				  uint32 hash)
{
	line->xid[place] = xid;
	line->latest[place] = Max(latest, 1);
	line->hash[place] = hash;
}

/* The same for one who loses his place, or finds none. */
void
cx_lines_remember_in_floor(CxLine *line, uint64 xid, uint64 latest)
{
	uint64		bare = latest & ~CX_LATEST_RIVAL;

	line->floor_xid = Max(line->floor_xid, xid);
	line->floor_latest = Max(line->floor_latest, bare);
	if (latest & CX_LATEST_RIVAL)
		line->floor_rival = Max(line->floor_rival, bare);
}

/*
 * A place for a member: a free one, else that of the resolved member with
 * the least latest, which goes to the floor.  -1 when all are in doubt.
 */
int
cx_lines_make_place(CxLine *line)
{
	int			victim = -1;

	for (int i = 0; i < CX_MEMBERS; i++)
	{
		if (line->xid[i] == 0)
			return i;
		if (cx_lines_latest(line, i) != 0 &&
			(victim < 0 ||
			 cx_lines_latest(line, i) < cx_lines_latest(line, victim)))
			victim = i;
	}
	if (victim >= 0)
	{
		cx_lines_remember_in_floor(line, line->xid[victim],
								   line->latest[victim]);
		line->xid[victim] = 0;
	}
	return victim;
}

/* ---- what a snapshot may use ---- */

/* A writer whose completion is bounded by xid and latest is seen for sure. */
static inline bool
surely_seen(const CxView *view, uint64 xid, uint64 latest)
{
	return view->xmin > xid || view->xmax - 1 > latest;
}

/* What the bounds of a line say. */
static CxVerdict
judge_bounds(const CxView *view, const CxLine *line)
{
	if (line->over_late > 0)
		return CX_REFUSED;
	if (line->over_count > 0 && line->over_min < view->xmax &&
		(line->over_mixed || cx_view_sees(view, line->over_min)))
		return CX_REFUSED;
	if (line->over_prepared != 0)
		return view->xmin > line->over_prepared ? CX_PREPARED_SEEN : CX_REFUSED;
	if (line->floor_xid != 0 && !CX_BUG_IS(CX_BUG_NO_FLOOR) &&
		!surely_seen(view, line->floor_xid, line->floor_latest))
		return CX_REFUSED;
	return CX_ADMITTED;
}

/*
 * What the members of a line say.  A writer in doubt that the snapshot does
 * not see is no objection, but for fills, since a pattern has looked at what
 * was there, and when it is late: what it does to files is not MVCC-safe.
 * *late is a prepared one that is seen and must have released its locks.
 */
CxVerdict
cx_lines_judge(const CxLine *line, const CxView *view, CxDep dep, uint64 *late)
{
	for (int i = 0; i < CX_MEMBERS; i++)
	{
		uint64		xid = line->xid[i];

		if (xid == 0 || !cx_lines_is_of(line->hash[i], dep))
			continue;
		if (cx_lines_latest(line, i) != 0)
		{
			if (!cx_view_sees(view, xid) && !CX_BUG_IS(CX_BUG_UNCOMPARED))
				return CX_REFUSED;
		}
		else if (cx_view_sees(view, xid & ~CX_XID_FLAGS))
		{
			/* not over: it may be our own, about to be prepared */
			if ((xid & CX_XID_PREPARED) == 0 ||
				TransactionIdIsCurrentTransactionId((TransactionId) xid))
				return CX_REFUSED;
			if ((xid & CX_XID_LATE) && dep.kind != CX_DEP_RELATION)
				return CX_REFUSED;	/* another one's, with the same hash */
			if (xid & CX_XID_LATE)
				*late = xid & ~CX_XID_FLAGS;
			return CX_PREPARED_SEEN;
		}
		else if (xid & CX_XID_LATE)
			return CX_REFUSED;
		if (cx_lines_latest(line, i) == 0 && dep.kind == CX_DEP_FILLS)
			return CX_REFUSED;
	}
	if (dep.kind == CX_DEP_FILLS && line->over_count > 0)
		return CX_REFUSED;
	return judge_bounds(view, line);
}

/*
 * Whether somebody else than xid who writes dep, or may have, completed when
 * the transaction since had completed, or may have.  Of an identity only
 * rivals count: another xid's writers who were resolved while its mark stood.
 */
bool
cx_lines_overtaken(const CxLine *line, CxDep dep, uint64 xid, uint64 since)
{
	bool		rivals = dep.kind == CX_DEP_IDENTITY;

	for (int i = 0; i < CX_MEMBERS; i++)
	{
		if (line->xid[i] != 0 && line->xid[i] != xid &&
			cx_lines_is_of(line->hash[i], dep) &&
			(!rivals || (line->latest[i] & CX_LATEST_RIVAL)) &&
			cx_lines_latest(line, i) >= since)
			return true;
	}
	return (rivals ? line->floor_rival : line->floor_latest) >= since;
}

/* ---- prepared transactions ---- */

/*
 * What a mark stands for: a cache of the registry, or the id without its
 * partition, which is the line's; and the kind.  The aspect is in the hash.
 */
static uint64
pack_dep(CxDep dep)
{
	if (dep.kind == CX_DEP_CACHE)
		return dep.cache << KIND_BITS | dep.kind;
	return (dep.id & ~PARTITION_MASK) | dep.kind;
}

/* Moves what a prepared one's mark stands for; id is any of the line. */
static void
bump_marked(const CxLine *line, int i, uint64 id)
{
	uint64		packed = line->latest[i];
	CxDep		dep = {id, (CxDepKind) (packed & KIND_MASK)};

	if (dep.kind == CX_DEP_CACHE)
		dep.cache = packed >> KIND_BITS;
	else
		dep.id = (packed & ~PARTITION_MASK) | (id & PARTITION_MASK);
	cx_lines_bump(dep, line->hash[i]);
}

static inline bool
is_prepared(const CxLine *line, int i)
{
	return (line->xid[i] & CX_XID_PREPARED) != 0;
}

/* Puts a writer in doubt into a place. */
void
cx_lines_put(CxLine *line, int place, CxDep dep, uint64 xid)
{
	line->xid[place] = xid;
	line->latest[place] = (xid & CX_XID_PREPARED) ? pack_dep(dep) : 0;
	line->hash[place] = cx_lines_tag(dep);
}

/* The prepared transaction of a mark has ended; id is any of the line. */
static void
settle(CxLine *line, int i, uint64 id, uint64 latest)
{
	bump_marked(line, i, id);
	/* before the mark goes: cx_deps_in_doubt takes no lock */
	pg_write_barrier();
	cx_lines_remember(line, i, line->xid[i] & ~CX_XID_FLAGS, latest,
					  line->hash[i]);
}

/*
 * Resolves the marks without a place, when the snapshot sees all of them; id
 * is any of the line, latest as for cx_lines_settle_over.  Returns how many
 * are resolved, counted as one.
 */
uint32
cx_lines_settle_overflow(CxLine *line, const CxView *view, uint64 id,
						 uint64 latest)
{
	if (line->over_prepared == 0 || view->xmin <= line->over_prepared)
		return 0;
	cx_lines_remember_in_floor(line, line->over_prepared, latest);
	/* before the mark goes: cx_deps_in_doubt takes no lock */
	cx_gens_raise_floor(id);
	pg_write_barrier();
	line->over_prepared = 0;
	return 1;
}

/*
 * A prepared writer that the snapshot sees is over; nobody else tells us.
 * One whose change is late is over only when its locks are released: late is
 * such a one, or 0; latest is as for cx_lines_settle_over.  Returns how many
 * marks are resolved.
 */
uint32
cx_lines_settle_seen(CxLine *line, const CxView *view, CxDep dep, uint64 late,
					 uint64 latest)
{
	uint32		settled = 0;

	for (int i = 0; i < CX_MEMBERS; i++)
	{
		uint64		xid = line->xid[i] & ~CX_XID_FLAGS;

		if (is_prepared(line, i) &&
			((line->xid[i] & CX_XID_LATE) == 0 || xid == late) &&
			cx_lines_is_of(line->hash[i], dep) && cx_view_sees(view, xid))
		{
			settle(line, i, dep.id, latest);
			settled++;
		}
	}
	return settled + cx_lines_settle_overflow(line, view, dep.id, latest);
}

/* The prepared writers that have a place and are in doubt, at most all. */
int
cx_lines_prepared(const CxLine *line, uint64 *xids)
{
	int			n = 0;

	for (int i = 0; i < CX_MEMBERS; i++)
	{
		if (is_prepared(line, i))
			xids[n++] = line->xid[i];
	}
	return n;
}

/*
 * Resolves the marks of prepared transactions, by what cx_lines_prepared has
 * found, that have released their locks and can be seen; latest is at least
 * what cx_view_latest() said after that, id is any of the line.  Returns how
 * many.
 */
uint32
cx_lines_settle_over(CxLine *line, uint64 id, const uint64 *over, int nover,
					 uint64 latest)
{
	uint32		settled = 0;

	for (int i = 0; i < CX_MEMBERS; i++)
	{
		bool		is_over = false;

		for (int j = 0; j < nover && is_prepared(line, i); j++)
			is_over = is_over || line->xid[i] == over[j];
		if (!is_over)
			continue;
		settle(line, i, id, latest);
		settled++;
	}
	return settled;
}
