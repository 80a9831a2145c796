/*
 * cx_change.c
 *	  Changes of the current transaction: staged when the call is made, marked
 *	  before the commit.  cx_commit does what comes after it.
 *
 * Whatever can fail happens here: memory is taken, the value is written, the
 * entry is linked where only its transaction finds it.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "cx_cache.h"
#include "cx_change.h"
#include "cx_commit.h"
#include "cx_counters.h"
#include "cx_inval.h"
#include "cx_like.h"
#include "cx_link.h"
#include "cx_make.h"
#include "cx_overtake.h"
#include "cx_scan.h"
#include "cx_sight.h"
#include "cx_tier_write.h"

/* ---- staging ---- */

static CxOp *
add_write(const CxAsk *ask)
{
	CxOp	   *op;

	/* the mark needs an xid, and may raise an error */
	(void) GetTopTransactionId();
	op = cx_pending_add(CX_OP_WRITE, ask->ident.id);
	op->cache = ask->ident.cache;
	op->stable = cx_key_stable_ident(ask->cache->stable_dep_seed, &ask->ident);
	op->u.write.key_id = ask->ident.key_id;
	op->u.write.scope_id = ask->ident.scope_id;
	op->u.write.scoped_key_id = ask->ident.scoped_key_id;
	op->u.write.cache_id = cx_key_of_cache(ask->cache->dep_seed);
	op->u.write.fills_id = cx_key_of_fills(ask->cache->dep_seed);
	op->u.write.slot = CX_NONE;
	op->u.write.base_gen = CX_BASE_ANY;
	cx_commit_mark_if_ending(op);
	return op;
}

/*
 * The operation for a write of this identity: the last one where nothing
 * that could tell them apart lies between, else a new one.
 */
static CxOp *
write_op(const CxAsk *ask)
{
	uint32		last = cx_pending_last(ask->ident.id);

	if (last != CX_OP_NONE && cx_pending_same_level(last) &&
		(cx_pending_last_invalidation() == CX_OP_NONE ||
		 cx_pending_last_invalidation() < last))
	{
		CxOp	   *op = cx_pending_get(last);

		cx_commit_unstage(op);
		cx_tier_forget(op->u.write.kept);
		op->u.write.kept = NULL;
		op->u.write.loaded = false;
		op->u.write.deferred = false;
		op->stored = false;
		return op;
	}
	return add_write(ask);
}

/*
 * Stages an entry in place of what the transaction sees under the identity.
 * Returns false when it could not be stored, which is counted; the identity
 * is then empty from the commit on.  base: see CxBase.
 */
bool
cx_change_stage(CxAsk *ask, CxNewEntry *entry, const CxBase *base)
{
	uint64		gen = cx_gens_next();
	CxOp	   *op = write_op(ask);
	CxLinked	linked;
	uint32		n;

	op->u.write.base_gen = base->gen;
	op->u.write.check_gen = base->check_gen;
	op->u.write.reads_gen = base->reads_gen;
	op->u.write.has_deps = entry->ntags > 0 || entry->reads != NULL;
	n = cx_make_slot(ask->cache, &ask->ident, entry, gen, base->frequency,
					 ask->now);
	if (n == CX_NONE)
		return false;
	linked = cx_link_stage(ask->ident.id, n);
	for (int i = 0; linked == CX_LINK_NO_MEMORY && i < CX_MAKE_TRIES; i++)
	{
		cx_make_space(ask->now);
		linked = cx_link_stage(ask->ident.id, n);
	}
	if (linked != CX_LINKED)
	{
		cx_link_drop_one(n);
		if (linked == CX_LINK_NO_MEMORY)
			cx_counters_add(ask->cache->number, CX_REFUSED_FULL, 1);
		return false;
	}
	op->u.write.slot = n;
	/* patterns that begin now will find it */
	op->u.write.beside_pattern = cx_deps_plain_in_doubt(op->u.write.fills_id, 0);
	op->u.write.in_scope = (cx_slot(n)->flags & CX_SLOT_IN_SCOPE) != 0;
	op->u.write.stage_gen = gen;
	op->u.write.base = base->tier;
	op->u.write.kept = cx_tier_keep(ask, entry);
	cx_tier_late();
	return true;
}

/*
 * Stages what a loader returned that saw the transaction's own rows, unless
 * something forbids it: as cx_cache_fill.  What others have changed at the
 * commit, since gen was drawn, beats it.
 */
CxFilled
cx_change_stage_loaded(CxAsk *ask, CxNewEntry *entry, uint64 gen,
					   uint8 frequency)
{
	CxBase		base = {CX_BASE_ANY, gen, frequency, NULL, gen};
	CxCounter	why;
	CxOp	   *op;

	if (ask->cache->number < 0)
		return CX_FILL_IMPOSSIBLE;
	why = cx_cache_objection(ask, entry, gen, true);
	if (why != CX_NCOUNTERS)
	{
		cx_counters_add(ask->cache->number, why, 1);
		return CX_FILL_REFUSED;
	}
	if (!cx_change_stage(ask, entry, &base))
		return CX_FILL_IMPOSSIBLE;
	op = cx_pending_get(cx_pending_last(ask->ident.id));
	op->u.write.loaded = true;
	/* a row would have to be right for a snapshot that does not see our own */
	cx_tier_forget(op->u.write.kept);
	op->u.write.kept = NULL;
	op->u.write.deferred = ask->cache->persist == CX_PERSIST_TABLE;
	return CX_FILLED;
}

/* Stages that the identity is empty. */
void
cx_change_stage_removal(CxAsk *ask, const CxBase *base)
{
	CxOp	   *op = write_op(ask);

	op->u.write.base_gen = base->gen;
	op->u.write.check_gen = base->check_gen;
	op->u.write.base = base->tier;
	cx_tier_late();
}

/* Something that only the table of stored entries is to know. */
static void
add_stored(const CxCache *cache, uint64 stable)
{
	if (cache->persist != CX_PERSIST_TABLE)
		return;
	(void) GetTopTransactionId();
	cx_pending_add(CX_OP_STORED, 0)->stable = stable;
	cx_tier_late();
}

/* A change that finds no place in memory, where nothing is kept. */
void
cx_change_stage_nowhere(const CxAsk *ask)
{
	add_stored(ask->cache, cx_key_stable_ident(ask->cache->stable_dep_seed, &ask->ident));
}

/*
 * What an atomic change starts from: the entry as it is now, not as the
 * caller's snapshot has it.  The caller holds the key's lock (cx_keylock), has
 * drawn base's check_gen, and then put a fresh snapshot into ask.  Fills the rest
 * of base; returns as cx_cache_lookup.
 */
CxStatus
cx_change_base(CxAsk *ask, CxHit *hit, CxBase *base)
{
	CxTierBase *tier = cx_tier_base(ask);
	uint32		own = cx_pending_last(ask->ident.id);
	CxStatus	status = cx_cache_lookup(ask, true, hit);

	base->frequency = 0;
	base->reads_gen = base->check_gen;
	base->gen = CX_BASE_ABSENT;
	base->tier = tier;
	if (own != CX_OP_NONE)
	{
		CxOp	   *op = cx_pending_get(own);

		base->gen = op->u.write.base_gen;
		base->check_gen = op->u.write.check_gen;
		base->reads_gen = op->u.write.reads_gen;
		base->tier = op->u.write.base;
	}
	else if (status != CX_MISS && hit->admitted)
	{
		/* one that is later than the snapshot is no base and beats the change */
		base->gen = hit->gen;
		base->frequency = cx_hit_frequency(hit);
	}
	if ((status == CX_MISS || status == CX_DEAD) &&
		cx_current_own_moved(ask, status == CX_DEAD ? hit->entry.ntags : 0,
							 hit->tag_id))
	{
		/* after an own invalidation the value starts from nothing older */
		base->gen = CX_BASE_ANY;
		base->check_gen = base->reads_gen = 0;
		base->tier = NULL;
	}
	return status;
}

/* ---- invalidation ---- */

static void
add_invalidation(CxDepKind kind, uint64 id, int cache, uint64 packed,
				 uint64 stable)
{
	uint32		last = cx_pending_last(id);
	CxOp	   *op;

	/* twice in a row says nothing new */
	if (last != CX_OP_NONE && last + 1 == cx_pending_count() &&
		cx_pending_same_level(last))
		return;
	(void) GetTopTransactionId();
	op = cx_pending_add(CX_OP_INVALIDATE, id);
	op->dep_kind = kind;
	op->cache = (uint16) cache;
	op->u.packed_cache = packed;
	op->stable = stable;
	cx_commit_mark_if_ending(op);
	cx_tier_late();
}

/* A key that a pattern finds when the marks are set, which sets its own. */
static void
add_matched(uint64 id, int cache)
{
	CxOp	   *op = cx_pending_add(CX_OP_MATCHED, 0);

	op->cache = (uint16) cache;
	op->u.matched = id;
	cx_commit_mark_if_ending(op);
}

/* The key, in every scope and for every role. */
void
cx_change_invalidate_key(CxCache *cache, const char *key, Size len)
{
	uint64		stable = cx_key_stable_key(cache->stable_dep_seed, key, len);

	if (cx_catalog_usable(cache))
		add_invalidation(CX_DEP_KEY, cx_key_of_key(cache->dep_seed, key, len),
						 cache->number, 0, stable);
	else
		add_stored(cache, stable);
}

/* The key in one scope, for every role. */
void
cx_change_invalidate_scoped(CxAsk *ask)
{
	uint64		stable = cx_key_stable_scoped(ask->cache->stable_dep_seed, &ask->ident);

	if (cx_catalog_usable(ask->cache))
		add_invalidation(CX_DEP_KEY, ask->ident.scoped_key_id,
						 ask->cache->number, 0, stable);
	else
		add_stored(ask->cache, stable);
}

void
cx_change_invalidate_tag(const char *tag, Size len)
{
	add_invalidation(CX_DEP_GROUP, cx_key_of_tag(MyDatabaseId, tag, len),
					 -1, 0, cx_key_stable_tag(tag, len));
}

void
cx_change_clear_scope(CxCache *cache, const char *scope, Size len)
{
	uint64		stable = cx_key_stable_scope(cache->stable_dep_seed, scope, len);

	if (cx_catalog_usable(cache))
		add_invalidation(CX_DEP_GROUP,
						 cx_key_of_scope(cache->dep_seed, scope, len),
						 cache->number, 0, stable);
	else
		add_stored(cache, stable);
}

static void
clear_number(int number, uint64 deps, uint64 stable)
{
	add_invalidation(CX_DEP_CACHE, cx_key_of_cache(deps), number,
					 cx_registry_pack(number), stable);
}

void
cx_change_clear(CxCache *cache)
{
	uint64		stable = cx_key_stable_cache(cache->stable_dep_seed);

	if (cx_catalog_usable(cache))
		clear_number(cache->number, cache->dep_seed, stable);
	else
		add_stored(cache, stable);
}

/*
 * A cache of this name gets a table for its entries, or has one no more:
 * what is in the table is not to come back.
 */
void
cx_change_clear_stored(const char *name)
{
	uint64		stable = cx_key_stable_name(name, strlen(name));

	cx_tier_define();
	(void) GetTopTransactionId();
	cx_pending_add(CX_OP_STORED, 0)->stable = cx_key_stable_cache(stable);
}

/*
 * Invalidates the keys of a cache that match a pattern: now, or (at_commit)
 * those that others have put since.  Returns how many entries of seen_by, if
 * that is given, matched that are alive and the role may see.  Interruptible;
 * looks at one bucket at a time.
 */
static uint64
match_keys(int cache, uint64 deps, const char *pattern, const CxCache *seen_by,
		   bool at_commit)
{
	CxScan	   *scan = cx_scan_begin(cache);
	bool		all = seen_by && cx_sight_every_entry(seen_by);
	CxScanned	entry;
	Size		pattern_len = strlen(pattern);
	TimestampTz now = GetCurrentTimestamp();
	uint64		n = 0;

	while (cx_scan_next(scan, &entry))
	{
		uint64		id;

		if (!cx_like_match(entry.key, entry.entry.key_len, pattern,
						   pattern_len))
			continue;
		id = cx_key_of_key(deps, entry.key, entry.entry.key_len);
		if (seen_by && (all || cx_sight_entry(seen_by, &entry)) &&
			!cx_scan_is_dead(&entry, deps, now))
			n++;
		if (at_commit)
			add_matched(id, cache);
		else
			add_invalidation(CX_DEP_KEY, id, cache, 0, 0);
	}
	cx_scan_end(scan);
	return n;
}

/*
 * Invalidates the keys that match a pattern as of the commit.  Returns how
 * many entries match now that the current role may see: the number must not
 * tell it what keys others have.
 */
uint64
cx_change_invalidate_like(CxCache *cache, const char *pattern)
{
	CxOp	   *op;
	char	   *copy;

	if (!cx_catalog_usable(cache))
	{
		/* which keys there are is not known, so all of them */
		add_stored(cache, cx_key_stable_cache(cache->stable_dep_seed));
		return 0;
	}
	(void) GetTopTransactionId();
	copy = cx_pending_strdup(pattern);
	op = cx_pending_add(CX_OP_LIKE, cx_key_of_fills(cache->dep_seed));
	op->stable = cx_key_stable_like(cache->stable_dep_seed);
	op->cache = (uint16) cache->number;
	op->u.like.deps = cache->dep_seed;
	op->u.like.pattern = copy;
	cx_commit_mark_if_ending(op);
	cx_tier_late();
	return match_keys(op->cache, cache->dep_seed, pattern, cache, false);
}

/*
 * A relation is about to be written by this transaction: its rows, by a
 * statement that names it.
 */
void
cx_change_table_written(Oid rel, char command)
{
	/* nothing that is kept was read from it */
	if (get_rel_persistence(rel) == RELPERSISTENCE_TEMP)
		return;
	cx_inval_table(rel, CX_ROWS, command, false);
	cx_commit_mark_writes_if_ending();
}

/* invalidate_table(): all that was read from a table goes. */
void
cx_change_invalidate_table(Oid rel)
{
	if (get_rel_persistence(rel) == RELPERSISTENCE_TEMP)
		return;
	(void) GetTopTransactionId();
	cx_inval_table(rel, CX_ROWS, CX_COMMAND_CALL, false);
	cx_inval_table(rel, CX_SHAPE, CX_COMMAND_CALL, false);
	cx_commit_mark_writes_if_ending();
}

/*
 * A row of cachex.cache_definition changes with this transaction; keep: it now
 * says that entries outlive a restart.
 */
void
cx_change_row_changed(CxOpKind kind, int64 id, const CxLimits *limits,
					  bool keep)
{
	CxOp	   *op = cx_pending_add(kind, 0);

	/* a loader that fetches may get another loader's value from now on */
	cx_inval_catalogs();
	cx_commit_refuse_if_preparing(op);
	op->u.row.id = id;
	op->u.row.keep = keep;
	if (limits)
	{
		op->u.row.max_entries = limits->entries;
		op->u.row.max_bytes = limits->bytes;
		op->u.row.max_per_scope = limits->per_scope;
	}
}

/* All caches of a database go with this transaction. */
void
cx_change_database_dropped(Oid db)
{
	cx_pending_add(CX_OP_DATABASE_DROPPED, 0)->u.row.id = db;
}

/* ---- before the commit ---- */

/* An operation that later ones with the same id have not overtaken. */
static bool
is_last(uint32 n)
{
	CxOp	   *op = cx_pending_get(n);

	return op->id != 0 && cx_pending_last(op->id) == n;
}

static void
refuse_prepare(void)
{
	for (uint32 n = 0; n < cx_pending_count(); n++)
		cx_commit_refuse_prepare(cx_pending_get(n));
}

/*
 * Puts the transaction in doubt for all that it changes.  May raise an error;
 * cx_commit_after_abort then takes the marks back.
 */
void
cx_change_before_commit(bool prepare)
{
	if (prepare)
		refuse_prepare();
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		cx_inval_gather();
	cx_tier_before_marks();
	cx_commit_begin(prepare);
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		cx_commit_mark_writes();

	/*
	 * A pattern appends the keys that it finds, marked.  A prepared one has
	 * no later moment to look again, so it clears the cache.
	 */
	for (uint32 n = 0; n < cx_pending_count(); n++)
	{
		CxOp	   *op = cx_pending_get(n);

		if (op->marked || !(is_last(n) || op->kind == CX_OP_LIKE))
			continue;
		if (op->kind == CX_OP_WRITE && cx_deps_any_prepared())
			cx_overtake_settle(op);
		cx_commit_mark(op);
		if (op->kind == CX_OP_LIKE && prepare)
			clear_number(op->cache, op->u.like.deps, 0);
		else if (op->kind == CX_OP_LIKE)
			match_keys(op->cache, op->u.like.deps, op->u.like.pattern, NULL,
					   true);
	}
	cx_tier_before_commit(prepare);
}
