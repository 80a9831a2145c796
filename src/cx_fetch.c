/*
 * cx_fetch.c
 *	  Looking up, running a loader while its reads are collected, storing.
 *
 * The loader runs under the caller's snapshot and as the caller.  Whatever
 * keeps its result from being stored is counted, never an error; what a user
 * can do about it is said once in a session.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "cx_change.h"
#include "cx_collect.h"
#include "cx_counters.h"
#include "cx_fetch.h"
#include "cx_fingerprint.h"
#include "cx_guc.h"
#include "cx_put.h"
#include "cx_read.h"
#include "cx_refusals.h"
#include "cx_settings.h"
#include "cx_tier.h"
#include "cx_tier_write.h"

/* SQLSTATE of a cache miss where nothing may be loaded */
#define ERRCODE_CACHE_MISS MAKE_SQLSTATE('C', 'X', '0', '0', '1')

#define MAX_WAITS 3				/* for the loads of others, in one call */
#define MAX_EARLY 20			/* an early refresh beyond has no chance */

/* The mode that an argument names; NULL is the normal one. */
CxFetchMode
cx_fetch_mode(FunctionCallInfo fcinfo, int n)
{
	static const char *const names[] = {
		[CX_FETCH_NORMAL] = "normal",
		[CX_FETCH_BYPASS] = "bypass",
		[CX_FETCH_REFRESH] = "refresh",
		[CX_FETCH_CACHED] = "cached",
	};
	text	   *mode;

	if (PG_ARGISNULL(n))
		return CX_FETCH_NORMAL;
	mode = PG_GETARG_TEXT_PP(n);
	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (VARSIZE_ANY_EXHDR(mode) == strlen(names[i]) &&
			memcmp(VARDATA_ANY(mode), names[i], strlen(names[i])) == 0)
			return (CxFetchMode) i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized mode \"%s\"", text_to_cstring(mode)),
			 errhint("Valid modes are normal, bypass, refresh and cached.")));
}

/*
 * The query is a call of the cache's loader, which it has.  many says that it
 * gets an array of keys.
 */
void
cx_fetch_use_function(CxFetch *f, bool many)
{
	const char *loader = f->ask.cache->loader;

	if (f->params != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("params cannot be given for the loader of a cache"),
				 errhint("The loader of a cache gets the key alone; pass a query to use parameters.")));
	f->function = pstrdup(loader);
	if (many)
		f->query = psprintf("SELECT k AS key, %s(k) AS value"
							" FROM pg_catalog.unnest($1) AS k", loader);
	else
	{
		Datum		key = PointerGetDatum(cstring_to_text_with_len(f->ask.ident.key,
																   f->ask.ident.key_len));

		f->query = psprintf("SELECT %s($1) AS value", loader);
		f->params = construct_array(&key, 1, TEXTOID, -1, false, TYPALIGN_INT);
	}
	f->query_len = strlen(f->query);
}

/* To be called once the cache, query and parameters are in place. */
void
cx_fetch_begin(CxFetch *f)
{
	strlcpy(f->cache, f->ask.cache->name, NAMEDATALEN);
	f->cache_uid = f->ask.cache->uid;
	f->exact = f->ask.cache->exact;
	f->is_shared = f->ask.cache->is_shared;
	f->old_gen = 0;
	f->frequency = 0;
	f->alone = false;
	f->staged = false;
	f->claim.held = false;
	f->due = false;
	f->other_settings = false;
	f->gen = 0;
	f->invalid = false;
	f->reads.known = false;
	f->access = NULL;
	f->loader = 0;
	if (f->function)
		f->loader = cx_fingerprint_loader(f->function, strlen(f->function),
										  NULL, f->ask.cache->loader_seed);
	else if (f->query)
		f->loader = cx_fingerprint_loader(f->query, f->query_len,
										  f->params,
										  f->ask.cache->loader_seed);
	f->loader = hash_combine64(f->loader, f->type);
}

/* Whether a hit answers this call. */
static bool
answers(const CxFetch *f, const CxHit *hit)
{
	if (!cx_read_layout_is_current(hit))
		return false;
	if (hit->entry.flags & CX_ENTRY_MANUAL)
		return !f->exact;
	return hit->entry.loader == f->loader;
}

static const CxReads no_reads;	/* of a ttl cache nothing helps */

/* After the loader, which may have used the cache itself: the cache again. */
bool
cx_fetch_find_cache_again(CxFetch *f)
{
	CxCache    *cache = cx_catalog_find(f->cache, strlen(f->cache));

	if (cache == NULL || cache->uid != f->cache_uid)
		return false;
	f->ask.cache = cache;
	return true;
}

/* Looks up; what does not answer this call is a miss. */
static CxStatus
look(CxFetch *f, CxStatus (*how) (CxAsk *, bool, CxHit *), CxHit *hit)
{
	CxStatus	status = how(&f->ask, false, hit);

	f->other_loader = false;
	if (status != CX_MISS)
	{
		f->old_gen = hit->gen;
		f->frequency = cx_hit_frequency(hit);
	}
	if (!cx_cache_is_served(status))
		return CX_MISS;
	if (f->mode != CX_FETCH_REFRESH)
	{
		if (answers(f, hit))
			return status;
		f->other_loader = (hit->entry.flags & (CX_ENTRY_MANUAL | CX_ENTRY_LOADER))
			== CX_ENTRY_LOADER && hit->entry.loader != f->loader;
	}
	cx_store_release(hit);
	return CX_MISS;
}

/*
 * Whether an entry is to be refreshed before it ends (XFetch): the nearer the
 * end and the longer the loader takes, the likelier.
 */
static bool
is_early(const CxFetch *f, const CxHit *hit)
{
	double		beta = f->ask.cache->beta;
	double		gap;
	double		u;

	if (likely(beta <= 0) || hit->expires == CX_NEVER)
		return false;
	gap = (double) (hit->expires - f->ask.now) / (beta * hit->cost_us);
	/* it is drawn only where it could be true */
	if (gap > MAX_EARLY)
		return false;
	u = pg_prng_double(&pg_global_prng_state);
	return u <= 0 || -log(u) >= gap;
}

/* Whether a loader has read settings that a worker would not be given. */
static bool
reads_other_settings(const CxReads *reads)
{
	for (int at = 0; at < reads->settings_len;)
	{
		const char *name = reads->settings + at;

		if (strcmp(name, CX_SETTING_SCHEMA) != 0 && !cx_settings_counts(name))
			return true;
		at += (int) strlen(name) + 1;
	}
	return false;
}

/* Sets f->due for a hit that somebody should refresh. */
static void
note_due(CxFetch *f, CxStatus status, const CxHit *hit)
{
	if (f->mode != CX_FETCH_NORMAL || f->query == NULL ||
		(status != CX_STALE && !is_early(f, hit)))
		return;
	f->due = true;
	f->other_settings = reads_other_settings(&hit->reads);
}

/* Looks whether another one's load has answered this call, and counts it. */
static CxStatus
look_again(CxFetch *f, CxHit *hit)
{
	CxStatus	status = look(f, cx_cache_lookup, hit);

	if (status == CX_MISS)
		return CX_MISS;
	cx_counters_add(f->ask.cache->number, CX_LOADS_DEDUPED, 1);
	note_due(f, status, hit);
	return status;
}

/*
 * Waits for who loads the key, and to_claim for the claim too; false: the
 * caller loads for himself.
 */
static bool
wait_for_load(CxFetch *f, TimestampTz deadline, bool to_claim)
{
	TimestampTz start = GetCurrentTimestamp();
	uint64		id = f->ask.ident.id;
	int			ms = (int) Min((deadline - start) / 1000 + 1, INT_MAX);
	bool		over;

	if (start >= deadline || cx_flight_is_alone(id, f->loader, start) ||
		!cx_flight_may_wait(id, f->loader))
		return false;
	over = to_claim
		? cx_flight_wait_to_claim(&f->claim, id, f->loader, ms)
		: cx_flight_wait(id, ms);
	f->ask.now = GetCurrentTimestamp();
	/* so that the next ones do not wait as long for nothing */
	if (!over && f->ask.now >= deadline)
		cx_flight_leave_alone(id, f->loader, f->ask.now);
	if (!cx_fetch_find_cache_again(f) || !cx_catalog_usable(f->ask.cache))
	{
		cx_flight_release(&f->claim);
		return false;
	}
	cx_counters_add(f->ask.cache->number, CX_WAIT_US,
					(uint64) Max(f->ask.now - start, 0));
	return over;
}

/* With the claim: the last one may have finished just before. */
static CxStatus
look_and_keep_claim(CxFetch *f, CxHit *hit, bool keep)
{
	CxStatus	status = look_again(f, hit);

	if (status != CX_MISS || !keep)
		cx_flight_release(&f->claim);
	return status;
}

/*
 * After a miss: what another session's load has left; hit is filled then.
 * CX_MISS: the caller is to load; he has the claim, or is one of those that
 * do without.
 */
static CxStatus
join(CxFetch *f, CxHit *hit)
{
	uint64		id = f->ask.ident.id;
	CxStatus	status = CX_MISS;
	TimestampTz deadline;
	uint64		claims;

	if (f->mode == CX_FETCH_BYPASS || f->query == NULL || !f->ask.usable ||
		(f->ask.may & CX_MAY_WRITE) == 0 || f->alone || cx_guc_load_timeout == 0 ||
		TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
		(f->exact && !cx_cache_serves_exact()) ||
		cx_flight_is_alone(id, f->loader, f->ask.now))
		return CX_MISS;
	deadline = TimestampTzPlusMilliseconds(f->ask.now, cx_guc_load_timeout);
	claims = cx_flight_claims(id);
	if (cx_flight_claim(&f->claim, id, f->loader))
		return f->mode == CX_FETCH_NORMAL
			? look_and_keep_claim(f, hit, true) : CX_MISS;
	if (f->mode == CX_FETCH_NORMAL && wait_for_load(f, deadline, false))
		status = look_again(f, hit);
	else
		return CX_MISS;
	/* so many loads that were of no use to him: the next ones are not, too */
	if (status == CX_MISS && wait_for_load(f, deadline, true))
		status = look_and_keep_claim(f, hit,
									 cx_flight_claims(id) - claims <= MAX_WAITS);
	return status;
}

/*
 * Looks the key up, and counts; true: the answer is in hit, to be released,
 * and if f->due it is to be refreshed.  Else the key is to be loaded.  May
 * wait for another session that does so.
 * Sets old_gen and frequency of what is in the way; without a cache to read,
 * mode becomes CX_FETCH_BYPASS.
 */
bool
cx_fetch_find(CxFetch *f, CxHit *hit)
{
	CxStatus	status;

	if ((f->ask.may & CX_MAY_READ) == 0)
		cx_refusals_note_denied(&f->ask);
	if (f->mode == CX_FETCH_BYPASS || !cx_read_enabled(&f->ask))
	{
		f->mode = f->mode == CX_FETCH_CACHED ? CX_FETCH_CACHED : CX_FETCH_BYPASS;
		if (f->ask.cache->number >= 0)
			cx_counters_add(f->ask.cache->number, CX_BYPASSES, 1);
		return false;
	}
	/* what is in a ttl cache, or is not, a loader may not depend on */
	if (!f->exact && cx_collect_is_active())
		cx_collect_cached(&no_reads, false);
	status = look(f, cx_read_sampled, hit);
	if (status != CX_MISS || f->mode == CX_FETCH_REFRESH ||
		(status = cx_tier_lookup(&f->ask, f->loader, false, hit)) == CX_MISS)
		cx_read_count(&f->ask, status, hit);
	if (f->other_loader)
		cx_counters_add(f->ask.cache->number, CX_LOADER_CHANGED, 1);
	if (status != CX_MISS)
		note_due(f, status, hit);
	else if (f->mode != CX_FETCH_CACHED)
		status = join(f, hit);
	if (status == CX_MISS)
		return false;
	if (cx_collect_is_active())
		cx_collect_cached(&hit->reads, hit->reads.exact &&
						  status != CX_STALE &&
						  f->mode != CX_FETCH_CACHED &&
						  (hit->entry.flags & CX_ENTRY_MANUAL) == 0);
	return true;
}

/*
 * Has run call the loader, and collects what that reads.  Counts a loader
 * that raises an error, and passes it on.
 */
void
cx_fetch_load(CxFetch *f, CxFetchRun run, void *arg)
{
	int			cache = -1;
	bool		keep = false;
	CxCollector *volatile collector = NULL;

	/* it may have been dropped while this call waited */
	if (cx_fetch_find_cache_again(f))
	{
		cache = f->ask.cache->number;
		keep = f->mode != CX_FETCH_BYPASS && f->ask.usable;
		if (keep && (f->ask.may & CX_MAY_WRITE) == 0)
		{
			cx_refusals_note_denied(&f->ask);
			keep = false;
		}
	}
	f->query = pnstrdup(f->query, f->query_len);
	PG_TRY();
	{
		if (keep)
		{
			f->gen = cx_cache_begin_fill(f->exact);
			collector = cx_collect_begin(f->exact, f->is_shared);
		}
		run(f, arg);
	}
	PG_CATCH();
	{
		if (collector)
			cx_collect_abandon(collector);
		cx_flight_release(&f->claim);
		if (cache >= 0)
			cx_counters_add(cache, CX_LOAD_ERRORS, 1);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (!keep)
		return;
	f->refusal = cx_collect_end(collector, &f->reads);
	f->access = cx_collect_access(collector);
	if (f->refusal != CX_NOT_REFUSED && f->exact)
		cx_refusals_announce(f->cache, f->refusal,
							 cx_collect_culprit(collector));
}

/* What the row says of the entry's life wins. */
static CxLife
life_of(const CxFetch *f, const CxLoaded *loaded)
{
	CxLife		life = f->life;

	if (loaded->has_ttl || loaded->has_expires_at)
	{
		life.has_ttl = loaded->has_ttl && !loaded->has_expires_at;
		life.ttl_us = loaded->ttl_us;
		life.has_expires = loaded->has_expires_at;
		life.expires = loaded->expires_at;
	}
	if (loaded->has_stale)
	{
		life.has_stale = life.stale_by_row = true;
		life.stale_us = loaded->stale_us;
	}
	return life;
}

/* Stores it, unless something is against it. */
static CxFilled
store(CxFetch *f, const CxLoaded *loaded, const CxValue *value)
{
	CxNewEntry	entry;
	CxLife		life = life_of(f, loaded);

	if (f->gen == 0 || loaded->ignore)
		return CX_FILL_IMPOSSIBLE;
	if (f->refusal != CX_NOT_REFUSED)
	{
		if (f->ask.cache->number >= 0)
			cx_counters_add(f->ask.cache->number,
							cx_refusals_counter(f->refusal), 1);
		return CX_FILL_IMPOSSIBLE;
	}
	/* what it ran may have changed the caches */
	f->invalid = !cx_put_is_valid(f->ask.cache, value);
	if (f->invalid || !cx_fetch_find_cache_again(f))
		return CX_FILL_IMPOSSIBLE;
	if (!cx_put_make_entry(&entry, f->ask.cache, value, &life))
	{
		if (f->old_gen != 0)
			cx_cache_discard(&f->ask, f->old_gen);
		cx_tier_discard(&f->ask);
		return CX_FILL_IMPOSSIBLE;
	}
	entry.has_loader = true;
	entry.loader = f->loader;
	entry.cost_us = loaded->cost_us;
	entry.reads = &f->reads;
	entry.access = f->access;
	cx_args_tags(&entry, loaded->tags ? loaded->tags : f->tags);
	if (f->staged)
		return cx_change_stage_loaded(&f->ask, &entry, f->gen, f->frequency);
	return cx_cache_fill(&f->ask, &entry, f->gen, f->frequency);
}

/*
 * Stores what the loader returned, as encoded in value, unless something is
 * against it; then those who wait for it can look.
 */
void
cx_fetch_store(CxFetch *f, const CxLoaded *loaded, const CxValue *value)
{
	CxFilled	filled = store(f, loaded, value);

	if (filled == CX_FILL_IMPOSSIBLE && f->claim.held)
		cx_flight_leave_alone(f->ask.ident.id, f->loader,
							  GetCurrentTimestamp());
	cx_flight_release(&f->claim);
}

void
cx_fetch_count_load(const CxFetch *f, double cost_us)
{
	int			cache = f->ask.cache->number;

	if (cache < 0)
		return;
	cx_counters_add(cache, CX_LOADS, 1);
	cx_counters_add(cache, CX_LOAD_US, (uint64) cost_us);
	cx_counters_time(cache, CX_LOAD_TIMES, cost_us);
}

/* Raises an error where nothing may be loaded, or nothing can be. */
void
cx_fetch_refuse_to_load(const CxFetch *f)
{
	if (f->mode == CX_FETCH_CACHED)
		ereport(ERROR,
				(errcode(ERRCODE_CACHE_MISS),
				 errmsg("cache miss for key \"%.*s\" in cache \"%s\"",
						f->ask.ident.key_len, f->ask.ident.key, f->cache)));
	if (f->query == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("no query to load key \"%.*s\" of cache \"%s\"",
						f->ask.ident.key_len, f->ask.ident.key, f->cache),
				 errhint("Pass a query, or give the cache a loader.")));
}
