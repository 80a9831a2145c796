/*
 * cx_cache.c
 *	  Looking up and filling: what may be served to a snapshot, and what may
 *	  be stored that was read under one.
 *
 * Order of a look-up: the snapshot exists; the entry is copied; every
 * dependency must admit the snapshot; then no generation may be later than
 * the entry's.  Order of a fill: the entry's generation is drawn, before the
 * loader runs; every dependency must admit the snapshot, and none may have a
 * later generation; then it is linked.  src/README.md says why this is exact.
 *
 * Locking: none of cachex's on entry or return.
 */
#include "postgres.h"

#include <time.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "common/int.h"
#include "miscadmin.h"
#include "storage/predicate.h"
#include "utils/inval.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "cx_access.h"
#include "cx_boot.h"
#include "cx_bug.h"
#include "cx_cache.h"
#include "cx_counters.h"
#include "cx_link.h"
#include "cx_make.h"
#include "cx_names.h"
#include "cx_reads.h"
#include "cx_rels.h"
#include "cx_tier_queue.h"

/* Coarse clocks lag by a tick; nearer to its expiry an entry gets a fine one. */
#define COARSE_ERROR_US 20000

/* How often it is noted that an entry is fresh: this much precision. */
#define SEEN_EVERY_MS 250

/* ---- questions ---- */

static TimestampTz
coarse_now(void)
{
#ifdef CLOCK_REALTIME_COARSE
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (ts.tv_sec - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) *
			INT64CONST(86400)) * USECS_PER_SEC + ts.tv_nsec / 1000;
#else
	return GetCurrentTimestamp();
#endif
}

/*
 * Prepares a question about a key under the active snapshot and the role in
 * effect, which it takes to have all privileges on the cache.  key and scope
 * must outlive it; their lengths have been checked.
 */
void
cx_cache_ask(CxAsk *ask, CxCache *cache, const char *key, Size key_len,
			 const char *scope, Size scope_len)
{
	ask->cache = cache;
	ask->may = CX_MAY_ALL;
	ask->background = false;
	ask->now = coarse_now();
	ask->stale_us = 0;
	/* a parallel worker does not know what its leader has written */
	ask->usable = !IsParallelWorker() && cx_catalog_usable(cache) &&
		ActiveSnapshotSet() &&
		cx_deps_view(&ask->view, GetActiveSnapshot());
	cx_key_make(&ask->ident, (uint16) Max(cache->number, 0), cache->uid,
				cache->dep_seed, cache->is_shared ? InvalidOid : GetUserId(),
				key, key_len, scope, scope_len);
}

/* ---- dependencies ---- */

/* Whether all that an entry depends on admits the caller's snapshot. */
static inline bool
is_admitted(const CxAsk *ask, const CxHit *hit)
{
	return cx_current_admits(ask, hit->entry.ntags, hit->tag_id, &hit->reads);
}

/* Whether any of it has moved since a generation was drawn. */
static inline bool
has_moved_since(const CxAsk *ask, uint64 gen, const CxHit *hit)
{
	return cx_current_moved_since(ask, gen, hit->entry.ntags, hit->tag_id,
								  &hit->reads);
}

/* Whether this transaction has invalidated any of it. */
static inline bool
has_own_moved(const CxAsk *ask, const CxHit *hit)
{
	return cx_current_own_moved(ask, hit->entry.ntags, hit->tag_id);
}

/* ---- look-up ---- */

static bool
has_expired(CxAsk *ask, TimestampTz expires)
{
	if (expires == CX_NEVER)
		return false;
	if (expires - ask->now < COARSE_ERROR_US)
		ask->now = GetCurrentTimestamp();
	return expires <= ask->now;
}

/*
 * Serves what has been found alive, if the current role may have it; then
 * status or, for CX_HIT, what that is.
 */
static inline CxStatus
serve(const CxAsk *ask, CxHit *hit, CxStatus status)
{
	if (unlikely(!cx_access_allows(&ask->ident, hit)))
	{
		cx_store_release(hit);
		cx_counters_add(ask->cache->number, CX_NOT_SHARED, 1);
		return CX_DEAD;
	}
	if (status == CX_HIT && (hit->entry.flags & CX_ENTRY_NULL) != 0)
		return CX_NEGATIVE;
	return status;
}

/* Whether others have changed what was loaded when a generation was drawn. */
static bool
others_moved(const CxAsk *ask, uint64 gen, const CxHit *hit)
{
	return !is_admitted(ask, hit) || has_moved_since(ask, gen, hit);
}

/*
 * What the transaction itself has staged under this identity.  Not inline: a
 * hit, which seldom comes here, takes a tenth longer with it.
 */
static pg_noinline CxStatus
lookup_own(CxAsk *ask, uint32 n, bool whole, CxHit *hit)
{
	CxOp	   *op = cx_pending_get(n);

	if (op->u.write.slot == CX_NONE)
		return CX_MISS;
	if (!cx_store_find_staged(&ask->ident, op->u.write.slot,
							  op->u.write.stage_gen, whole, hit))
		return CX_MISS;
	if (has_expired(ask, hit->expires) ||
		cx_reads_own(&hit->reads) ||
		cx_reads_moved_since(&hit->reads, op->u.write.reads_gen) ||
		cx_current_own_moved_after(ask, n, hit->entry.ntags, hit->tag_id) ||
		(op->u.write.loaded && others_moved(ask, op->u.write.check_gen, hit)))
	{
		cx_store_release(hit);
		return CX_MISS;
	}
	return serve(ask, hit, CX_HIT);
}

/*
 * Whether this transaction must run the loader of an exact entry: in
 * SERIALIZABLE reading the cache would leave no trace for others to conflict
 * with.  (A snapshot that is known to be safe needs none.)
 */
static bool
must_execute(void)
{
	return IsolationIsSerializable() && ShareSerializableXact() != NULL;
}

/* Whether this session is served exact entries, whatever they depend on. */
bool
cx_cache_serves_exact(void)
{
	return !must_execute() && !cx_names_hidden();
}

/*
 * Whether what was read may be the same for this transaction, its writers and
 * generations aside.  May lock relations.
 */
static bool
may_serve_reads(const CxAsk *ask, const CxHit *hit)
{
	const CxReads *reads = &hit->reads;

	/* an entry from before the cache became exact */
	if (ask->cache->exact && !reads->exact &&
		(hit->entry.flags & CX_ENTRY_MANUAL) == 0)
		return false;
	if (!reads->known)
		return true;
	if (cx_reads_own(reads) ||
		(reads->settings_len > 0 && !ask->background &&
		 cx_reads_hash_settings(reads) != reads->settings_hash))
		return false;
	if (!reads->exact)
		return true;
	return cx_cache_serves_exact() &&
		(!IsolationUsesXactSnapshot() || cx_reads_lock(reads));
}

/*
 * Notes now and then that an entry that may be served stale is fresh, so that
 * it is known from when on it may not have been.  Unless it is quiet, it is
 * fresh as of the snapshot only: of a prepared transaction that has committed
 * since, the generations may not tell yet.
 */
static inline void
note_fresh(const CxAsk *ask, const CxHit *hit, bool quiet)
{
	TimestampTz when = ask->now;
	int64		ms;

	if (likely(!hit->entry.has_stale))
		return;
	if (!quiet)
	{
		/* the snapshot may have been imported */
		if (IsolationUsesXactSnapshot())
			return;
		when = GetCurrentTransactionStartTimestamp();
	}
	ms = (when - hit->entry.created) / 1000 - COARSE_ERROR_US / 1000;
	if (ms < (int64) hit->entry.seen_ms + SEEN_EVERY_MS || ms > PG_UINT32_MAX)
		return;
	cx_store_note(&ask->ident, hit->gen, cx_entry_set_seen, (uint32) ms);
}

/*
 * How stale the caller may be served an entry that is kept so long past its
 * end, in microseconds.
 */
int64
cx_cache_may_be_stale(const CxAsk *ask, uint32 stale_ms, bool by_row)
{
	int64		kept = (int64) stale_ms * 1000;

	if (ask->stale_us != CX_STALE_AS_DEFINED)
		return Min(ask->stale_us, kept);
	return by_row ? kept : Min(ask->cache->stale_us, kept);
}

static inline int64
allowed_staleness(const CxAsk *ask, const CxEntry *entry)
{
	return cx_cache_may_be_stale(ask, entry->stale_ms, entry->stale_by_row);
}

static TimestampTz
add_time(TimestampTz t, int64 us)
{
	TimestampTz sum;

	return t == CX_NEVER || pg_add_s64_overflow(t, us, &sum) ? CX_NEVER : sum;
}

/*
 * Whether what was found, and is not fresh, may be served all the same.  Only
 * time, keys, tags, scopes and rows of tables can be stale; a cleared cache,
 * other settings, definitions and privileges cannot.  When it has been
 * invalidated, the last time at which it was known to be fresh counts.
 *
 * A snapshot that is kept may be older than what was found, and gets nothing
 * that it does not see.
 */
static bool
may_serve_stale(CxAsk *ask, CxHit *hit, bool fresh_reads)
{
	CxDep		cleared = {cx_key_of_cache(ask->cache->dep_seed), CX_DEP_CACHE};
	int64		allowed = allowed_staleness(ask, &hit->entry);
	TimestampTz end = hit->expires;
	bool		admitted;

	if (allowed <= 0 || !fresh_reads ||
		!cx_deps_admits(&ask->view, cleared) ||
		pg_atomic_read_u64(&ask->cache->shmem->gen) > hit->gen ||
		cx_gens_floor(ask->ident.key_id) > hit->gen ||
		!cx_reads_same_shapes(&ask->view, &hit->reads, hit->gen) ||
		has_own_moved(ask, hit))
		return false;
	admitted = hit->admitted && is_admitted(ask, hit);
	if (!admitted && IsolationUsesXactSnapshot())
		return false;
	if (!admitted || has_moved_since(ask, hit->gen, hit))
		end = Min(end, hit->entry.created +
				  (int64) hit->entry.seen_ms * 1000);
	ask->now = GetCurrentTimestamp();
	hit->stale_until = add_time(end, allowed);
	return ask->now < hit->stale_until;
}

/*
 * Finds what the caller's snapshot and transaction see under the identity.
 * CX_HIT, CX_NEGATIVE and, if ask->stale_us allows it, CX_STALE: hit is
 * filled, to be released with
 * cx_store_release; it holds the value of at most CX_SMALL_VALUE bytes, or the
 * slot, or (whole) the slot in any case.  CX_DEAD: only the plain fields of
 * hit are.  Counts nothing.  For an exact entry it reads catalogs, which may
 * raise an error, and in REPEATABLE READ locks the relations until the end of
 * the transaction; it waits for none.
 */
CxStatus
cx_cache_lookup(CxAsk *ask, bool whole, CxHit *hit)
{
	bool		quiet;
	bool		fresh_reads;

	hit->pinned = CX_NONE;
	if (!ask->usable)
		return CX_MISS;
	if (cx_pending_any)
	{
		uint32		own = cx_pending_last(ask->ident.id);

		if (own != CX_OP_NONE)
			return lookup_own(ask, own, whole, hit);
	}
	quiet = cx_deps_quiet();
	if (!cx_store_find(&ask->ident, whole, quiet ? NULL : &ask->view, hit))
		return CX_MISS;
	if (quiet && !cx_deps_settled(&ask->view))
	{
		/* not as quiet as it seemed */
		quiet = false;
		if (!cx_store_find(&ask->ident, whole, &ask->view, hit))
			return CX_MISS;
	}
	/* with relations locked their writers have to be asked after that */
	if (hit->reads.exact && IsolationUsesXactSnapshot())
		quiet = false;
	fresh_reads = may_serve_reads(ask, hit);
	if (fresh_reads && !has_expired(ask, hit->expires) &&
		(quiet || (hit->admitted && is_admitted(ask, hit))) &&
		!has_moved_since(ask, hit->gen, hit) && !has_own_moved(ask, hit))
	{
		note_fresh(ask, hit, quiet);
		hit->stale_until = likely(!hit->entry.has_stale) ? hit->expires
			: add_time(hit->expires, allowed_staleness(ask, &hit->entry));
		return serve(ask, hit, CX_HIT);
	}
	if (ask->stale_us != 0 && hit->entry.has_stale &&
		may_serve_stale(ask, hit, fresh_reads))
		return serve(ask, hit, CX_STALE);
	cx_store_release(hit);
	return CX_DEAD;
}

/* ---- fill ---- */

/*
 * The generation of an entry that is to be filled: to be drawn before its
 * loader is even planned, so that whatever moves meanwhile makes it dead.
 * For an exact cache it drops the session's cached plans when the database's
 * catalogs, or what temporary names hide, have changed since the last time.
 */
uint64
cx_cache_begin_fill(bool exact)
{
	static uint64 planned = 0;
	static uint64 planned_names = 0;
	uint64		gen = cx_gens_next();
	uint64		catalogs;
	uint64		names;

	/* what moved a generation before has sent its messages before */
	AcceptInvalidationMessages();
	if (!exact)
		return gen;
	/* plans may be valid and yet not what planning would find now */
	catalogs = cx_rels_gen(cx_rels_id(MyDatabaseId, CX_CATALOGS),
						   CX_ASPECT(CX_SHAPE));
	names = cx_names_version();
	if (catalogs != planned || names != planned_names)
		ResetPlanCache();
	planned = catalogs;
	planned_names = names;
	return gen;
}

/*
 * Why a fill must not be stored; CX_NCOUNTERS = nothing against it.  What is
 * staged may be the transaction's own rows.
 */
CxCounter
cx_cache_objection(const CxAsk *ask, const CxNewEntry *entry, uint64 gen,
				   bool staged)
{
	const CxReads *reads = entry->reads;
	bool		exact = reads != NULL && reads->known && reads->exact;

	if (!ask->usable || !cx_catalog_usable(ask->cache) ||
		!cx_boot_admits(ask->view.xmin))
		return CX_REFUSED_SNAPSHOT;
	if (ask->cache->exact && !exact)
		return CX_REFUSED_QUERY;
	if (exact && cx_names_hidden())
		return CX_REFUSED_QUERY;
	/* of what an exact entry has read the own writes are known */
	if (exact ? cx_reads_own(reads)
		: !staged && TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return CX_REFUSED_WRITES;
	if (CX_BUG_IS(CX_BUG_UNCHECKED_FILL))
		return CX_NCOUNTERS;
	if (!cx_current_admits(ask, entry->ntags, entry->tag_id, reads) ||
		cx_current_moved_since(ask, gen, entry->ntags, entry->tag_id, reads))
		return CX_REFUSED_DOUBT;
	return CX_NCOUNTERS;
}

/*
 * Whether an entry counts in its scope, if those of its cache are limited: they
 * may be since this session has read the row.  If they come to be after this,
 * the cache is cleared of it.
 */
static bool
has_place(const CxAsk *ask)
{
	return !ask->ident.has_scope ||
		ask->cache->limits.per_scope != PG_UINT64_MAX ||
		!cx_registry_says(ask->cache->shmem, CX_ROW_SCOPES);
}

/*
 * Stores what a loader returned under ask->view, unless something forbids it,
 * which is counted and returned.  gen is from cx_cache_begin_fill(); frequency is that of
 * a dead entry in its place, or 0.
 */
CxFilled
cx_cache_fill(CxAsk *ask, CxNewEntry *entry, uint64 gen, uint8 frequency)
{
	CxDep		fills = {cx_key_of_fills(ask->cache->dep_seed), CX_DEP_FILLS, 0};
	CxCounter	why;
	CxLinked	linked;
	uint32		n;

	if (ask->cache->number < 0)
		return CX_FILL_IMPOSSIBLE;
	why = cx_cache_objection(ask, entry, gen, false);
	if (why == CX_NCOUNTERS && !has_place(ask))
		why = CX_REFUSED_DOUBT;
	if (why != CX_NCOUNTERS)
	{
		cx_counters_add(ask->cache->number, why, 1);
		return why == CX_REFUSED_QUERY ? CX_FILL_IMPOSSIBLE : CX_FILL_REFUSED;
	}
	n = cx_make_slot(ask->cache, &ask->ident, entry, gen, frequency, ask->now);
	if (n == CX_NONE)
		return CX_FILL_IMPOSSIBLE;
	linked = cx_link_fill(&ask->ident, n, &ask->view, fills);
	for (int i = 0; linked == CX_LINK_NO_MEMORY && i < CX_MAKE_TRIES; i++)
	{
		cx_make_space(ask->now);
		linked = cx_link_fill(&ask->ident, n, &ask->view, fills);
	}
	if (linked != CX_LINKED)
		cx_link_drop_one(n);
	else if (ask->cache->persist == CX_PERSIST_TABLE && !entry->from_table)
	{
		CxTierItem	item = {MyDatabaseId, ask->ident.cache, 0, ask->ident.id, gen};

		cx_tier_queue_push(&item);
	}
	cx_counters_add(ask->cache->number,
					linked == CX_LINKED ? CX_FILLS :
					linked == CX_LINK_REFUSED ? CX_REFUSED_DOUBT :
					CX_REFUSED_FULL, 1);
	return linked == CX_LINKED ? CX_FILLED : CX_FILL_REFUSED;
}

/* Frees the identity's entry at once if it is the one with a generation. */
void
cx_cache_discard(const CxAsk *ask, uint64 gen)
{
	if (ask->usable)
		cx_link_remove_dead(&ask->ident, gen);
}

/*
 * The version of a key that is not there: a put with it is refused when the
 * key, one of its tags or the cache moves after this call.
 */
uint64
cx_cache_absent_version(void)
{
	return cx_gens_last();
}
