/*
 * cx_funcs_observe.c
 *	  What stats, memory, public_memory and entries return, and
 *	  reset_stats; the check of the store that tests call.
 *
 * Locking: none on entry or return; a scan of the entries holds one bucket's
 * partition at a time.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "cx_args.h"
#include "cx_boot.h"
#include "cx_check.h"
#include "cx_counters.h"
#include "cx_like.h"
#include "cx_owner.h"
#include "cx_scan.h"
#include "cx_preload.h"
#include "cx_sight.h"
#include "cx_snapshot.h"

PG_FUNCTION_INFO_V1(cachex_stats);
PG_FUNCTION_INFO_V1(cachex_entries);
PG_FUNCTION_INFO_V1(cachex_reset_stats);
PG_FUNCTION_INFO_V1(cachex_memory);
PG_FUNCTION_INFO_V1(cachex_public_memory);
PG_FUNCTION_INFO_V1(cachex_check_store);

/* ---- stats ---- */

/* The counters of cachex.stats, in the order of its columns. */
static const CxCounter shown[] =
{
	CX_HITS, CX_STALE_HITS, CX_NEGATIVE_HITS, CX_MISSES, CX_BYPASSES,
	CX_LOADS, CX_LOAD_ERRORS, CX_LOADS_DEDUPED, CX_REFRESHES, CX_FILLS, CX_PUTS, CX_EXPIRED, CX_EVICTED,
	CX_EVICTED_UNREAD, CX_INVALIDATED, CX_CLEARED, CX_REPLACED, CX_TOO_LARGE,
	CX_UPDATE_CONFLICTS, CX_LOADER_CHANGED, CX_DENIED, CX_NOT_SHARED,
	CX_REFUSED_FULL, CX_REFUSED_LIMIT,
	CX_REFUSED_DOUBT, CX_REFUSED_WRITES, CX_REFUSED_SNAPSHOT,
	CX_REFUSED_INVALID,
	CX_REFUSED_UNWATCHED, CX_REFUSED_VOLATILE, CX_REFUSED_FUNCTION,
	CX_REFUSED_RELATION, CX_REFUSED_QUERY, CX_REFUSED_TABLES,
	CX_TIER_HITS, CX_TIER_STORED, CX_TIER_DROPPED,
};

#define STATS_FIRST		6		/* columns before the counters */
#define STATS_COUNTERS	((int) lengthof(shown))
#define STATS_LAST		11		/* columns after them */
#define STATS_NCOLS		(STATS_FIRST + STATS_COUNTERS + STATS_LAST)

static void
set_percentile(Datum *v, bool *null, int cache, CxHistogram histogram,
			   double share)
{
	double		p = cx_counters_percentile(cache, histogram, share);

	*null = p < 0;
	*v = Float8GetDatum(p / 1000.0);
}

static void
set_time(Datum *v, bool *null, TimestampTz t)
{
	*null = t == 0;
	*v = TimestampTzGetDatum(t);
}

/* The columns behind the counters. */
static void
set_times(const CxCache *cache, Datum *v, bool *null)
{
	int			n = cache->number;
	uint64		loads = cx_counters_read(n, CX_LOADS);

	null[0] = loads == 0;
	v[0] = Float8GetDatum(loads == 0 ? 0
						  : cx_counters_read(n, CX_LOAD_US) / 1000.0 / loads);
	set_percentile(&v[1], &null[1], n, CX_LOAD_TIMES, 0.5);
	set_percentile(&v[2], &null[2], n, CX_LOAD_TIMES, 0.95);
	set_percentile(&v[3], &null[3], n, CX_LOAD_TIMES, 0.99);
	set_percentile(&v[4], &null[4], n, CX_HIT_TIMES, 0.5);
	set_percentile(&v[5], &null[5], n, CX_HIT_TIMES, 0.99);
	v[6] = Float8GetDatum(cx_counters_read(n, CX_WAIT_US) / 1000.0);
	v[7] = Float8GetDatum(cx_counters_read(n, CX_SAVED_US) / 1000.0);
	set_time(&v[8], &null[8], cache->shmem->last_sweep);
	set_time(&v[9], &null[9], cache->shmem->last_warm);
	set_time(&v[10], &null[10], cache->shmem->stats_reset);
}

static void
stats_row(const CxCache *cache, Datum *v, bool *null)
{
	CxUsage		usage = {0};

	memset(null, 0, STATS_NCOLS * sizeof(bool));
	v[0] = CStringGetTextDatum(cache->name);
	v[1] = BoolGetDatum(cache->enabled);
	v[5] = Int64GetDatum((int64) cache->limits.bytes);
	null[5] = cache->limits.bytes == PG_UINT64_MAX;
	if (!cx_catalog_usable(cache))
	{
		/* no number could be had: nothing is cached, nothing is counted */
		memset(null + 2, true, (STATS_NCOLS - 2) * sizeof(bool));
		return;
	}
	cx_policy_usage(cache->number, &usage);
	v[2] = Int64GetDatum(usage.entries);
	v[3] = Int64GetDatum(usage.bytes);
	v[4] = Int64GetDatum(usage.bytes_peak);
	for (int i = 0; i < STATS_COUNTERS; i++)
		v[STATS_FIRST + i] =
			Int64GetDatum(cx_counters_read(cache->number, shown[i]));
	set_times(cache, v + STATS_FIRST + STATS_COUNTERS,
			  null + STATS_FIRST + STATS_COUNTERS);
}

/* A row for each cache of the database that the current role may know of. */
Datum
cachex_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	CxCache   **all;
	int			n;

	CX_REQUIRE_PRELOAD();
	InitMaterializedSRF(fcinfo, 0);
	all = cx_catalog_all(&n);
	for (int i = 0; i < n; i++)
	{
		Datum		v[STATS_NCOLS];
		bool		null[STATS_NCOLS];

		if (!cx_sight_counters(all[i]))
			continue;
		stats_row(all[i], v, null);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, v, null);
	}
	return (Datum) 0;
}

/* reset_stats(cache); without a cache, all that the caller owns */
Datum
cachex_reset_stats(PG_FUNCTION_ARGS)
{
	CxCache   **all;
	CxCache    *one = NULL;
	int			n = 1;

	CX_REQUIRE_PRELOAD();
	if (PG_ARGISNULL(0))
		all = cx_catalog_all(&n);
	else
	{
		one = cx_args_cache(fcinfo, 0);
		cx_owner_require(one);
		all = &one;
	}
	for (int i = 0; i < n; i++)
	{
		if (!cx_catalog_usable(all[i]) || !cx_owner_may_manage(all[i]))
			continue;
		cx_counters_reset(all[i]->number);
		cx_policy_reset_peak(all[i]->number);
		all[i]->shmem->stats_reset = GetCurrentTimestamp();
	}
	PG_RETURN_VOID();
}

/* The memory as a whole: used, available to entries, and what writers need. */
Datum
cachex_memory(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		v[10];
	bool		null[10] = {0};
	const char *failure;
	CxDepsCounts counts;

	CX_REQUIRE_PRELOAD();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	cx_deps_counts(&counts);
	v[0] = Int64GetDatum(cx_arena_used());
	v[1] = Int64GetDatum(cx_arena_total());
	v[2] = Int64GetDatum(cx_policy_entries());
	v[3] = Int64GetDatum(counts.in_doubt);
	v[4] = Int64GetDatum(counts.prepared);
	v[5] = Int64GetDatum(counts.overflows);
	v[6] = Int64GetDatum(cx_boot_count());
	v[7] = Int64GetDatum(cx_snapshot_restored());
	v[8] = Int64GetDatum(cx_snapshot_dropped());
	failure = cx_snapshot_failure();
	null[9] = failure == NULL;
	v[9] = failure ? CStringGetTextDatum(failure) : (Datum) 0;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  v, null)));
}

/* public_memory(); NULL without shared memory */
Datum
cachex_public_memory(PG_FUNCTION_ARGS)
{
	if (!cx_preloaded)
		PG_RETURN_NULL();
	PG_RETURN_INT64((int64) cx_catalog_public_memory());
}

/* ---- entries ---- */

/* Columns that cachex_entries returns */
enum
{
	N_CACHE,
	N_SCOPE,
	N_KEY,
	N_STATUS,
	N_VERSION,
	N_CREATED_AT,
	N_EXPIRES_AT,
	N_FREQUENCY,
	N_BYTES,
	N_LOAD_MS,
	N_TAGS,
	N_NCOLS
};

static Datum
tags_of(const CxScanned *e)
{
	Datum		elems[CX_MAX_TAGS];
	const char *p = e->tags;

	for (int i = 0; i < e->entry.ntags; i++)
	{
		uint8		len = (uint8) *p++;

		elems[i] = PointerGetDatum(cstring_to_text_with_len(p, len));
		p += len;
	}
	return PointerGetDatum(construct_array(elems, e->entry.ntags, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

static void
put_entry(ReturnSetInfo *rsinfo, const CxCache *cache, const CxScanned *e)
{
	Datum		v[N_NCOLS];
	bool		null[N_NCOLS] = {0};
	const char *status = "hit";

	if (e->staged)
		status = "pending";
	else if (cx_scan_is_dead(e, cache->dep_seed, GetCurrentTimestamp()))
		status = e->entry.has_stale && e->ends > GetCurrentTimestamp() &&
			e->gen > pg_atomic_read_u64(&cache->shmem->gen)
			? "stale" : "dead";
	else if (e->entry.flags & CX_ENTRY_NULL)
		status = "negative";
	v[N_CACHE] = CStringGetTextDatum(cache->name);
	null[N_SCOPE] = (e->entry.flags & CX_ENTRY_SCOPE) == 0;
	v[N_SCOPE] = PointerGetDatum(cstring_to_text_with_len(e->scope,
														  e->entry.scope_len));
	v[N_KEY] = PointerGetDatum(cstring_to_text_with_len(e->key,
														e->entry.key_len));
	v[N_STATUS] = CStringGetTextDatum(status);
	v[N_VERSION] = Int64GetDatum(e->gen);
	v[N_CREATED_AT] = TimestampTzGetDatum(e->entry.created);
	v[N_EXPIRES_AT] = TimestampTzGetDatum(e->expires);
	v[N_FREQUENCY] = Int32GetDatum(e->frequency);
	v[N_BYTES] = Int64GetDatum(e->bytes);
	v[N_LOAD_MS] = Float8GetDatum(e->cost_us / 1000.0);
	null[N_TAGS] = e->entry.ntags == 0;
	v[N_TAGS] = null[N_TAGS] ? (Datum) 0 : tags_of(e);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, v, null);
}

static void
list_cache(ReturnSetInfo *rsinfo, const CxCache *cache, const char *pattern)
{
	bool		all = cx_sight_every_entry(cache);
	CxScan	   *scan = cx_scan_begin(cache->number);
	CxScanned	e;

	while (cx_scan_next(scan, &e))
	{
		if (pattern && !cx_like_match(e.key, e.entry.key_len, pattern,
									  strlen(pattern)))
			continue;
		if (all || cx_sight_entry(cache, &e))
			put_entry(rsinfo, cache, &e);
	}
	cx_scan_end(scan);
}

/* entries(cache, pattern) */
Datum
cachex_entries(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *pattern;
	CxCache   **all;
	CxCache    *one;
	int			n = 1;

	CX_REQUIRE_PRELOAD();
	InitMaterializedSRF(fcinfo, 0);
	pattern = cx_args_cstring(fcinfo, 1);
	if (pattern)
		cx_like_check(pattern, strlen(pattern));
	if (PG_ARGISNULL(0))
		all = cx_catalog_all(&n);
	else
	{
		one = cx_args_cache(fcinfo, 0);
		all = &one;
	}
	for (int i = 0; i < n; i++)
	{
		if (cx_catalog_usable(all[i]))
			list_cache(rsinfo, all[i], pattern);
	}
	return (Datum) 0;
}

/* For tests: NULL, or what is wrong with the store. */
Datum
cachex_check_store(PG_FUNCTION_ARGS)
{
	const char *fault;

	CX_REQUIRE_PRELOAD();
	fault = cx_check_store();
	if (fault == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(fault));
}
