/*
 * cx_funcs_read.c
 *	  get, get_as and lookup: reading what is there; they never load.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "cx_counters.h"
#include "cx_flight.h"
#include "cx_jobs.h"
#include "cx_put.h"
#include "cx_read.h"
#include "cx_preload.h"
#include "cx_warmth.h"

PG_FUNCTION_INFO_V1(cachex_get);
PG_FUNCTION_INFO_V1(cachex_get_as);
PG_FUNCTION_INFO_V1(cachex_lookup);

/* get(cache, key, otherwise, scope) */
Datum
cachex_get(PG_FUNCTION_ARGS)
{
	CxAsk		ask;
	CxHit		hit;
	Jsonb	   *json;

	CX_REQUIRE_PRELOAD();
	cx_args_ask(fcinfo, 1, 3, CX_MAY_READ, &ask);
	ask.stale_us = CX_STALE_AS_DEFINED;
	if (cx_read_lookup(&ask, false, &hit) == CX_MISS)
	{
		if (PG_ARGISNULL(2))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(2));
	}
	json = cx_put_read_json(&ask, &hit);
	cx_store_release(&hit);
	if (json == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(json);
}

/* get_as(cache, key, otherwise, scope): the type is that of otherwise */
Datum
cachex_get_as(PG_FUNCTION_ARGS)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 2);
	CxStatus	status;
	CxAsk		ask;
	CxHit		hit;
	Datum		value;

	CX_REQUIRE_PRELOAD();
	cx_args_ask(fcinfo, 1, 3, CX_MAY_READ, &ask);
	ask.stale_us = CX_STALE_AS_DEFINED;
	status = cx_read_lookup(&ask, false, &hit);
	if (cx_cache_is_served(status) && !cx_read_layout_is_current(&hit))
	{
		cx_store_release(&hit);
		status = CX_MISS;
	}
	if (status == CX_MISS)
	{
		if (PG_ARGISNULL(2))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(2));
	}
	if (hit.entry.flags & CX_ENTRY_NULL)
	{
		cx_store_release(&hit);
		PG_RETURN_NULL();
	}
	value = cx_read_value(&ask, &hit, type);
	cx_store_release(&hit);
	PG_RETURN_DATUM(value);
}

/* Columns of cachex.entry, in order */
enum
{
	E_CACHE,
	E_SCOPE,
	E_KEY,
	E_STATUS,
	E_VALUE,
	E_ETAG,
	E_VERSION,
	E_CREATED_AT,
	E_AGE,
	E_TTL,
	E_EXPIRES_AT,
	E_STALE_UNTIL,
	E_FREQUENCY,
	E_BYTES,
	E_LOAD_MS,
	E_TAGS,
	E_METADATA,
	E_CACHE_CONTROL,
	E_NCOLS
};

/* Sets what an entry's times say. */
static void
set_times(Datum *v, bool *null, TimestampTz created, TimestampTz expires,
		  TimestampTz now)
{
	Interval   *age = palloc0(sizeof(Interval));
	Interval   *ttl = palloc0(sizeof(Interval));

	v[E_CREATED_AT] = TimestampTzGetDatum(created);
	null[E_CREATED_AT] = false;
	age->time = now - created;
	v[E_AGE] = IntervalPGetDatum(age);
	null[E_AGE] = false;
	v[E_EXPIRES_AT] = TimestampTzGetDatum(expires);
	null[E_EXPIRES_AT] = false;
	if (expires != CX_NEVER)
	{
		ttl->time = expires - now;
		v[E_TTL] = IntervalPGetDatum(ttl);
		null[E_TTL] = false;
	}
}

/* What a browser may be told of an entry that is fresh, or stale for a time. */
static char *
cache_control(const CxHit *hit, TimestampTz now)
{
	int64		fresh = Max(hit->expires - now, 0) / USECS_PER_SEC;
	int64		stale;

	if (hit->expires == CX_NEVER)
		return "max-age=31536000";
	stale = (hit->stale_until - Max(hit->expires, now)) / USECS_PER_SEC;
	return stale > 0
		? psprintf("max-age=" INT64_FORMAT ", stale-while-revalidate="
				   INT64_FORMAT, fresh, stale)
		: psprintf("max-age=" INT64_FORMAT, fresh);
}

/* The names of tags, each behind a length byte, as text[]. */
static Datum
tags_array(const char *bytes, int ntags)
{
	Datum	   *elems = palloc(Max(ntags, 1) * sizeof(Datum));

	for (int i = 0; i < ntags; i++)
	{
		uint8		len = (uint8) *bytes++;

		elems[i] = PointerGetDatum(cstring_to_text_with_len(bytes, len));
		bytes += len;
	}
	return PointerGetDatum(construct_array(elems, ntags, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/* A strong validator for HTTP: the value's hash. */
static char *
etag_of(const CxValue *value)
{
	return psprintf("\"" "%016llx" "\"", (unsigned long long)
					hash_bytes_extended((const unsigned char *) value->data,
										(int) value->len, value->type));
}

/* Sets value, etag and status; the value is left out when the caller has it. */
static void
set_value(Datum *v, bool *null, const CxNewEntry *entry,
		  const char *if_none_match)
{
	CxValue		value;

	value.type = entry->type;
	value.typhash = entry->typhash;
	value.isnull = entry->isnull;
	value.data = entry->value;
	value.len = entry->value_len;
	if (value.isnull)
	{
		v[E_STATUS] = CStringGetTextDatum("negative");
		return;
	}
	v[E_ETAG] = CStringGetTextDatum(etag_of(&value));
	null[E_ETAG] = false;
	if (if_none_match && strcmp(if_none_match, etag_of(&value)) == 0)
	{
		v[E_STATUS] = CStringGetTextDatum("not_modified");
		return;
	}
	v[E_STATUS] = CStringGetTextDatum("hit");
	/* of a set of rows the names of the columns are not known */
	if (value.type == RECORDOID)
		return;
	v[E_VALUE] = JsonbPGetDatum(cx_codec_to_jsonb(cx_codec_decode(&value),
												  false, value.type));
	null[E_VALUE] = false;
}

/*
 * Sets what a hit says, and releases it before anything of the user's, such
 * as a cast of his type to json, can run and use the cache itself.
 */
static void
set_hit(Datum *v, bool *null, CxHit *hit, CxStatus status,
		const char *if_none_match)
{
	CxNewEntry	copy;
	TimestampTz now = GetCurrentTimestamp();

	cx_put_copy_entry(hit, &copy);
	cx_store_release(hit);
	/* a browser that has the stale value must not be told that it is fresh */
	set_value(v, null, &copy, status == CX_STALE ? NULL : if_none_match);
	if (status == CX_STALE)
		v[E_STATUS] = CStringGetTextDatum("stale");
	set_times(v, null, copy.created, copy.expires, now);
	v[E_STALE_UNTIL] = TimestampTzGetDatum(hit->stale_until);
	null[E_STALE_UNTIL] = hit->entry.stale_ms == 0;
	v[E_CACHE_CONTROL] = CStringGetTextDatum(status == CX_STALE ? "max-age=0"
											 : cache_control(hit, now));
	v[E_FREQUENCY] = Int32GetDatum(hit->frequency);
	v[E_BYTES] = Int64GetDatum((int64) hit->charge * CX_CHUNK_SIZE +
							   CX_SLOT_SIZE);
	v[E_LOAD_MS] = Float8GetDatum(hit->cost_us / 1000.0);
	null[E_FREQUENCY] = null[E_BYTES] = null[E_LOAD_MS] = false;
	if (copy.ntags > 0)
	{
		v[E_TAGS] = tags_array(copy.tag[0] - 1, copy.ntags);
		null[E_TAGS] = false;
	}
	if (copy.metadata)
	{
		Jsonb	   *json = palloc(VARHDRSZ + copy.metadata_len);

		SET_VARSIZE(json, VARHDRSZ + copy.metadata_len);
		memcpy(VARDATA(json), copy.metadata, copy.metadata_len);
		v[E_METADATA] = JsonbPGetDatum(json);
		null[E_METADATA] = false;
	}
}

/* What is said of a key that has no value to be served. */
static const char *
status_of_missing(const CxAsk *ask)
{
	const CxIdent *ident = &ask->ident;

	/* not the cache's, which is gone when SQL has run */
	char	   *cache = pstrdup(ask->cache->name);

	return cx_flight_is_loading(ident->id) ||
		cx_jobs_pending(cache, ident->has_scope ? ident->scope : NULL,
						ident->scope_len, ident->key, ident->key_len,
						GetUserId()) ? "loading" : "miss";
}

/* lookup(cache, key, if_none_match, scope) */
Datum
cachex_lookup(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		v[E_NCOLS];
	bool		null[E_NCOLS];
	CxAsk		ask;
	CxHit		hit;
	CxStatus	status;
	uint64		absent;
	bool		loading;

	CX_REQUIRE_PRELOAD();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	cx_args_ask(fcinfo, 1, 3, CX_MAY_READ, &ask);
	memset(null, true, sizeof(null));
	v[E_CACHE] = CStringGetTextDatum(ask.cache->name);
	v[E_KEY] = PG_GETARG_DATUM(1);
	null[E_CACHE] = null[E_KEY] = null[E_STATUS] = false;
	null[E_VERSION] = null[E_CACHE_CONTROL] = false;
	if (!PG_ARGISNULL(3))
	{
		v[E_SCOPE] = PG_GETARG_DATUM(3);
		null[E_SCOPE] = false;
	}
	/* drawn before looking, so that nothing is missed in between */
	absent = cx_cache_absent_version();
	ask.stale_us = CX_STALE_AS_DEFINED;
	loading = cx_warmth_loading(ask.cache);
	status = cx_read_lookup(&ask, true, &hit);
	if (status == CX_MISS || !cx_read_layout_is_current(&hit))
	{
		cx_store_release(&hit);
		v[E_STATUS] = CStringGetTextDatum(loading ? "loading"
										  : status_of_missing(&ask));
		v[E_VERSION] = Int64GetDatum(absent);
		v[E_CACHE_CONTROL] = CStringGetTextDatum("no-cache");
	}
	else
	{
		v[E_VERSION] = Int64GetDatum(hit.gen);
		set_hit(v, null, &hit, status, cx_args_cstring(fcinfo, 2));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  v, null)));
}
