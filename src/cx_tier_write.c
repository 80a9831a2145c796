/*
 * cx_tier_write.c
 *	  A transaction's puts and invalidations, written to the tables of stored
 *	  entries before it commits.
 *
 * A put keeps a copy of its entry, since the one in memory may be evicted.
 * Before the commit the last write of each identity becomes a row, if nothing
 * that the transaction invalidated later takes it back, and a record; every
 * invalidation becomes a record.  So savepoints and repeated puts cost
 * nothing in the tables.  Two transactions that put one key wait for each
 * other from here to the end of the commit, in the order of the keys' hashes,
 * so that the later one sees the row of the earlier one; else their rows
 * would make each other dead.  Nobody else waits, and nobody fails because of
 * somebody else.
 *
 * The snapshot that a row is right for is taken here and held until the
 * transaction has completed: see cx_tier_table.c, where the argument is.  An
 * atomic change computes its value from what it has looked at, so its row is
 * right for the snapshot of that look, and dead where something was
 * invalidated in between.
 *
 * What another library does after all this was written is written when it
 * does it, and marked as late: then the transaction's own rows are dead.
 *
 * Locking: none of cachex's on entry or return.  Heavyweight: RowExclusiveLock
 * on the tables, and advisory locks of their own kinds (the fourth field is 6
 * for a key, 7 for all of them).
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "cx_compat.h"
#include "cx_counters.h"
#include "cx_like.h"
#include "cx_reads.h"
#include "cx_tier_queue.h"
#include "cx_tier_roles.h"
#include "cx_tier_write.h"
#include "cx_writes.h"

#define FIELD4_KEY		6
#define FIELD4_ALL		7
#define MAX_LOCKS		32		/* keys; with more, all are locked */
#define CLEAN_AFTER_US	(INT64CONST(60) * USECS_PER_SEC)

static Snapshot held = NULL;	/* on TopTransactionResourceOwner */
static bool written = false;	/* the callback before the commit has run */
static bool recorded = false;	/* records were written */
static bool clean_now = false;	/* rows are to be looked through at once */
static bool defines = false;	/* makes a cache persistent, or not */
static bool defining = false;	/* and the queue has been told */

/* ---- staging ---- */

/* Keeps the active snapshot back until the transaction has ended. */
void
cx_tier_hold(void)
{
	/* an older one does as well */
	if (held == NULL)
		held = RegisterSnapshotOnOwner(GetActiveSnapshot(),
									   TopTransactionResourceOwner);
}

/*
 * What an atomic change that looks under the active snapshot starts from;
 * NULL where the cache has no table.
 */
CxTierBase *
cx_tier_base(const CxAsk *ask)
{
	CxTierBase *base;
	MemoryContext old;

	if (ask->cache->persist != CX_PERSIST_TABLE || !ask->usable)
		return NULL;
	old = MemoryContextSwitchTo(TopTransactionContext);
	base = palloc(sizeof(CxTierBase));
	cx_tier_hold();
	base->roles = cx_tier_roles(ask->ident.role);
	base->seen = cx_tier_snapshot();
	base->xmin = ask->view.xmin;
	MemoryContextSwitchTo(old);
	return base;
}

static void *
copy_bytes(const void *bytes, Size len)
{
	char	   *copy = palloc(len + 1);

	if (len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

/* A copy of an entry that is staged; NULL where the cache has no table. */
CxTierNew *
cx_tier_keep(const CxAsk *ask, const CxNewEntry *entry)
{
	CxTierNew  *new;
	MemoryContext context;
	MemoryContext old;

	if (ask->cache->persist != CX_PERSIST_TABLE)
		return NULL;
	/* in one piece with what it points to, so that it can be given up */
	context = AllocSetContextCreate(TopTransactionContext, "cachex put",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	new = palloc0(sizeof(CxTierNew));
	new->cache = ask->cache->id;
	new->stable = ask->cache->stable_dep_seed;
	new->ident = ask->ident;
	new->ident.key = copy_bytes(ask->ident.key, ask->ident.key_len);
	if (ask->ident.has_scope)
		new->ident.scope = copy_bytes(ask->ident.scope, ask->ident.scope_len);
	new->entry = *entry;
	new->entry.value = copy_bytes(entry->value, entry->value_len);
	if (entry->metadata)
		new->entry.metadata = copy_bytes(entry->metadata, entry->metadata_len);
	for (int i = 0; i < entry->ntags; i++)
	{
		/* behind its length, as readers expect it */
		char	   *tag = palloc(entry->tag_len[i] + 1);

		tag[0] = (char) entry->tag_len[i];
		new->entry.tag[i] = memcpy(tag + 1, entry->tag[i], entry->tag_len[i]);
	}
	if (entry->reads)
		new->entry.reads = copy_bytes(entry->reads, sizeof(CxReads));
	MemoryContextSwitchTo(old);
	return new;
}

void
cx_tier_forget(CxTierNew *kept)
{
	if (kept)
		MemoryContextDelete(GetMemoryChunkContext(kept));
}

/* Whether the transaction has invalidated, after operation n, what it put. */
static bool
is_overtaken(uint32 n, const CxTierNew *new)
{
	const CxOp *op = cx_pending_get(n);
	uint32		like = cx_pending_last(op->u.write.fills_id);

	if (cx_pending_later(op->u.write.key_id, n) ||
		cx_pending_later(op->u.write.cache_id, n))
		return true;
	if (new->ident.has_scope &&
		(cx_pending_later(op->u.write.scope_id, n) ||
		 cx_pending_later(op->u.write.scoped_key_id, n)))
		return true;
	for (int i = 0; i < new->entry.ntags; i++)
	{
		if (cx_pending_later(new->entry.tag_id[i], n))
			return true;
	}
	for (; like != CX_OP_NONE && like > n; like = cx_pending_get(like)->before)
	{
		const char *pattern = cx_pending_get(like)->u.like.pattern;

		if (cx_like_match(new->ident.key, new->ident.key_len, pattern,
						  strlen(pattern)))
			return true;
	}
	return false;
}

/*
 * What the transaction itself has put, which it sees; NULL with *is_own: it
 * has removed it.
 */
const CxTierNew *
cx_tier_own(const CxAsk *ask, bool *is_own)
{
	uint32		n = cx_pending_last(ask->ident.id);
	CxTierNew  *kept;

	*is_own = n != CX_OP_NONE;
	if (!*is_own)
		return NULL;
	kept = cx_pending_get(n)->u.write.kept;
	return kept && !is_overtaken(n, kept) ? kept : NULL;
}

/* A loader says that what it returns is not to be kept: nor is an old value. */
void
cx_tier_discard(const CxAsk *ask)
{
	CxTierItem	item = {MyDatabaseId, ask->ident.cache, 0,
	cx_key_stable_ident(ask->cache->stable_dep_seed, &ask->ident), 0};

	if (ask->usable && ask->cache->persist == CX_PERSIST_TABLE)
		cx_tier_queue_push(&item);
}

/* The transaction makes a cache persistent, or makes it that no more. */
void
cx_tier_define(void)
{
	defines = true;
}

/* ---- before the commit ---- */

static bool
is_wanted_write(const CxWrite *write)
{
	if (write->stored || write->created || write->db != MyDatabaseId)
		return false;
	if (write->rel == CX_CATALOGS)
		return write->aspect == CX_SHAPE_BELOW;
	return write->aspect == CX_SHAPE || write->aspect == CX_SHAPE_BELOW;
}

/* An operation that is to be written, and was not. */
static bool
is_wanted_op(uint32 n)
{
	const CxOp *op = cx_pending_get(n);

	return !op->stored && op->stable != 0 &&
		(op->id == 0 || op->kind == CX_OP_LIKE || cx_pending_last(op->id) == n);
}

static bool
anything_wanted(void)
{
	for (uint32 n = 0; n < cx_pending_count(); n++)
	{
		if (is_wanted_op(n))
			return true;
	}
	for (int i = 0; i < cx_writes_count(); i++)
	{
		if (is_wanted_write(cx_writes_get(i)))
			return true;
	}
	return false;
}

static void
lock(uint64 id, uint16 field4, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (id >> 32), (uint32) id,
						 field4);
	(void) LockAcquire(&tag, mode, false, false);
}

static int
compare_ids(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

/*
 * Waits for others who are committing puts of the same keys.  They wait for
 * nothing but each other, in one order.
 */
void
cx_tier_before_marks(void)
{
	uint64		ids[MAX_LOCKS];
	int			n = 0;

	for (uint32 i = 0; i < cx_pending_count(); i++)
	{
		const CxOp *op = cx_pending_get(i);

		if (op->kind != CX_OP_WRITE || op->u.write.kept == NULL ||
			cx_pending_last(op->id) != i)
			continue;
		if (n == MAX_LOCKS)
		{
			lock(0, FIELD4_ALL, ExclusiveLock);
			return;
		}
		ids[n++] = op->stable;
	}
	if (n == 0)
		return;
	lock(0, FIELD4_ALL, RowExclusiveLock);
	qsort(ids, n, sizeof(uint64), compare_ids);
	for (int i = 0; i < n; i++)
		lock(ids[i], FIELD4_KEY, ExclusiveLock);
}

/* Which caches have a table, by number. */
static bool *
caches_with_table(void)
{
	bool	   *has = palloc0(cx_registry_capacity() * sizeof(bool));
	CxCache   **all;
	int			n;

	all = cx_catalog_all(&n);
	for (int i = 0; i < n; i++)
	{
		if (all[i]->number >= 0 && all[i]->persist == CX_PERSIST_TABLE)
			has[all[i]->number] = true;
	}
	return has;
}

/* What is written, and under which snapshot. */
typedef struct Writing
{
	CxTier		tier;
	Datum		seen;
	uint64		xmin;
	bool		late;
	bool	   *has_table;
} Writing;

/*
 * Whether what a put has found out about relations is known to hold under the
 * snapshot of the row: who may read a table's rows, in most cases.
 */
static bool
may_be_read(const CxOp *op, const CxTierNew *new)
{
	const CxReads *reads = new->entry.reads;

	if (reads == NULL || !reads->known || op->u.write.base != NULL)
		return true;
	if (cx_reads_are_marked(reads, cx_view_full_xid(GetTopTransactionId())))
		return false;
	/* who has no mark any more has moved what this reads */
	return !cx_reads_moved_since(reads, op->u.write.reads_gen);
}

/* The row of a put, unless it was taken back. */
static void
write_row(Writing *w, uint32 n)
{
	CxOp	   *op = cx_pending_get(n);
	CxTierNew  *new = op->u.write.kept;
	CxTierBase *base = op->u.write.base;

	if (new == NULL || is_overtaken(n, new))
		return;
	/* before the question, which finds out whether that has changed since */
	if (base)
		new->roles = base->roles;
	else if (new->entry.reads != NULL && new->entry.reads->known)
		new->roles = cx_tier_roles(new->ident.role);
	else
		new->roles = 0;
	if (!cx_tier_queue_admits(base ? base->xmin : w->xmin) ||
		!may_be_read(op, new))
	{
		op->u.write.deferred = true;
		return;
	}
	cx_tier_hold();
	new->seen = base ? base->seen : w->seen;
	cx_tier_insert(&w->tier, new);
	cx_counters_add(op->cache, CX_TIER_STORED, 1);
}

static void
write_op(Writing *w, uint32 n)
{
	CxOp	   *op = cx_pending_get(n);

	op->stored = true;
	/* a tag belongs to no cache, nor does one that has no number */
	if (!defines && op->cache < cx_registry_capacity() && op->kind != CX_OP_STORED &&
		!w->has_table[op->cache])
		return;
	if (op->kind == CX_OP_WRITE)
		cx_tier_delete_older(&w->tier, GetActiveSnapshot(), op->stable, false);
	cx_tier_record(&w->tier, op->stable,
				   op->kind == CX_OP_LIKE ? op->u.like.pattern : NULL, w->late);
	recorded = true;
	if (op->kind == CX_OP_WRITE)
		write_row(w, n);
}

static void
write_all(Writing *w)
{
	MemoryContext old;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "cachex row",
												  ALLOCSET_DEFAULT_SIZES);

	for (uint32 n = 0; n < cx_pending_count(); n++)
	{
		if (!is_wanted_op(n))
			continue;
		CHECK_FOR_INTERRUPTS();
		old = MemoryContextSwitchTo(context);
		write_op(w, n);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	for (int i = 0; i < cx_writes_count(); i++)
	{
		CxWrite    *write = cx_writes_get(i);

		if (!is_wanted_write(write))
			continue;
		write->stored = true;
		cx_tier_record(&w->tier, cx_key_stable_rel(write->rel), NULL, w->late);
		recorded = true;
	}
	MemoryContextDelete(context);
}

/* Writes what is not yet written.  Raises what writing a table raises. */
static void
write_pending(bool late)
{
	Writing		w;
	CxView		view;

	if (AmAutoVacuumWorkerProcess() || IsBinaryUpgrade ||
		!TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
		!anything_wanted() || !(defines || cx_catalog_any_in_table()) ||
		!cx_tier_open(&w.tier, RowExclusiveLock, true))
		return;
	PushActiveSnapshot(GetLatestSnapshot());
	cx_view_make(&view, GetActiveSnapshot());
	w.xmin = view.xmin;
	w.seen = cx_tier_snapshot();
	w.late = late;
	/* the definitions after the snapshot: see cx_tier_queue_admits */
	if (cx_catalog_any_in_table() || defines)
	{
		w.has_table = caches_with_table();
		write_all(&w);
	}
	PopActiveSnapshot();
	cx_tier_close(&w.tier);
}

static void
release(void)
{
	if (held)
		UnregisterSnapshotFromOwner(held, TopTransactionResourceOwner);
	held = NULL;
}

/* When the marks have been set, or the transaction is being prepared. */
void
cx_tier_before_commit(bool prepare)
{
	written = true;
	if (defines)
	{
		cx_tier_queue_define_begin();
		defining = true;
	}
	write_pending(false);
	/* no row was written that could need it */
	if (prepare)
		release();
}

/* Something was staged: to be written now, if that is over. */
void
cx_tier_late(void)
{
	if (written)
		write_pending(true);
}

/* ---- after it: nothing here can fail ---- */

/* A put is in its place in memory: has it copied if it has no row. */
void
cx_tier_published(const CxOp *op, uint64 gen)
{
	CxTierItem	item = {MyDatabaseId, op->cache, 0, op->id, gen};

	if (op->u.write.deferred)
		cx_tier_queue_push(&item);
}

TimestampTz
cx_tier_next_clean(TimestampTz now)
{
	return now + CLEAN_AFTER_US;
}

/*
 * Has the rows looked through as soon as the transaction has committed: what
 * it has ended itself goes as well.
 */
void
cx_tier_clean_at_commit(void)
{
	clean_now = true;
}

/* The transaction has committed or is prepared, or it has aborted. */
void
cx_tier_after(bool committed)
{
	if (committed)
		release();
	/* else its owner has */
	held = NULL;
	if (committed && (recorded || clean_now))
	{
		TimestampTz now = GetCurrentTransactionStopTimestamp();

		cx_tier_queue_clean(MyDatabaseId,
							clean_now ? now : cx_tier_next_clean(now));
	}
	written = recorded = defines = clean_now = false;
}

/* Its messages are out and its locks released. */
void
cx_tier_after_locks(void)
{
	if (defining)
		cx_tier_queue_define_end();
	defining = false;
}
