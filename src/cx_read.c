/*
 * cx_read.c
 *	  Look-ups that are counted, and reading values with their types.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"

#include "cx_codec.h"
#include "cx_collect.h"
#include "cx_counters.h"
#include "cx_guc.h"
#include "cx_read.h"
#include "cx_tier.h"

#define SAMPLE_EVERY 251		/* look-ups are timed; a prime, so that no
								 * call of a recurring series is always the
								 * one */

/* Whether the cache is to be read at all. */
bool
cx_read_enabled(const CxAsk *ask)
{
	return cx_guc_enabled && ask->cache->enabled &&
		(ask->may & CX_MAY_READ) != 0;
}

/* Counts what a look-up found. */
void
cx_read_count(const CxAsk *ask, CxStatus status, const CxHit *hit)
{
	int			cache = ask->cache->number;

	if (cache < 0)
		return;
	if (!cx_cache_is_served(status))
	{
		cx_counters_add(cache, CX_MISSES, 1);
		return;
	}
	cx_counters_add(cache, status == CX_HIT ? CX_HITS :
					status == CX_STALE ? CX_STALE_HITS : CX_NEGATIVE_HITS, 1);
	cx_counters_add(cache, CX_SAVED_US, (uint64) hit->cost_us);
}

/* Looks up, and takes the time of it. */
static CxStatus
timed_lookup(CxAsk *ask, bool whole, CxHit *hit)
{
	instr_time	start;
	instr_time	end;
	CxStatus	status;

	INSTR_TIME_SET_CURRENT(start);
	status = cx_cache_lookup(ask, whole, hit);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	if (status == CX_HIT && ask->cache->number >= 0)
		cx_counters_time(ask->cache->number, CX_HIT_TIMES,
						 INSTR_TIME_GET_DOUBLE(end) * 1e9);
	return status;
}

/* As cx_cache_lookup; takes the time of one look-up in SAMPLE_EVERY. */
CxStatus
cx_read_sampled(CxAsk *ask, bool whole, CxHit *hit)
{
	static uint32 calls = 0;

	if (unlikely(++calls % SAMPLE_EVERY == 0))
		return timed_lookup(ask, whole, hit);
	return cx_cache_lookup(ask, whole, hit);
}

/* A loader has looked a value up, or found that there is none. */
static void
note_read(CxStatus status, const CxHit *hit)
{
	static const CxReads none;

	/* evicted or invalidated, it would not be there */
	cx_collect_cached(status == CX_MISS ? &none : &hit->reads, false);
}

/*
 * Looks up for a function that never loads, and counts.  What may not be
 * served is CX_MISS; otherwise the hit is to be released.
 */
CxStatus
cx_read_lookup(CxAsk *ask, bool whole, CxHit *hit)
{
	CxStatus	status;

	if (!cx_read_enabled(ask))
	{
		hit->pinned = CX_NONE;
		if (ask->cache->number >= 0)
			cx_counters_add(ask->cache->number, CX_BYPASSES, 1);
		if (cx_collect_is_active())
			note_read(CX_MISS, hit);
		return CX_MISS;
	}
	status = cx_read_sampled(ask, whole, hit);
	if (status == CX_DEAD)
		status = CX_MISS;
	if (status != CX_MISS ||
		(status = cx_tier_lookup(ask, 0, whole, hit)) == CX_MISS)
		cx_read_count(ask, status, hit);
	if (cx_collect_is_active())
		note_read(status, hit);
	return status;
}

/*
 * Whether the type of the value is still what it was when it was stored.  A
 * set of rows is looked at when it is read.
 */
bool
cx_read_layout_is_current(const CxHit *hit)
{
	return (hit->entry.flags & CX_ENTRY_TYPED) == 0 ||
		hit->entry.type == RECORDOID ||
		cx_codec_typhash(hit->entry.type) == hit->entry.typhash;
}

/* Raises an error for a set of rows, which is no value of any type. */
void
cx_read_refuse_rows(const CxAsk *ask, const CxHit *hit)
{
	if (hit->entry.type == RECORDOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("cached value of key \"%.*s\" is a set of rows",
						ask->ident.key_len, ask->ident.key),
				 errhint("Read it with cachex.query().")));
}

/* The value, in the current memory context; another type is an error. */
Datum
cx_read_value(const CxAsk *ask, const CxHit *hit, Oid type)
{
	CxValue		value;
	char	   *bytes;

	cx_read_refuse_rows(ask, hit);
	if (hit->entry.type != type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("cached value of key \"%.*s\" is of type %s, not %s",
						ask->ident.key_len, ask->ident.key,
						format_type_be(hit->entry.type), format_type_be(type))));
	bytes = palloc(hit->entry.value_len + 1);
	cx_store_value(hit, bytes);
	value.type = type;
	value.typhash = hit->entry.typhash;
	value.isnull = false;
	value.data = bytes;
	value.len = hit->entry.value_len;
	return cx_codec_decode(&value);
}
