/*
 * cx_tier.c
 *	  Serves from the table of stored entries what memory does not have.
 *
 * A row that the caller's snapshot sees and that is not dead for it
 * (cx_tier_table.c says what that means and why it is enough) is as good as
 * what a loader would return: it is stored in memory as a fill, and served
 * whether or not that was possible.
 *
 * A row of a loader is served only to a role that has the privileges of just
 * the roles that it had then, under the settings that the loader read, and
 * while what the transaction itself has written or invalidated does not touch
 * it.  Rows of tables that change leave no records, so what an exact cache's
 * loader has returned is served as stale only, to those who allow it, so long
 * after it was computed as they do.
 *
 * In SERIALIZABLE the tables are not read, since that would be a conflict with
 * those who write them; nor where that would have to wait for a lock.
 *
 * Locking: none of cachex's on entry or return.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "cx_codec.h"
#include "cx_counters.h"
#include "cx_reads.h"
#include "cx_tier.h"
#include "cx_tier_roles.h"
#include "cx_tier_write.h"

/* What is looked for. */
typedef struct Wanted
{
	CxAsk	   *ask;
	uint64		loader;			/* 0 = any */
	bool		stale;			/* within what the caller allows */
	TimestampTz now;
} Wanted;

/* Until when a row may be served stale. */
static TimestampTz
stale_until(const CxAsk *ask, const CxNewEntry *entry)
{
	/* of an exact entry it is not known when it ended */
	TimestampTz end = ask->cache->exact ? entry->created : entry->expires;
	int64		allowed = cx_cache_may_be_stale(ask, entry->stale_ms,
												entry->stale_by_row);
	TimestampTz until;

	end = Min(end, entry->expires);
	if (end == CX_NEVER || pg_add_s64_overflow(end, allowed, &until))
		return CX_NEVER;
	return until;
}

/* Whether a row is what is wanted, its invalidations aside. */
static bool
accept(const CxTierRow *row, void *arg)
{
	const Wanted *w = arg;
	const CxNewEntry *entry = &row->entry;

	if ((w->stale ? stale_until(w->ask, entry) : entry->expires) <= w->now)
		return false;
	if (w->loader != 0 && !entry->manual &&
		!(entry->has_loader && entry->loader == w->loader))
		return false;
	/* a set of rows says itself what it is made of, when it is read */
	if (!entry->isnull && entry->type != JSONBOID &&
		entry->type != RECORDOID &&
		cx_codec_typhash(entry->type) != entry->typhash)
		return false;
	if (!row->reads.known)
		return row->roles == cx_tier_role(row->role);
	return row->roles == cx_tier_roles(row->role) &&
		!cx_reads_own(&row->reads) &&
		(row->reads.settings_len == 0 ||
		 cx_reads_hash_settings(&row->reads) == row->reads.settings_hash);
}

static void
hash_tags(CxNewEntry *entry)
{
	for (int i = 0; i < entry->ntags; i++)
		entry->tag_id[i] = cx_key_of_tag(MyDatabaseId, entry->tag[i],
										 entry->tag_len[i]);
}

/* What the transaction itself has put, as a row. */
static bool
find_own(const Wanted *w, const CxTierNew *own, CxTierRow *row)
{
	/* its reads are asked where it stands in memory, if it still does */
	if (own == NULL || (own->entry.reads && own->entry.reads->known))
		return false;
	memset(row, 0, offsetof(CxTierRow, reads));
	row->role = own->ident.role;
	row->roles = cx_tier_role(row->role);
	row->reads.known = false;
	row->entry = own->entry;
	/* no version that others could name */
	row->version = (UINT64CONST(1) << 62);
	return accept(row, (void *) w);
}

static bool
find_stored(const Wanted *w, CxTierRow *row)
{
	CxAsk	   *ask = w->ask;
	CxTier		tier;
	bool		found;

	if (!cx_tier_open(&tier, AccessShareLock, false))
		return false;
	found = cx_tier_get(&tier, ask->view.snapshot, ask->cache->id,
						ask->cache->stable_dep_seed, &ask->ident, accept, (void *) w,
						row);
	cx_tier_close(&tier);
	if (!found)
		return false;
	hash_tags(&row->entry);
	return !cx_current_own_moved(ask, row->entry.ntags, row->entry.tag_id);
}

/*
 * The newest row of the identity that is right for the caller's snapshot, an
 * exact cache's tables aside; *row and what it points to are in the current
 * memory context.  loader is the fingerprint that a loader's row must have,
 * or 0; stale says that it need not be fresh.  The snapshot of ask is still
 * active.  May raise errors of reading catalogs and tables.
 */
static bool
find(CxAsk *ask, uint64 loader, bool stale, CxTierRow *row)
{
	Wanted		w = {ask, loader, stale};
	const CxTierNew *own;
	bool		is_own;

	if (ask->cache->persist != CX_PERSIST_TABLE || !ask->usable ||
		IsolationIsSerializable())
		return false;
	w.now = GetCurrentTimestamp();
	own = cx_tier_own(ask, &is_own);
	return is_own ? find_own(&w, own, row) : find_stored(&w, row);
}

/* Makes a hit of a row that is not in memory. */
static void
make_hit(const CxAsk *ask, const CxTierRow *row, CxHit *hit)
{
	CxNewEntry *copy = palloc(sizeof(CxNewEntry));
	CxReads    *reads = NULL;
	const CxNewEntry *entry = &row->entry;

	*copy = *entry;
	if (entry->reads)
	{
		reads = palloc(sizeof(CxReads));
		*reads = *entry->reads;
		copy->reads = reads;
	}
	memset(&hit->entry, 0, sizeof(hit->entry));
	hit->entry.role = ask->ident.role;
	hit->entry.flags = (entry->isnull ? CX_ENTRY_NULL : 0) |
		(entry->manual ? CX_ENTRY_MANUAL : 0) |
		(entry->has_loader ? CX_ENTRY_LOADER : 0) |
		(entry->type != JSONBOID ? CX_ENTRY_TYPED : 0) |
		(ask->ident.has_scope ? CX_ENTRY_SCOPE : 0) |
		(entry->ntags > 0 ? CX_ENTRY_TAGS : 0) |
		(entry->metadata ? CX_ENTRY_METADATA : 0);
	hit->entry.type = entry->type;
	hit->entry.typhash = entry->typhash;
	hit->entry.loader = entry->loader;
	hit->entry.created = entry->created;
	hit->entry.has_stale = entry->stale_ms > 0;
	hit->entry.stale_ms = entry->stale_ms;
	hit->entry.stale_by_row = entry->stale_by_row;
	hit->entry.ntags = (uint16) entry->ntags;
	hit->entry.metadata_len = entry->metadata_len;
	hit->entry.value_len = (uint32) entry->value_len;
	hit->gen = row->version;
	hit->expires = hit->ends = hit->stale_until = entry->expires;
	hit->cost_us = entry->cost_us;
	hit->charge = (uint16) (TYPEALIGN(CX_CHUNK_SIZE,
									  cx_entry_size(&ask->ident, entry, false)) /
							CX_CHUNK_SIZE);
	hit->frequency = hit->hits = 0;
	hit->admitted = true;
	hit->pinned = CX_NONE;
	memcpy(hit->tag_id, entry->tag_id, entry->ntags * sizeof(uint64));
	hit->reads.known = false;
	hit->reads.exact = false;
	hit->reads.nread = hit->reads.nabove = hit->reads.settings_len = 0;
	if (reads)
		hit->reads = *reads;
	hit->copy = copy;
}

/* Stores a row in memory, and looks it up there; false: that was not possible. */
static bool
fill_and_find(CxAsk *ask, CxTierRow *row, uint64 gen, uint64 loader,
			  bool whole, CxHit *hit)
{
	CxStatus	status;

	if (ask->cache->exact || TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return false;
	row->entry.from_table = true;
	cx_cache_fill(ask, &row->entry, gen, 0);
	status = cx_cache_lookup(ask, whole, hit);
	if (status != CX_HIT && status != CX_NEGATIVE)
		return false;
	/* somebody else may have filled it by another loader */
	if (loader == 0 || (hit->entry.flags & CX_ENTRY_MANUAL) ||
		hit->entry.loader == loader)
		return true;
	cx_store_release(hit);
	return false;
}

/* For a caller who allows it: CX_STALE, or CX_MISS. */
static CxStatus
serve_stale(CxAsk *ask, uint64 loader, CxTierRow *row, CxHit *hit)
{
	if (ask->stale_us == 0 || !find(ask, loader, true, row))
		return CX_MISS;
	/* a value by hand is no answer to a loader in an exact cache */
	if (ask->cache->exact && loader != 0 && row->entry.manual)
		return CX_MISS;
	make_hit(ask, row, hit);
	hit->stale_until = stale_until(ask, &row->entry);
	cx_counters_add(ask->cache->number, CX_STALE_HITS, 1);
	cx_counters_add(ask->cache->number, CX_SAVED_US, (uint64) hit->cost_us);
	return CX_STALE;
}

/*
 * After a miss in memory: looks into the table.  Returns CX_HIT or CX_NEGATIVE
 * with a hit as cx_cache_lookup does, counted as tier_hits; CX_STALE where the
 * caller allows that, counted as stale_hits; or CX_MISS with
 * hit as it was.  loader is as in find(); fill says whether to store it
 * in memory.
 */
CxStatus
cx_tier_serve(CxAsk *ask, uint64 loader, bool fill, bool whole, CxHit *hit)
{
	CxTierRow  *row;
	uint64		gen;
	bool		isnull;

	if (ask->cache->persist != CX_PERSIST_TABLE || !ask->usable)
		return CX_MISS;
	gen = cx_cache_begin_fill(false);
	row = palloc(sizeof(CxTierRow));
	if (!find(ask, loader, false, row) ||
		(ask->cache->exact &&
		 (!row->entry.manual || loader != 0 ||
		  (row->reads.known && row->reads.exact))))
	{
		CxStatus	status = serve_stale(ask, loader, row, hit);

		pfree(row);
		return status;
	}
	isnull = row->entry.isnull;
	if (!fill || !fill_and_find(ask, row, gen, loader, whole, hit))
		make_hit(ask, row, hit);
	else
		isnull = (hit->entry.flags & CX_ENTRY_NULL) != 0;
	pfree(row);
	cx_counters_add(ask->cache->number, CX_TIER_HITS, 1);
	cx_counters_add(ask->cache->number, CX_SAVED_US, (uint64) hit->cost_us);
	return isnull ? CX_NEGATIVE : CX_HIT;
}
