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

#include "common/hashfn.h"
#include "utils/builtins.h"

#include "cx_collect.h"
#include "cx_counters.h"
#include "cx_fetch.h"
#include "cx_fingerprint.h"
#include "cx_put.h"
#include "cx_read.h"
#include "cx_tier.h"
#include "cx_tier_write.h"

/* SQLSTATE of a cache miss where nothing may be loaded */
#define ERRCODE_CACHE_MISS MAKE_SQLSTATE('C', 'X', '0', '0', '1')

/* What is counted, and said, about what an exact cache does not keep */
static const struct
{
	CxCounter	counter;
	const char *message;		/* %s: the culprit, where there is one */
	const char *hint;
}			refusals[CX_NREFUSALS] =

{
	[CX_NOT_REFUSED] = {CX_NCOUNTERS, NULL, NULL},
	[CX_UNWATCHED] = {CX_REFUSED_UNWATCHED,
		"table \"%s\" is not watched",
	"Its owner can use cachex.watch() on it; or use a cache with consistency \"ttl\"."},
	[CX_VOLATILE] = {CX_REFUSED_VOLATILE,
		"%s is volatile",
	"Declare your own functions STABLE where they are; else use a cache with consistency \"ttl\"."},
	[CX_UNKNOWN_FUNCTION] = {CX_REFUSED_FUNCTION,
		"what %s returns may change unseen",
	"Leave it out of the query, or use a cache with consistency \"ttl\"."},
	[CX_UNKNOWN_RELATION] = {CX_REFUSED_RELATION,
		"\"%s\" is no ordinary table",
	"Foreign and temporary tables and catalogs change unseen: use a cache with consistency \"ttl\"."},
	[CX_UNKNOWN_QUERY] = {CX_REFUSED_QUERY,
		"the query uses %s",
	"Leave it out of the query, or use a cache with consistency \"ttl\"."},
	[CX_TOO_MANY_RELATIONS] = {CX_REFUSED_TABLES,
		"the query reads too many tables",
	"An entry can depend on 128 tables; partitions of one that is read count as one."},
};

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

/* To be called once the cache, query and parameters are in place. */
void
cx_fetch_begin(CxFetch *f)
{
	strlcpy(f->cache, f->ask.cache->name, NAMEDATALEN);
	f->cache_uid = f->ask.cache->uid;
	f->exact = f->ask.cache->exact;
	f->old_gen = 0;
	f->frequency = 0;
	f->gen = 0;
	f->reads.known = false;
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
	if (hit->entry.loader == f->loader)
		return true;
	cx_counters_add(f->ask.cache->number, CX_LOADER_CHANGED, 1);
	return false;
}

static const CxReads no_reads;	/* of a ttl cache nothing helps */

/*
 * Looks the key up, and counts; true: the answer is in hit, to be released.
 * Sets old_gen and frequency of what is in the way; without a cache to read,
 * mode becomes CX_FETCH_BYPASS.
 */
bool
cx_fetch_find(CxFetch *f, CxHit *hit)
{
	CxStatus	status;

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
	status = cx_read_sampled(&f->ask, false, hit);
	if (status != CX_MISS)
	{
		f->old_gen = hit->gen;
		f->frequency = Min(15, hit->frequency + hit->hits);
	}
	if (status == CX_HIT || status == CX_NEGATIVE)
	{
		if (f->mode == CX_FETCH_REFRESH || !answers(f, hit))
		{
			cx_store_release(hit);
			status = CX_MISS;
		}
	}
	if (status == CX_DEAD)
		status = CX_MISS;
	if (status != CX_MISS || f->mode == CX_FETCH_REFRESH ||
		(status = cx_tier_lookup(&f->ask, f->loader, false, hit)) == CX_MISS)
		cx_read_count(&f->ask, status, hit);
	if (status == CX_MISS)
		return false;
	if (cx_collect_is_active())
		cx_collect_cached(&hit->reads, hit->reads.exact &&
						  f->mode != CX_FETCH_CACHED &&
						  (hit->entry.flags & CX_ENTRY_MANUAL) == 0);
	return true;
}

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

/* Says why an exact cache does not keep a result: each reason once. */
static void
announce(const CxFetch *f, const CxCollector *collector)
{
	static bool said[CX_NREFUSALS];
	char	   *culprit = cx_collect_culprit(collector);

	if (said[f->refusal])
		return;
	said[f->refusal] = true;
	ereport(NOTICE,
			(errmsg("result is not kept in cache \"%s\"", f->cache),
			 errdetail_internal(refusals[f->refusal].message,
								culprit ? culprit : "something"),
			 errhint("%s", refusals[f->refusal].hint)));
}

/*
 * Has run call the loader, and collects what that reads.  Counts a loader
 * that raises an error, and passes it on.
 */
void
cx_fetch_load(CxFetch *f, CxFetchRun run, void *arg)
{
	int			cache = f->ask.cache->number;
	bool		keep = f->mode != CX_FETCH_BYPASS && f->ask.usable;
	CxCollector *volatile collector = NULL;

	f->query = pnstrdup(f->query, f->query_len);
	PG_TRY();
	{
		if (keep)
		{
			f->gen = cx_cache_begin_fill(f->exact);
			collector = cx_collect_begin(f->exact);
		}
		run(f, arg);
	}
	PG_CATCH();
	{
		if (collector)
			cx_collect_abandon(collector);
		if (cache >= 0)
			cx_counters_add(cache, CX_LOAD_ERRORS, 1);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (!keep)
		return;
	f->refusal = cx_collect_end(collector, &f->reads);
	if (f->refusal != CX_NOT_REFUSED && f->exact)
		announce(f, collector);
}

/* What a refusal is counted as. */
CxCounter
cx_fetch_counter(CxRefusal refusal)
{
	return refusals[refusal].counter;
}

/*
 * Stores what the loader returned, as encoded in value, unless something is
 * against it.
 */
void
cx_fetch_store(CxFetch *f, const CxLoaded *loaded, const CxValue *value)
{
	CxNewEntry	entry;
	CxLife		life = f->life;

	if (f->gen == 0 || loaded->ignore)
		return;
	if (f->refusal != CX_NOT_REFUSED)
	{
		if (f->ask.cache->number >= 0)
			cx_counters_add(f->ask.cache->number,
							refusals[f->refusal].counter, 1);
		return;
	}
	if (loaded->has_ttl || loaded->has_expires_at)
	{
		life.has_ttl = loaded->has_ttl && !loaded->has_expires_at;
		life.ttl_us = loaded->ttl_us;
		life.has_expires = loaded->has_expires_at;
		life.expires = loaded->expires_at;
	}
	if (!cx_put_make_entry(&entry, f->ask.cache, value, &life))
	{
		if (f->old_gen != 0)
			cx_cache_discard(&f->ask, f->old_gen);
		cx_tier_discard(&f->ask);
		return;
	}
	entry.has_loader = true;
	entry.loader = f->loader;
	entry.cost_us = loaded->cost_us;
	entry.reads = &f->reads;
	cx_args_tags(&entry, loaded->tags ? loaded->tags : f->tags);
	cx_cache_fill(&f->ask, &entry, f->gen, f->frequency);
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
