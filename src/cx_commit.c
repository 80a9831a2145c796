/*
 * cx_commit.c
 *	  A transaction's marks, and what its end does to the cache.
 *
 * Generations move and flags change, no more: after the commit nothing may
 * fail, so nothing is allocated and nobody is called who could raise an error.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "cx_boot.h"
#include "cx_bug.h"
#include "cx_cache.h"
#include "cx_commit.h"
#include "cx_counters.h"
#include "cx_inval.h"
#include "cx_link.h"
#include "cx_make.h"
#include "cx_overtake.h"
#include "cx_tier_queue.h"
#include "cx_tier_write.h"
#include "cx_visits.h"
#include "cx_wake.h"

static bool begun = false;		/* marks may stand */
static bool ending = false;		/* the callback before the commit has run */
static bool preparing = false;	/* it was the one before PREPARE */
static uint64 my_xid = 0;		/* with CX_XID_PREPARED while preparing */
static bool late_left = false;	/* late writes are still to be resolved */

/* ---- marks ---- */

static CxDep
dep_of(const CxOp *op)
{
	CxDep		dep = {op->id, CX_DEP_IDENTITY, 0};

	if (op->kind == CX_OP_LIKE)
		dep.kind = CX_DEP_FILLS;
	else if (op->kind == CX_OP_MATCHED)
	{
		dep.kind = CX_DEP_KEY;
		dep.id = op->u.matched;
	}
	else if (op->kind == CX_OP_INVALIDATE)
	{
		dep.kind = op->dep_kind;
		if (dep.kind == CX_DEP_CACHE)
			dep.cache = op->u.packed_cache;
	}
	return dep;
}

static CxDep
dep_of_write(const CxWrite *write)
{
	CxDep		dep = {cx_rels_id(write->db, write->rel), CX_DEP_RELATION, 0,
	CX_ASPECT(write->aspect)};

	return dep;
}

static uint64
xid_of_write(const CxWrite *write)
{
	return write->late ? my_xid | CX_XID_LATE : my_xid;
}

/* Before the first mark of a transaction that is about to end. */
void
cx_commit_begin(bool prepare)
{
	ending = true;
	preparing = prepare;
	if ((!cx_pending_any && !cx_writes_any) || !TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;
	my_xid = cx_view_full_xid(GetTopTransactionIdIfAny());
	if (prepare)
		my_xid |= CX_XID_PREPARED;
	cx_overtake_begin(my_xid);
	cx_deps_begin(my_xid);
	begun = true;
}

/* Puts the transaction in doubt for what an operation changes. */
void
cx_commit_mark(CxOp *op)
{
	(void) cx_deps_mark(dep_of(op), my_xid);
	op->marked = true;
}

/*
 * The same for a relation.  Raises an error where a prepared transaction
 * finds neither a place for a late mark nor room among those held.
 */
static void
mark_write(CxWrite *write)
{
	if (CX_BUG_IS(CX_BUG_NO_MARK) || CX_BUG_IS(CX_BUG_MARK_AFTER))
		write->marked = true;
	else if (cx_deps_mark(dep_of_write(write), xid_of_write(write)))
		write->marked = true;
	else if (!cx_boot_hold(my_xid & ~CX_XID_FLAGS))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("too many prepared transactions have changed definitions"),
				 errhint("Commit or roll back some of them.")));
}

/* The writes that have no mark yet, when the others have been given theirs. */
void
cx_commit_mark_writes_if_ending(void)
{
	if (!ending)
		return;
	(void) GetTopTransactionId();
	if (!begun)
		cx_commit_begin(preparing);
	cx_commit_mark_writes();
	cx_tier_late();
}

/*
 * Definitions change when the invalidation messages have been looked at: who
 * knows what they will be, so all may have changed.
 */
void
cx_commit_define_if_ending(void)
{
	if (!ending)
		return;
	cx_inval_everything();
	cx_commit_mark_writes_if_ending();
}

/* All writes but those of what is new: nobody has read that. */
void
cx_commit_mark_writes(void)
{
	for (int i = 0; i < cx_writes_count(); i++)
	{
		CxWrite    *write = cx_writes_get(i);

		if (!write->created && !write->marked)
			mark_write(write);
	}
}

/* Raises an error if an operation cannot wait for COMMIT PREPARED. */
void
cx_commit_refuse_prepare(const CxOp *op)
{
	if (op->kind == CX_OP_WRITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has put values into a cache"),
				 errhint("Invalidate the keys instead: an invalidation takes effect at COMMIT PREPARED.")));
	if (op->kind != CX_OP_INVALIDATE && op->kind != CX_OP_LIKE &&
		op->kind != CX_OP_MATCHED && op->kind != CX_OP_STORED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has created, altered or dropped a cache")));
}

/* The same for one that comes when the marks have been set. */
void
cx_commit_refuse_if_preparing(const CxOp *op)
{
	if (ending && preparing)
		cx_commit_refuse_prepare(op);
}

/*
 * Another library may change the cache before the commit and after our marks
 * were set: then the mark is set at once.
 */
void
cx_commit_mark_if_ending(CxOp *op)
{
	cx_commit_refuse_if_preparing(op);
	if (ending && !begun)
		cx_commit_begin(preparing);
	if (begun)
		cx_commit_mark(op);
}

/* Gives up what an operation has staged. */
void
cx_commit_unstage(CxOp *op)
{
	if (op->kind == CX_OP_WRITE && op->u.write.slot != CX_NONE)
	{
		cx_link_unstage(op->id, op->u.write.slot, op->u.write.stage_gen);
		op->u.write.slot = CX_NONE;
	}
}

/* ---- after the commit: nothing here can fail ---- */

/*
 * Gives up what others may have changed since.  To be called while the
 * transaction's own changes are unresolved.
 */
static void
judge(CxOp *op)
{
	if (!op->marked || op->u.write.slot == CX_NONE)
		return;
	if (op->u.write.loaded)
	{
		if (cx_overtake_loaded(op))
		{
			cx_commit_unstage(op);
			cx_counters_add(op->cache, CX_REFUSED_DOUBT, 1);
		}
		/* asked: from here on it is as what was put */
		op->u.write.check_gen = 0;
	}
	op->u.write.lost = cx_overtake_before_own(op);
}

/*
 * Whether an entry counts in its scope, if those of its cache are limited: they
 * may be since it was staged.
 */
static bool
has_place(const CxOp *op)
{
	return op->u.write.in_scope || op->u.write.scope_id == 0 ||
		!cx_registry_says(cx_registry_get(op->cache), CX_ROW_SCOPES);
}

static void
publish(uint32 n)
{
	CxOp	   *op = cx_pending_get(n);
	CxPublish	p;
	CxPublished result;
	bool		lost;

	/* the generation first: what moves after the tests makes it dead */
	p.gen = cx_gens_next();
	lost = op->u.write.lost || cx_overtake_publish(op);
	p.mark = dep_of(op);
	p.xid = my_xid;
	p.slot = op->u.write.slot;
	p.stage_gen = op->u.write.stage_gen;
	p.base_gen = op->u.write.base_gen;
	p.publish = !lost && has_place(op) && !cx_overtake_own(n);
	result = cx_link_publish(op->id, &p);
	lost = lost || result == CX_PUBLISH_CONFLICT;
	if (lost && op->u.write.base_gen != CX_BASE_ANY)
		cx_counters_add(op->cache, CX_UPDATE_CONFLICTS, 1);
	else if (lost && p.slot != CX_NONE)
		cx_counters_add(op->cache, CX_REFUSED_DOUBT, 1);
	else if (result == CX_PUBLISHED && p.publish && p.slot != CX_NONE)
	{
		cx_counters_add(op->cache, CX_PUTS, 1);
		cx_tier_published(op, p.gen);
	}
}

/* Gives up a cache whose row is gone. */
static void
drop_cache(int64 id)
{
	int			number = cx_registry_find(MyDatabaseId, id);
	uint64		gen = cx_gens_next();

	if (number < 0)
		return;
	cx_registry_drop(number, gen);
	cx_policy_clear(number, gen);
	cx_wake_before(0);
}

static void
finish_clear(const CxOp *op)
{
	CxSharedCache *cache = cx_registry_unpack(op->u.packed_cache);

	/* it was dropped meanwhile */
	if (cache == NULL)
		return;
	cx_policy_clear(op->cache, pg_atomic_read_u64(&cache->gen));
	pg_atomic_write_u32(&cache->reclaim, 1);
	cx_wake_before(0);
	/* the generation has moved before: see cx_warmth */
	if (pg_atomic_exchange_u32(&cache->warmers, 0) != 0)
		cx_visits_due_now(MyDatabaseId);
}

/* What has to do with whole caches, after all entries are in place. */
static void
finish(const CxOp *op)
{
	int			number;

	if (op->kind == CX_OP_INVALIDATE && op->dep_kind == CX_DEP_CACHE &&
		op->marked)
		finish_clear(op);
	else if (op->kind == CX_OP_ROW_DELETED)
		drop_cache(op->u.row.id);
	else if (op->kind == CX_OP_DATABASE_DROPPED)
	{
		cx_registry_drop_database((Oid) op->u.row.id, cx_gens_next());
		cx_tier_queue_forget((Oid) op->u.row.id);
		cx_wake_before(0);
	}
	else if (op->kind == CX_OP_ROW_CHANGED)
	{
		CxLimits	limits = {op->u.row.max_entries, op->u.row.max_bytes,
		op->u.row.max_per_scope};

		number = cx_registry_find(MyDatabaseId, op->u.row.id);
		if (number >= 0)
			cx_make_trim(number, &limits, GetCurrentTimestamp());
	}
}

/*
 * What rows of caches say holds, before the generation of a cache moves that
 * is cleared therefore: who draws a later one knows it.
 */
static void
finish_row(const CxOp *op)
{
	int			number;

	if (op->kind != CX_OP_ROW_ADDED && op->kind != CX_OP_ROW_CHANGED)
		return;
	number = cx_registry_find(MyDatabaseId, op->u.row.id);
	if (number < 0)
		return;
	cx_registry_set_row(number, cx_gens_next(),
						(op->u.row.keep ? CX_ROW_KEEP : 0) |
						(op->u.row.max_per_scope != PG_UINT64_MAX
						 ? CX_ROW_SCOPES : 0));
}

static void
forget(void)
{
	cx_pending_forget();
	cx_writes_forget();
	begun = false;
	ending = false;
	preparing = false;
	late_left = false;
	my_xid = 0;
}

/* Resolves the writes of relations that are late, or those that are not. */
static void
resolve_writes(bool late)
{
	CxNote		note;

	note.at = GetCurrentTransactionStopTimestamp();
	note.xid = my_xid;
	for (int i = 0; i < cx_writes_count(); i++)
	{
		CxWrite    *write = cx_writes_get(i);

		if (!write->marked || write->late != late)
			continue;
		note.rel = write->cause;
		note.command = write->command;
		CX_BUG_PAUSE();
		if (CX_BUG_IS(CX_BUG_NO_MARK))
		{
			cx_rels_bump(dep_of_write(write).id, write->aspect);
			continue;
		}
		if (CX_BUG_IS(CX_BUG_MARK_AFTER))
			(void) cx_deps_mark(dep_of_write(write), xid_of_write(write));
		cx_deps_resolve(dep_of_write(write), xid_of_write(write));
		cx_notes_put(cx_rels_id(write->db, write->rel), &note);
	}
}

static bool
has_late_writes(void)
{
	for (int i = 0; i < cx_writes_count(); i++)
	{
		if (cx_writes_get(i)->late && cx_writes_get(i)->marked)
			return true;
	}
	return false;
}

/*
 * The transaction's invalidation messages are out and its locks released:
 * what it has changed late has changed now.
 */
void
cx_commit_after_locks(void)
{
	if (!late_left)
		return;
	resolve_writes(true);
	cx_deps_end();
	forget();
}

static void
note_group(const CxOp *op)
{
	CxNote		note;

	note.at = GetCurrentTransactionStopTimestamp();
	note.xid = my_xid;
	note.rel = op->cause;
	note.command = op->command;
	cx_notes_put(op->id, &note);
}

/* The transaction has committed and can be seen. */
void
cx_commit_after_commit(void)
{
	uint32		n = cx_pending_count();

	ending = false;
	if (!begun && !cx_pending_any && !cx_writes_any && !cx_writes_ddl)
		return;
	cx_overtake_committed();
	for (uint32 i = 0; i < n; i++)
	{
		CxOp	   *op = cx_pending_get(i);

		if (op->kind == CX_OP_WRITE)
			judge(op);
		else
			finish_row(op);
	}
	resolve_writes(false);
	for (uint32 i = 0; i < n; i++)
	{
		CxOp	   *op = cx_pending_get(i);

		if (!op->marked || op->kind == CX_OP_WRITE)
			continue;
		cx_deps_resolve(dep_of(op), my_xid);
		if (dep_of(op).kind == CX_DEP_KEY)
			cx_counters_add(op->cache, CX_INVALIDATED, 1);
		else if (dep_of(op).kind == CX_DEP_GROUP)
			note_group(op);
	}
	for (uint32 i = 0; i < n; i++)
	{
		CxOp	   *op = cx_pending_get(i);

		if (op->kind != CX_OP_WRITE)
			continue;
		if (op->marked)
			publish(i);
		else
			cx_commit_unstage(op);
	}
	for (uint32 i = 0; i < n; i++)
		finish(cx_pending_get(i));
	if (has_late_writes())
	{
		late_left = true;
		return;
	}
	if (begun)
		cx_deps_end();
	forget();
}

/* The marks stay; readers resolve them. */
void
cx_commit_after_prepare(void)
{
	forget();
}

/* Gives up operations from the end of the log until it has n. Cannot fail. */
void
cx_commit_cut(uint32 n)
{
	for (uint32 i = cx_pending_count(); i > n; i--)
	{
		CxOp	   *op = cx_pending_get(i - 1);

		cx_commit_unstage(op);
		if (op->marked && (my_xid & CX_XID_PREPARED) == 0)
			cx_deps_unmark(dep_of(op), my_xid);
		/* a built-in cache goes on as it was; its row is only its settings */
		if (op->kind == CX_OP_ROW_ADDED && op->u.row.id > 0)
			drop_cache(op->u.row.id);
	}
	cx_pending_truncate(n);
}

void
cx_commit_after_abort(void)
{
	bool		prepared = (my_xid & CX_XID_PREPARED) != 0;

	ending = false;
	if (!cx_pending_any && !begun && !cx_writes_any && !cx_writes_ddl)
		return;
	cx_commit_cut(0);
	for (int i = 0; i < cx_writes_count() && !prepared; i++)
	{
		CxWrite    *write = cx_writes_get(i);

		if (write->marked && !CX_BUG_IS(CX_BUG_NO_MARK) &&
			!CX_BUG_IS(CX_BUG_MARK_AFTER))
			cx_deps_unmark(dep_of_write(write), xid_of_write(write));
	}
	if (begun && !prepared)
		cx_deps_end();
	forget();
}
