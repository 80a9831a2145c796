/*
 * cx_overtake.c
 *	  May what a transaction has staged still take its place when the
 *	  transaction has committed, or has somebody changed what it stands with?
 *
 * Between the moment from which others see the transaction and the callback its
 * process may have had to wait.  Others who have completed meanwhile, and are
 * through, have moved what the write depends on, but the write's generation is
 * to be drawn yet.  They all have
 *
 *	- moved a generation since the transaction's commit began, and
 *	- asked for latestCompletedXid when it was no less than the transaction's
 *	  own xid, as their lines tell.
 *
 * Of those who completed before the transaction most lack one or the other; the
 * rest cannot be told apart, and the write is given up.
 *
 * The transaction's own changes move the same generations, hence writes are
 * judged before they are resolved.  After that there are only the lines, of
 * those who were resolved since: they asked for latestCompletedXid after the
 * transaction did.
 *
 * Of relations, which only some writes depend on, what moves after the moment
 * that the write says is too late, whoever completed first.
 *
 * Whoever asks for generations passes the locks of the lines first: who has
 * drawn a generation before the write's own has then moved it.
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
#include "cx_store.h"

#define MAX_DEPS (4 + CX_MAX_TAGS)

/* Of the transaction */
static uint64 xid = 0;
static uint64 begun_gen = 0;	/* the last generation when its commit began */
static uint64 begun_others = 0; /* cx_gens_others() then */
static uint64 judged_others = 0;	/* ... before its writes are judged */
static uint64 latest = 0;		/* latestCompletedXid then */
static bool moves_own = false;	/* it moves generations itself */

/* Of a write of it */
typedef struct Deps
{
	int			ntags;
	uint64		tag_id[CX_MAX_TAGS];
	CxReads		reads;
} Deps;

/* A transaction is about to commit; before its first mark. */
void
cx_overtake_begin(uint64 of)
{
	xid = of;
	begun_gen = cx_gens_last();
	begun_others = cx_gens_others();
}

/* It has committed and can be seen. */
void
cx_overtake_committed(void)
{
	judged_others = cx_gens_others();
	latest = cx_view_latest();
	moves_own = false;
	for (uint32 i = 0; i < cx_pending_count() && !moves_own; i++)
		moves_own = cx_pending_get(i)->kind != CX_OP_WRITE;
}

static void
read_deps(const CxOp *op, Deps *deps)
{
	deps->ntags = 0;
	deps->reads.known = false;
	if (op->u.write.has_deps && op->u.write.slot != CX_NONE)
		deps->ntags = cx_store_staged(op->id, op->u.write.slot,
									  op->u.write.stage_gen, deps->tag_id,
									  &deps->reads);
}

/* The ids of the dependencies, but for what a loader has read; how many. */
static int
list_ids(const CxOp *op, const Deps *deps, uint64 ids[MAX_DEPS])
{
	int			n = 0;

	ids[n++] = op->u.write.key_id;
	ids[n++] = op->u.write.cache_id;
	if (op->u.write.scope_id != 0)
	{
		ids[n++] = op->u.write.scope_id;
		ids[n++] = op->u.write.scoped_key_id;
	}
	memcpy(ids + n, deps->tag_id, deps->ntags * sizeof(uint64));
	return n + deps->ntags;
}

/*
 * Before the commit: prepared transactions that are over come before what is
 * put, though nobody has found out yet.
 */
void
cx_overtake_settle(const CxOp *op)
{
	uint64		ids[MAX_DEPS];
	Deps		deps;
	int			nids;

	read_deps(op, &deps);
	nids = list_ids(op, &deps, ids);
	for (int i = 0; i < nids; i++)
		cx_deps_settle(ids[i]);
	cx_deps_settle(op->u.write.fills_id);
}

/* Whether the transaction invalidated a dependency of operation n after it. */
bool
cx_overtake_own(uint32 n)
{
	const CxOp *op = cx_pending_get(n);
	uint64		ids[MAX_DEPS];
	Deps		deps;
	int			nids;

	if (cx_pending_last_invalidation() == CX_OP_NONE ||
		cx_pending_last_invalidation() < n)
		return false;
	read_deps(op, &deps);
	nids = list_ids(op, &deps, ids);
	for (int i = 0; i < nids; i++)
	{
		if (cx_pending_later(ids[i], n))
			return true;
	}
	return false;
}

/* Whether a dependency of a write has moved since the moment that it asks for. */
static bool
has_moved(const CxOp *op, const Deps *deps)
{
	uint64		gen = op->u.write.check_gen != 0 ? op->u.write.check_gen
	: begun_gen;

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
	for (int i = 0; i < deps->ntags; i++)
	{
		if (cx_gens_get(CX_GEN_GROUP, deps->tag_id[i]) > gen)
			return true;
	}
	return false;
}

/*
 * Whether somebody else has moved a dependency of a write who asked for
 * latestCompletedXid when it was since or more; passes the locks of the lines.
 */
static bool
lines_tell(const CxOp *op, const Deps *deps, uint64 since)
{
	uint64		ids[MAX_DEPS];
	int			nids = list_ids(op, deps, ids);
	bool		found = false;

	for (int i = 0; i < nids; i++)
	{
		/* of any kind but a relation's: their hashes alone tell them apart */
		CxDep		dep = {ids[i], CX_DEP_KEY, 0};

		if (cx_deps_overtaken(dep, xid, since))
			found = true;
	}
	return found;
}

/* Whether all older entries have been ended: of that no line tells. */
static bool
is_below_floor(const CxOp *op)
{
	return cx_gens_floor(op->u.write.key_id) > begun_gen;
}

/*
 * Whether a pattern that had looked for keys before the write was staged may
 * have completed later: then it is for the write as well.
 */
static bool
may_be_missed(const CxOp *op)
{
	CxDep		fills = {op->u.write.fills_id, CX_DEP_FILLS, 0};

	/* a prepared one clears the cache */
	return cx_deps_plain_in_doubt(fills.id, xid) ||
		(cx_deps_overtaken(fills, xid, xid) &&
		 cx_gens_get(CX_GEN_GROUP, fills.id) > begun_gen);
}

/*
 * Whether somebody has overtaken a write by now; the transaction's own changes
 * are not resolved, or there are none.
 */
static bool
is_overtaken(const CxOp *op, const Deps *deps)
{
	bool		told;

	/* most of the time nobody has; who is about to draws a later generation */
	if (!moves_own && op->u.write.check_gen == 0 &&
		cx_gens_others() == begun_others)
		return false;
	told = lines_tell(op, deps, xid);
	if (is_below_floor(op))
		return true;
	/* from its base on, an atomic change loses to who came before it as well */
	return (told || op->u.write.check_gen != 0) && has_moved(op, deps);
}

/*
 * Whether somebody else is about to change a dependency of a write, or just
 * has: if he completed before this transaction he may not be resolved yet.
 */
static bool
is_in_doubt(const CxOp *op, const Deps *deps)
{
	uint64		ids[MAX_DEPS];
	int			nids = list_ids(op, deps, ids);

	for (int i = 0; i < nids; i++)
	{
		if (cx_deps_in_doubt(ids[i], xid))
			return true;
	}
	return cx_deps_in_doubt(op->u.write.fills_id, xid) ||
		cx_reads_in_doubt(MyDatabaseId, &deps->reads, xid);
}

/*
 * Whether what a loader has returned to this transaction is to be given up,
 * since others may have changed a dependency.  To be asked before the
 * transaction's own changes are resolved.
 */
bool
cx_overtake_loaded(const CxOp *op)
{
	Deps		deps;

	read_deps(op, &deps);
	if (is_in_doubt(op, &deps))
		return true;
	/* who is not in doubt any more has moved what this reads */
	pg_read_barrier();
	return has_moved(op, &deps) ||
		cx_reads_moved_since(&deps.reads, op->u.write.check_gen);
}

/*
 * Whether a write is to be given up, where the transaction has changes of its
 * own.  To be asked before they are resolved.
 */
bool
cx_overtake_before_own(const CxOp *op)
{
	Deps		deps;

	if (!moves_own)
		return false;
	read_deps(op, &deps);
	return is_overtaken(op, &deps);
}

/*
 * The last question, when the write's generation is drawn: whether it is to be
 * given up.  What moves later makes its entry dead.
 */
bool
cx_overtake_publish(const CxOp *op)
{
	Deps		deps;

	/* he may have changed what a loader has read */
	if (op->u.write.loaded && cx_gens_others() != judged_others)
		return true;
	if (op->u.write.beside_pattern && may_be_missed(op))
		return true;
	read_deps(op, &deps);
	if (deps.reads.known &&
		cx_reads_moved_by_now(&deps.reads, op->u.write.reads_gen))
		return true;
	if (!moves_own)
		return is_overtaken(op, &deps);
	return cx_gens_others() != begun_others &&
		(lines_tell(op, &deps, latest) || is_below_floor(op)) &&
		has_moved(op, &deps);
}
