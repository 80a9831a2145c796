/*
 * cx_funcs_fetch.c
 *	  fetch, fetch_as and fetch_many.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "cx_put.h"
#include "cx_preload.h"
#include "cx_read.h"
#include "cx_revalidate.h"

PG_FUNCTION_INFO_V1(cachex_fetch);
PG_FUNCTION_INFO_V1(cachex_fetch_as);
PG_FUNCTION_INFO_V1(cachex_fetch_many);

/*
 * The query: the argument, else a call of the cache's loader.  many says that
 * it gets an array of keys.
 */
static void
choose_query(FunctionCallInfo fcinfo, int n, bool many, CxFetch *f)
{
	f->query = NULL;
	f->query_len = 0;
	f->function = NULL;
	if (!PG_ARGISNULL(n))
	{
		text	   *query = PG_GETARG_TEXT_PP(n);

		f->query = VARDATA_ANY(query);
		f->query_len = VARSIZE_ANY_EXHDR(query);
	}
	else if (f->ask.cache->loader != NULL)
		cx_fetch_use_function(f, many);
}

/* Computes and stores. */
static Datum
load(CxFetch *f, bool *isnull)
{
	CxLoaded	loaded;

	cx_fetch_refuse_to_load(f);
	cx_compute_value(f, &loaded);
	*isnull = loaded.isnull;
	return loaded.value;
}

static Datum
hit_value(const CxFetch *f, CxHit *hit, bool *isnull)
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

/* What a fetch returns: the value of a hit, or of the loader. */
static Datum
find_or_load(CxFetch *f, bool *isnull)
{
	CxLoaded	fresh;
	CxHit		hit;
	Datum		value;

	cx_fetch_begin(f);
	if (!cx_fetch_find(f, &hit))
		return load(f, isnull);
	value = hit_value(f, &hit, isnull);
	if (!f->due || !cx_revalidate_value(f, &fresh))
		return value;
	*isnull = fresh.isnull;
	return fresh.value;
}

/* fetch(cache, key, query, params, ttl, tags, stale_for, mode, scope) */
Datum
cachex_fetch(PG_FUNCTION_ARGS)
{
	CxFetch		f;
	bool		isnull;
	Datum		value;

	CX_REQUIRE_PRELOAD();
	cx_args_ask(fcinfo, 1, 8, 0, &f.ask);
	f.type = JSONBOID;
	f.params = cx_args_array(fcinfo, 3);
	f.life = cx_args_life(fcinfo, 4, -1);
	f.tags = cx_args_array(fcinfo, 5);
	cx_args_stale(fcinfo, 6, &f.ask, &f.life);
	f.mode = cx_fetch_mode(fcinfo, 7);
	choose_query(fcinfo, 2, false, &f);
	value = find_or_load(&f, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(value);
}

/*
 * fetch_as(cache, key, otherwise, query, params, ttl, tags, stale_for, mode,
 * scope)
 */
Datum
cachex_fetch_as(PG_FUNCTION_ARGS)
{
	CxFetch		f;
	bool		isnull;
	Datum		value;

	CX_REQUIRE_PRELOAD();
	cx_args_ask(fcinfo, 1, 9, 0, &f.ask);
	f.type = get_fn_expr_argtype(fcinfo->flinfo, 2);
	f.params = cx_args_array(fcinfo, 4);
	f.life = cx_args_life(fcinfo, 5, -1);
	f.tags = cx_args_array(fcinfo, 6);
	cx_args_stale(fcinfo, 7, &f.ask, &f.life);
	f.mode = cx_fetch_mode(fcinfo, 8);
	choose_query(fcinfo, 3, false, &f);
	value = find_or_load(&f, &isnull);
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

/* Looks up every key; returns the ones that are not there, as text[]. */
static ArrayType *
find_many(CxScope scope, CxFetch *f, ManyKey *many, int n,
		  int *nmissing)
{
	Datum	   *missing = palloc(Max(n, 1) * sizeof(Datum));

	*nmissing = 0;
	for (int i = 0; i < n; i++)
	{
		CxHit		hit;

		cx_args_ask_key(&f->ask, f->ask.cache, many[i].key, scope, 0);
		f->old_gen = 0;
		f->frequency = 0;
		many[i].found = cx_fetch_find(f, &hit);
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

typedef struct ManyRun
{
	ArrayType  *missing;
	CxLoadedKey *rows;
	int			nrows;
} ManyRun;

static void
run_many(CxFetch *f, void *arg)
{
	ManyRun    *run = arg;

	run->rows = cx_loader_run_many(f->query, run->missing, &run->nrows);
}

/* Loads what is missing; a key without a row is SQL NULL. */
static void
load_many(CxScope scope, CxFetch *f, ManyKey *many, int n,
		  ArrayType *missing)
{
	ManyRun		run = {missing, NULL, 0};
	CxLoadedKey *rows;
	int			nrows;

	cx_fetch_load(f, run_many, &run);
	rows = run.rows;
	nrows = run.nrows;
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

		/*
		 * storing a value can run the cache's validation, and so change
		 * caches
		 */
		if (!cx_fetch_find_cache_again(f))
			continue;
		cx_args_ask_key(&f->ask, f->ask.cache, many[i].key, scope, 0);
		f->old_gen = many[i].old_gen;
		f->frequency = many[i].frequency;
		cx_fetch_count_load(f, row.cost_us);
		cx_compute_store(f, &row);
	}
}

/* fetch_many(cache, keys, query, ttl, tags, scope) */
Datum
cachex_fetch_many(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	CxFetch		f;
	ManyKey    *many;
	ArrayType  *missing;
	CxScope		scope;
	int			n;
	int			nmissing;

	CX_REQUIRE_PRELOAD();
	InitMaterializedSRF(fcinfo, 0);
	f.ask.cache = cx_args_cache(fcinfo, 0);
	scope = cx_args_scope(fcinfo, 5, f.ask.cache);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("keys must not be null")));
	f.type = JSONBOID;
	f.params = NULL;
	f.life = cx_args_life(fcinfo, 3, -1);
	f.tags = cx_args_array(fcinfo, 4);
	f.mode = CX_FETCH_NORMAL;
	choose_query(fcinfo, 2, true, &f);
	cx_fetch_begin(&f);
	f.alone = true;
	many = split_keys(PG_GETARG_ARRAYTYPE_P(1), &n);
	missing = find_many(scope, &f, many, n, &nmissing);
	if (nmissing > 0)
	{
		if (f.query == NULL)
			cx_fetch_refuse_to_load(&f);
		load_many(scope, &f, many, n, missing);
	}
	for (int i = 0; i < n; i++)
	{
		Datum		v[2] = {PointerGetDatum(many[i].key), many[i].value};
		bool		null[2] = {false, many[i].isnull};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, v, null);
	}
	return (Datum) 0;
}
