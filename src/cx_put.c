/*
 * cx_put.c
 *	  From values and lives to entries, and back.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "common/int.h"
#include "common/pg_prng.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "cx_counters.h"
#include "cx_guc.h"
#include "cx_put.h"
#include "cx_read.h"
#include "cx_validate.h"

/* The instant at which a life of so many microseconds ends. */
static TimestampTz
end_of(TimestampTz created, int64 ttl_us)
{
	TimestampTz end;

	if (ttl_us == CX_TTL_NEVER)
		return CX_NEVER;
	if (ttl_us <= 0)
		return created;
	if (cx_guc_ttl_factor != 1.0)
	{
		double		scaled = (double) ttl_us * cx_guc_ttl_factor;

		if (scaled >= (double) PG_INT64_MAX)
			return CX_NEVER;
		ttl_us = (int64) scaled;
	}
	if (pg_add_s64_overflow(created, ttl_us, &end) || !IS_VALID_TIMESTAMP(end))
		return CX_NEVER;
	return end;
}

/* A life, less up to the cache's jitter, so that not all end at once. */
static int64
with_jitter(const CxCache *cache, int64 ttl_us)
{
	if (cache->jitter <= 0 || ttl_us == CX_TTL_NEVER || ttl_us <= 0)
		return ttl_us;
	return Max((int64) ((double) ttl_us *
						(1 - cache->jitter *
						 pg_prng_double(&pg_global_prng_state))), 1);
}

/*
 * How long it is kept past its end, for any reader.  A row of the loader
 * decides; a caller who allows less than the cache decides for himself only.
 */
static uint32
stale_ms(const CxCache *cache, const CxLife *life)
{
	int64		us = life->has_stale ? life->stale_us : 0;

	if (!life->stale_by_row)
		us = Max(us, cache->stale_us);
	return (uint32) Min(Max(us, 0) / 1000, CX_MAX_STALE_MS);
}

/*
 * Fills entry, but for tags and metadata, with a value that is stored now for
 * a life; what the life leaves open, the cache says.  Returns false when the
 * life is over already: the entry is not to be kept.
 */
bool
cx_put_make_entry(CxNewEntry *entry, const CxCache *cache,
				  const CxValue *value, const CxLife *life)
{
	memset(entry, 0, offsetof(CxNewEntry, tag_id));
	entry->metadata = NULL;
	entry->metadata_len = 0;
	entry->isnull = value->isnull;
	entry->type = value->isnull ? JSONBOID : value->type;
	entry->typhash = value->isnull ? 0 : value->typhash;
	entry->value = value->data;
	entry->value_len = value->isnull ? 0 : value->len;
	entry->cost_us = CX_PUT_COST_US;
	entry->created = GetCurrentTimestamp();
	if (life->has_expires)
		entry->expires = life->expires;
	else if (life->has_ttl)
		entry->expires = end_of(entry->created,
								with_jitter(cache, life->ttl_us));
	else
		entry->expires = end_of(entry->created,
								with_jitter(cache, value->isnull
											? cache->negative_ttl_us
											: cache->ttl_us));
	entry->stale_ms = stale_ms(cache, life);
	entry->stale_by_row = life->stale_by_row;
	return entry->expires > entry->created;
}

/* A value of jsonb; NULL is SQL NULL. */
void
cx_put_json(CxValue *value, Jsonb *json)
{
	value->type = JSONBOID;
	value->typhash = 0;
	value->isnull = (json == NULL);
	value->data = json ? VARDATA(json) : NULL;
	value->len = json ? VARSIZE(json) - VARHDRSZ : 0;
}

/* The bytes of a jsonb with their length. */
static Jsonb *
make_json(const char *bytes, Size len)
{
	Jsonb	   *json = palloc(VARHDRSZ + len);

	SET_VARSIZE(json, VARHDRSZ + len);
	memcpy(VARDATA(json), bytes, len);
	return json;
}

/*
 * Whether a value that nobody asked to be put meets the cache's condition;
 * counts if not.  cache is not valid afterwards.
 */
bool
cx_put_is_valid(const CxCache *cache, const CxValue *value)
{
	int			number = cache->number;

	if (cache->validate == NULL || value->isnull || value->type != JSONBOID ||
		cx_validate_quietly(cache, make_json(value->data, value->len)))
		return true;
	if (number >= 0)
		cx_counters_add(number, CX_REFUSED_INVALID, 1);
	return false;
}

/* Raises an error for a value that does not meet the cache's condition. */
static void
validate(CxAsk *ask, const CxNewEntry *entry)
{
	char		name[NAMEDATALEN];
	uint64		uid = ask->cache->uid;

	if (ask->cache->validate == NULL || entry->isnull ||
		entry->type != JSONBOID)
		return;
	strlcpy(name, ask->cache->name, NAMEDATALEN);
	if (!cx_validate(ask->cache, make_json(entry->value, entry->value_len)))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("value for key \"%.*s\" violates the validation of cache \"%s\"",
						ask->ident.key_len, ask->ident.key, name)));
	/* what it ran may have changed the caches */
	ask->cache = cx_catalog_get(name, strlen(name));
	if (ask->cache->uid != uid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cache \"%s\" was replaced while a value for it was validated",
						name)));
}

static bool
stage(CxAsk *ask, CxNewEntry *entry, bool keep, const CxBase *base)
{
	if (!cx_catalog_usable(ask->cache))
	{
		cx_change_stage_nowhere(ask);
		return false;
	}
	if (keep)
		return cx_change_stage(ask, entry, base);
	cx_change_stage_removal(ask, base);
	return false;
}

/*
 * Stages an entry, or (keep false) that there is none.  Returns whether it
 * was stored.  ask->cache may be another pointer afterwards.
 */
bool
cx_put_stage(CxAsk *ask, CxNewEntry *entry, bool keep, const CxBase *base)
{
	if (keep)
		validate(ask, entry);
	return stage(ask, entry, keep, base);
}

/*
 * Puts a row for a change of a table, whatever is there, for the cache's own
 * time to live.  One that does not meet the cache's condition leaves none.
 * The entry ends when the table's definition or privileges change, as they have
 * been since reads_gen; access, not NULL in a shared cache, says who may have it.
 */
void
cx_put_row(const char *cache_name, const char *key, Size key_len,
		   CxScope scope, Jsonb *row, const CxReads *reads, uint64 reads_gen,
		   const CxAccess *access)
{
	CxBase		base = {CX_BASE_ANY, 0, 0, NULL, reads_gen};
	CxLife		life = {0};
	CxCache    *cache = cx_catalog_find(cache_name, strlen(cache_name));
	CxNewEntry	entry;
	CxValue		v;
	CxAsk		ask;
	bool		valid;
	bool		keep;

	if (cache == NULL)
		return;
	cx_put_json(&v, row);
	valid = cx_put_is_valid(cache, &v);
	cache = cx_catalog_find(cache_name, strlen(cache_name));
	if (cache == NULL)
		return;
	cx_cache_ask(&ask, cache, key, key_len, scope.name, scope.len);
	keep = cx_put_make_entry(&entry, cache, &v, &life) && valid &&
		(access != NULL || !cache->is_shared);
	entry.manual = true;
	entry.reads = reads;
	entry.access = access;
	stage(&ask, &entry, keep, &base);
}

/*
 * The jsonb value of a hit, NULL for a negative entry, in the current memory
 * context.  Raises an error for a value of another type.
 */
Jsonb *
cx_put_read_json(const CxAsk *ask, const CxHit *hit)
{
	Jsonb	   *json;

	if (hit->entry.flags & CX_ENTRY_NULL)
		return NULL;
	cx_read_refuse_rows(ask, hit);
	if (hit->entry.type != JSONBOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("cached value of key \"%.*s\" is of type %s, not jsonb",
						ask->ident.key_len, ask->ident.key,
						format_type_be(hit->entry.type)),
				 errhint("Read it with cachex.get_as().")));
	json = palloc(VARHDRSZ + hit->entry.value_len);
	SET_VARSIZE(json, VARHDRSZ + hit->entry.value_len);
	cx_store_value(hit, VARDATA(json));
	return json;
}

/* Makes a copy of a stored entry, to be stored again; hit holds the slot. */
void
cx_put_copy_entry(const CxHit *hit, CxNewEntry *entry)
{
	const CxEntry *old = &hit->entry;
	CxCursor	tags = old->tags;
	CxCursor	rest = cx_entry_metadata(old);
	char	   *p;

	if (hit->copy)
	{
		*entry = *hit->copy;
		return;
	}
	memset(entry, 0, offsetof(CxNewEntry, tag_id));
	entry->isnull = (old->flags & CX_ENTRY_NULL) != 0;
	entry->manual = (old->flags & CX_ENTRY_MANUAL) != 0;
	entry->has_loader = (old->flags & CX_ENTRY_LOADER) != 0;
	entry->type = old->type;
	entry->typhash = old->typhash;
	entry->loader = old->loader;
	entry->created = old->created;
	entry->expires = hit->expires;
	entry->stale_ms = old->stale_ms;
	entry->stale_by_row = old->stale_by_row;
	entry->cost_us = hit->cost_us;
	entry->ntags = old->ntags;
	memcpy(entry->tag_id, hit->tag_id, old->ntags * sizeof(uint64));
	p = palloc(old->tags_len + old->metadata_len + old->value_len + 1);
	cx_arena_skip(&tags, old->ntags * sizeof(uint64));
	cx_arena_read(&tags, p, old->tags_len);
	cx_arena_read(&rest, p + old->tags_len, old->metadata_len + old->value_len);
	if (old->has_reads)
	{
		CxReads    *reads = palloc(sizeof(CxReads));

		*reads = hit->reads;
		entry->reads = reads;
	}
	if (old->has_access)
	{
		CxAccess   *access = palloc(sizeof(CxAccess));

		*access = hit->access;
		entry->access = access;
	}
	for (int i = 0; i < old->ntags; i++)
	{
		entry->tag_len[i] = (uint8) *p++;
		entry->tag[i] = p;
		p += entry->tag_len[i];
	}
	entry->metadata = (old->flags & CX_ENTRY_METADATA) ? p : NULL;
	entry->metadata_len = old->metadata_len;
	entry->value = p + old->metadata_len;
	entry->value_len = old->value_len;
}
