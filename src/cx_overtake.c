/*
 * cx_overtake.c
 *	  May what a transaction has staged still take its place when the
 *	  transaction has committed, or has somebody changed what it stands with?
 *
 * Called from the callback after the commit, where nothing may fail.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "cx_link.h"
#include "cx_overtake.h"
#include "cx_reads.h"
#include "cx_registry.h"

#define MAX_DEPS (4 + CX_MAX_TAGS)

/* The dependencies of a write, but for what its loader has read. */
static int
list_deps(const CxOp *op, int ntags, const uint64 *tag_id,
		  uint64 ids[MAX_DEPS])
{
	int			n = 0;

	ids[n++] = op->u.write.key_id;
	ids[n++] = op->u.write.cache_id;
	if (op->u.write.scope_id != 0)
	{
		ids[n++] = op->u.write.scope_id;
		ids[n++] = op->u.write.scoped_key_id;
	}
	memcpy(ids + n, tag_id, ntags * sizeof(uint64));
	return n + ntags;
}

/* Whether the transaction invalidated a dependency of a write after it. */
bool
cx_overtake_own(uint32 n, int ntags, const uint64 *tag_id)
{
	uint64		ids[MAX_DEPS];
	int			nids;

	if (cx_pending_last_invalidation() == CX_OP_NONE ||
		cx_pending_last_invalidation() < n)
		return false;
	nids = list_deps(cx_pending_get(n), ntags, tag_id, ids);
	for (int i = 0; i < nids; i++)
	{
		if (cx_pending_later(ids[i], n))
			return true;
	}
	return false;
}

/*
 * Whether somebody who completed after this transaction has moved a dependency
 * of a write already: the write must not come after him.
 */
bool
cx_overtake_before(const CxOp *op, uint64 xid, int ntags,
				   const uint64 *tag_id, uint64 latest)
{
	uint64		ids[MAX_DEPS];
	int			nids;

	/* for an atomic change, cx_overtake_since says more */
	if (op->u.write.base_gen != CX_BASE_ANY)
		return false;
	nids = list_deps(op, ntags, tag_id, ids);
	for (int i = 0; i < nids; i++)
	{
		/* of any kind but a relation's: their hashes alone tell them apart */
		CxDep		dep = {ids[i], CX_DEP_KEY, 0};

		if (cx_deps_overtaken(dep, xid, latest))
			return true;
	}
	return false;
}

/*
 * Whether somebody else is about to change a dependency of a write, or just
 * has: if he completed before this transaction he may not be resolved yet.
 */
bool
cx_overtake_in_doubt(const CxOp *op, uint64 xid, int ntags,
					 const uint64 *tag_id, const CxReads *reads)
{
	uint64		ids[MAX_DEPS];
	int			nids = list_deps(op, ntags, tag_id, ids);

	for (int i = 0; i < nids; i++)
	{
		if (cx_deps_in_doubt(ids[i], xid))
			return true;
	}
	return cx_deps_in_doubt(op->u.write.fills_id, xid) ||
		cx_reads_in_doubt(MyDatabaseId, reads, xid);
}

/*
 * Whether an invalidation overtook an update, or what a loader returned: see
 * CxBase.
 */
bool
cx_overtake_since(const CxOp *op, int ntags, const uint64 *tag_id,
				  const CxReads *reads)
{
	uint64		gen = op->u.write.check_gen;

	if (gen == 0)
		return false;
	if (pg_atomic_read_u64(&cx_registry_get(op->cache)->gen) > gen ||
		cx_gens_floor(op->u.write.key_id) > gen ||
		cx_gens_get(CX_GEN_KEY, op->u.write.key_id) > gen)
		return true;
	/* a pattern finds only keys that are there */
	if ((op->u.write.base_gen == CX_BASE_ABSENT || op->u.write.loaded) &&
		cx_pending_last(op->u.write.fills_id) == CX_OP_NONE &&
		cx_gens_get(CX_GEN_GROUP, op->u.write.fills_id) > gen)
		return true;
	if (op->u.write.scope_id != 0 &&
		(cx_gens_get(CX_GEN_KEY, op->u.write.scoped_key_id) > gen ||
		 cx_gens_get(CX_GEN_GROUP, op->u.write.scope_id) > gen))
		return true;
	for (int i = 0; i < ntags; i++)
	{
		if (cx_gens_get(CX_GEN_GROUP, tag_id[i]) > gen)
			return true;
	}
	return cx_reads_moved_since(reads, gen);
}
