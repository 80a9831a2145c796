/*
 * cx_funcs_fetch.c
 *	  fetch, fetch_as and fetch_many: get it from the cache, or compute it and
 *	  keep it.
 *
 * The loader runs under the caller's snapshot and as the caller.  Whatever
 * keeps its result from being stored is counted, never an error.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "cx_counters.h"
#include "cx_loader.h"
#include "cx_put.h"
#include "cx_read.h"
#include "cx_preload.h"

/* SQLSTATE of a cache miss where nothing may be loaded */
#define ERRCODE_CACHE_MISS MAKE_SQLSTATE('C', 'X', '0', '0', '1')

PG_FUNCTION_INFO_V1(cachex_fetch);
PG_FUNCTION_INFO_V1(cachex_fetch_as);
PG_FUNCTION_INFO_V1(cachex_fetch_many);

typedef enum FetchMode
{
	FETCH_NORMAL,
	FETCH_BYPASS,				/* neither read nor fill */
	FETCH_REFRESH,				/* load in any case, and fill */
	FETCH_CACHED				/* never load */
} FetchMode;

/* One call: what is asked for, and how it is computed. */
typedef struct Fetch
{
	CxAsk		ask;
	char		cache[NAMEDATALEN];
	uint64		cache_uid;
	FetchMode	mode;
	Oid			type;			/* of the result */
	const char *query;			/* NULL: there is none */
	const char *function;		/* the cache's loader, when it is the query */
	ArrayType  *params;
	uint64		loader;			/* fingerprint of all that */
	CxLife		life;
	ArrayType  *tags;
	uint64		old_gen;		/* of an entry in the way, 0 = none */
	uint8		frequency;		/* its */
} Fetch;

static FetchMode
parse_mode(FunctionCallInfo fcinfo, int n)
{
	char	   *mode = cx_args_cstring(fcinfo, n);

	if (mode == NULL || strcmp(mode, "normal") == 0)
		return FETCH_NORMAL;
	if (strcmp(mode, "bypass") == 0)
		return FETCH_BYPASS;
	if (strcmp(mode, "refresh") == 0)
		return FETCH_REFRESH;
	if (strcmp(mode, "cached") == 0)
		return FETCH_CACHED;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized mode \"%s\"", mode),
			 errhint("Valid modes are normal, bypass, refresh and cached.")));
}

/*
 * The query: the argument, else a call of the cache's loader.  many says that
 * it gets an array of keys.
 */
static void
choose_query(FunctionCallInfo fcinfo, int n, bool many, Fetch *f)
{
	const char *loader = f->ask.cache->loader;

	f->query = cx_args_cstring(fcinfo, n);
	f->function = NULL;
	if (f->query != NULL || loader == NULL)
		return;
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
}

/* What is the same for every key of a call. The cache is in ask. */
static void
begin_fetch(FunctionCallInfo fcinfo, Fetch *f, int query_arg, bool many)
{
	strlcpy(f->cache, f->ask.cache->name, NAMEDATALEN);
	f->cache_uid = f->ask.cache->uid;
	f->old_gen = 0;
	f->frequency = 0;
	choose_query(fcinfo, query_arg, many, f);
	f->loader = 0;
	if (f->function)
		f->loader = cx_loader_fingerprint(f->function, strlen(f->function),
										  NULL);
	else if (f->query)
		f->loader = cx_loader_fingerprint(f->query, strlen(f->query),
										  f->params);
	f->loader = hash_combine64(f->loader, f->type);
}

/* Whether a hit answers this call. */
static bool
answers(const Fetch *f, const CxHit *hit)
{
	if (!cx_read_layout_is_current(hit))
		return false;
	if (hit->entry.flags & CX_ENTRY_MANUAL)
		return !f->ask.cache->exact;
	if (hit->entry.loader == f->loader)
		return true;
	cx_counters_add(f->ask.cache->number, CX_LOADER_CHANGED, 1);
	return false;
}

/* Looks the key up, and counts; true: the answer is in hit, to be released. */
static bool
find(Fetch *f, CxHit *hit)
{
	CxStatus	status;

	if (f->mode == FETCH_BYPASS || !cx_read_enabled(&f->ask))
	{
		f->mode = f->mode == FETCH_CACHED ? FETCH_CACHED : FETCH_BYPASS;
		if (f->ask.cache->number >= 0)
			cx_counters_add(f->ask.cache->number, CX_BYPASSES, 1);
		return false;
	}
	status = cx_read_sampled(&f->ask, false, hit);
	if (status != CX_MISS)
	{
		f->old_gen = hit->gen;
		f->frequency = Min(15, hit->frequency + hit->hits);
	}
	if (status == CX_HIT || status == CX_NEGATIVE)
	{
		if (f->mode == FETCH_REFRESH || !answers(f, hit))
		{
			cx_store_release(hit);
			status = CX_MISS;
		}
	}
	cx_read_count(&f->ask, status, hit);
	return status == CX_HIT || status == CX_NEGATIVE;
}

/* After the loader, which may have used the cache itself: the cache again. */
static bool
find_cache_again(Fetch *f)
{
	CxCache    *cache = cx_catalog_find(f->cache, strlen(f->cache));

	if (cache == NULL || cache->uid != f->cache_uid)
		return false;
	f->ask.cache = cache;
	return true;
}

/* Stores what the loader returned, unless something is against it. */
static void
store(Fetch *f, const CxLoaded *loaded)
{
	CxNewEntry	entry;
	CxValue		value;
	CxLife		life = f->life;

	if (f->mode == FETCH_BYPASS || loaded->ignore)
		return;
	if (loaded->has_ttl || loaded->has_expires_at)
	{
		life.has_ttl = loaded->has_ttl && !loaded->has_expires_at;
		life.ttl_us = loaded->ttl_us;
		life.has_expires = loaded->has_expires_at;
		life.expires = loaded->expires_at;
	}
	cx_codec_encode(loaded->value, loaded->isnull, f->type, &value);
	if (!cx_put_make_entry(&entry, f->ask.cache, &value, &life))
	{
		if (f->old_gen != 0)
			cx_cache_discard(&f->ask, f->old_gen);
		return;
	}
	entry.has_loader = true;
	entry.loader = f->loader;
	entry.cost_us = loaded->cost_us;
	cx_args_tags(&entry, loaded->tags ? loaded->tags : f->tags);
	cx_cache_fill(&f->ask, &entry, f->frequency);
}

static void
count_load(const Fetch *f, double cost_us)
{
	int			cache = f->ask.cache->number;

	if (cache < 0)
		return;
	cx_counters_add(cache, CX_LOADS, 1);
	cx_counters_add(cache, CX_LOAD_US, (uint64) cost_us);
	cx_counters_time(cache, CX_LOAD_TIMES, cost_us);
}

static void
refuse_to_load(const Fetch *f)
{
	if (f->mode == FETCH_CACHED)
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

/*
 * Runs the loader for one key, or (missing not NULL) for many; counts one
 * that raises an error, and passes it on.
 */
static void
run_loader(const Fetch *f, CxLoaded *loaded, ArrayType *missing,
		   CxLoadedKey **rows, int *nrows)
{
	int			cache = f->ask.cache->number;

	PG_TRY();
	{
		if (missing)
			*rows = cx_loader_run_many(f->query, missing, nrows);
		else
			cx_loader_run(f->query, f->params, f->type, loaded);
	}
	PG_CATCH();
	{
		if (cache >= 0)
			cx_counters_add(cache, CX_LOAD_ERRORS, 1);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* Computes and stores. */
static Datum
load(Fetch *f, bool *isnull)
{
	CxLoaded	loaded;

	refuse_to_load(f);
	run_loader(f, &loaded, NULL, NULL, NULL);
	*isnull = loaded.isnull;
	if (find_cache_again(f))
	{
		count_load(f, loaded.cost_us);
		store(f, &loaded);
	}
	return loaded.value;
}

static Datum
hit_value(const Fetch *f, CxHit *hit, bool *isnull)
{
	Datum		value = (Datum) 0;

	*isnull = (hit->entry.flags & CX_ENTRY_NULL) != 0;
	if (!*isnull && f->type == JSONBOID)
		value = JsonbPGetDatum(cx_put_read_json(&f->ask, hit));
	else if (!*isnull)
		value = cx_read_value(&f->ask, hit, f->type);
	cx_store_release(hit);
	return value;
}

/* fetch(cache, key, query, params, ttl, tags, mode, scope) */
Datum
cachex_fetch(PG_FUNCTION_ARGS)
{
	Fetch		f;
	CxHit		hit;
	bool		isnull;
	Datum		value;

	CX_REQUIRE_PRELOAD();
	cx_args_ask(fcinfo, 1, 7, &f.ask);
	f.type = JSONBOID;
	f.params = cx_args_array(fcinfo, 3);
	f.life = cx_args_life(fcinfo, 4, -1);
	f.tags = cx_args_array(fcinfo, 5);
	f.mode = parse_mode(fcinfo, 6);
	begin_fetch(fcinfo, &f, 2, false);
	if (find(&f, &hit))
		value = hit_value(&f, &hit, &isnull);
	else
		value = load(&f, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(value);
}

/* fetch_as(cache, key, otherwise, query, params, ttl, tags, mode, scope) */
Datum
cachex_fetch_as(PG_FUNCTION_ARGS)
{
	Fetch		f;
	CxHit		hit;
	bool		isnull;
	Datum		value;

	CX_REQUIRE_PRELOAD();
	cx_args_ask(fcinfo, 1, 8, &f.ask);
	f.type = get_fn_expr_argtype(fcinfo->flinfo, 2);
	f.params = cx_args_array(fcinfo, 4);
	f.life = cx_args_life(fcinfo, 5, -1);
	f.tags = cx_args_array(fcinfo, 6);
	f.mode = parse_mode(fcinfo, 7);
	begin_fetch(fcinfo, &f, 3, false);
	if (find(&f, &hit))
		value = hit_value(&f, &hit, &isnull);
	else
		value = load(&f, &isnull);
	if (!isnull)
		PG_RETURN_DATUM(value);
	/* NULL from the loader is what otherwise is for */
	if (PG_ARGISNULL(2))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(2));
}

/* ---- many keys ---- */

typedef struct ManyKey
{
	text	   *key;
	bool		found;
	bool		isnull;
	Datum		value;
	uint64		old_gen;
	uint8		frequency;
} ManyKey;

static ManyKey *
split_keys(ArrayType *keys, int *n)
{
	Datum	   *elems;
	bool	   *nulls;
	ManyKey    *many;

	deconstruct_array(keys, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls,
					  n);
	many = palloc0(Max(*n, 1) * sizeof(ManyKey));
	for (int i = 0; i < *n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("key must not be null")));
		many[i].key = DatumGetTextPP(elems[i]);
		cx_args_check_key(VARDATA_ANY(many[i].key),
						  VARSIZE_ANY_EXHDR(many[i].key));
	}
	return many;
}

static void
ask_key(FunctionCallInfo fcinfo, Fetch *f, text *key)
{
	const char *scope = NULL;
	Size		scope_len = 0;

	if (!PG_ARGISNULL(5))
	{
		text	   *t = cx_args_text(fcinfo, 5, "scope", CX_MAX_SCOPE);

		scope = VARDATA_ANY(t);
		scope_len = VARSIZE_ANY_EXHDR(t);
	}
	cx_cache_ask(&f->ask, f->ask.cache, VARDATA_ANY(key),
				 VARSIZE_ANY_EXHDR(key), scope, scope_len);
}

/* Looks up every key; returns the ones that are not there, as text[]. */
static ArrayType *
find_many(FunctionCallInfo fcinfo, Fetch *f, ManyKey *many, int n,
		  int *nmissing)
{
	Datum	   *missing = palloc(Max(n, 1) * sizeof(Datum));

	*nmissing = 0;
	for (int i = 0; i < n; i++)
	{
		CxHit		hit;

		ask_key(fcinfo, f, many[i].key);
		f->old_gen = 0;
		f->frequency = 0;
		many[i].found = find(f, &hit);
		if (many[i].found)
			many[i].value = hit_value(f, &hit, &many[i].isnull);
		else
			missing[(*nmissing)++] = PointerGetDatum(many[i].key);
		many[i].old_gen = f->old_gen;
		many[i].frequency = f->frequency;
	}
	return construct_array(missing, *nmissing, TEXTOID, -1, false,
						   TYPALIGN_INT);
}

static int
compare_rows(const void *a, const void *b)
{
	return strcmp(((const CxLoadedKey *) a)->key,
				  ((const CxLoadedKey *) b)->key);
}

/* The row of a key among sorted ones; SQL NULL when there is none. */
static CxLoaded
row_of(const text *key, CxLoadedKey *rows, int nrows)
{
	CxLoaded	none = {0};
	CxLoadedKey wanted;
	CxLoadedKey *row;

	none.isnull = true;
	wanted.key = text_to_cstring(key);
	row = nrows == 0 ? NULL
		: bsearch(&wanted, rows, nrows, sizeof(CxLoadedKey), compare_rows);
	pfree(wanted.key);
	return row ? row->row : none;
}

/* Loads what is missing; a key without a row is SQL NULL. */
static void
load_many(FunctionCallInfo fcinfo, Fetch *f, ManyKey *many, int n,
		  ArrayType *missing)
{
	int			nrows;
	CxLoadedKey *rows;
	bool		usable;

	run_loader(f, NULL, missing, &rows, &nrows);
	usable = find_cache_again(f);
	qsort(rows, nrows, sizeof(CxLoadedKey), compare_rows);
	for (int i = 0; i < n; i++)
	{
		CxLoaded	row;

		if (many[i].found)
			continue;
		CHECK_FOR_INTERRUPTS();
		row = row_of(many[i].key, rows, nrows);
		many[i].isnull = row.isnull;
		many[i].value = row.value;
		if (!usable)
			continue;
		ask_key(fcinfo, f, many[i].key);
		f->old_gen = many[i].old_gen;
		f->frequency = many[i].frequency;
		count_load(f, row.cost_us);
		store(f, &row);
	}
}

/* fetch_many(cache, keys, query, ttl, tags, scope) */
Datum
cachex_fetch_many(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Fetch		f;
	ManyKey    *many;
	ArrayType  *missing;
	int			n;
	int			nmissing;

	CX_REQUIRE_PRELOAD();
	InitMaterializedSRF(fcinfo, 0);
	f.ask.cache = cx_args_cache(fcinfo, 0);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("keys must not be null")));
	f.type = JSONBOID;
	f.params = NULL;
	f.life = cx_args_life(fcinfo, 3, -1);
	f.tags = cx_args_array(fcinfo, 4);
	f.mode = FETCH_NORMAL;
	begin_fetch(fcinfo, &f, 2, true);
	many = split_keys(PG_GETARG_ARRAYTYPE_P(1), &n);
	missing = find_many(fcinfo, &f, many, n, &nmissing);
	if (nmissing > 0)
	{
		if (f.query == NULL)
			refuse_to_load(&f);
		load_many(fcinfo, &f, many, n, missing);
	}
	for (int i = 0; i < n; i++)
	{
		Datum		v[2] = {PointerGetDatum(many[i].key), many[i].value};
		bool		null[2] = {false, many[i].isnull};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, v, null);
	}
	return (Datum) 0;
}
