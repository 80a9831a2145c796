/*
 * cx_lines.c
 *	  What a line of writers holds: places, and marks of prepared transactions
 *	  that are over.
 *
 * A prepared transaction ends in a session that knows nothing of its marks,
 * so readers resolve them when they see that it is over.  What nobody reads,
 * nobody resolves, and so a writer who finds no place does; of a dependency
 * that is not his own he knows half a hash, no more, and makes all entries
 * dead that were stored before.
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
#include "cx_rels.h"

#define ASPECT_MASK	((uint32) 3)	/* in the hash of a relation's writer */

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

/* ---- places ---- */

void
cx_lines_remember(CxLine *line, int place, uint64 xid, uint64 latest,
				  uint32 hash)
{
	line->xid[place] = xid;
	line->latest[place] = Max(latest, 1);
	line->hash[place] = hash;
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

/* ---- prepared transactions ---- */

static inline bool
is_prepared(const CxLine *line, int i)
{
	return line->latest[i] == 0 && (line->xid[i] & CX_XID_PREPARED) != 0;
}

/*
 * A prepared writer that the snapshot sees is over; nobody else tells us.
 * One whose change is late is over only when its locks are released: late is
 * such a one, or 0.  Returns how many marks are resolved.
 */
uint32
cx_lines_settle_seen(CxLine *line, const CxView *view, CxDep dep, uint64 late)
{
	uint32		settled = 0;

	for (int i = 0; i < CX_MEMBERS; i++)
	{
		uint64		xid = line->xid[i] & ~CX_XID_FLAGS;

		if (is_prepared(line, i) &&
			((line->xid[i] & CX_XID_LATE) == 0 || xid == late) &&
			cx_lines_is_of(line->hash[i], dep) && cx_view_sees(view, xid))
		{
			cx_lines_bump(dep, line->hash[i]);
			cx_lines_remember(line, i, xid, view->xmax - 1, line->hash[i]);
			settled++;
		}
	}
	if (line->over_prepared != 0 && view->xmin > line->over_prepared)
	{
		line->floor_xid = Max(line->floor_xid, line->over_prepared);
		line->floor_latest = Max(line->floor_latest, view->xmax - 1);
		line->over_prepared = 0;
		cx_gens_raise_floor(dep.id);
		settled++;
	}
	return settled;
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
 * found, that have released their locks and can be seen; latest is what
 * cx_view_latest() said after that.  dep has the line.  Returns how many.
 */
uint32
cx_lines_settle_over(CxLine *line, CxDep dep, const uint64 *over, int nover,
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
		if (cx_lines_is_of(line->hash[i], dep))
			cx_lines_bump(dep, line->hash[i]);
		else
			cx_gens_raise_floor(dep.id);
		cx_lines_remember(line, i, line->xid[i] & ~CX_XID_FLAGS, latest,
						  line->hash[i]);
		settled++;
	}
	return settled;
}
