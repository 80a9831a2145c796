/*
 * cx_compute.c
 *	  Runs the loader of a fetch, for one value or for a set of rows, and
 *	  stores what it returns, for the session that asked or in the background.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "cx_compute.h"
#include "cx_guc.h"
#include "cx_refusals.h"
#include "cx_rowset.h"
#include "cx_run.h"

/* ---- one value ---- */

/* The loader of one key, as cx_fetch_load calls it. */
static void
run_one(CxFetch *f, void *arg)
{
	cx_loader_run(f->query, f->params, f->type, arg);
}

/* Stores a value of f->type that was loaded. */
void
cx_compute_store(CxFetch *f, const CxLoaded *loaded)
{
	CxValue		value;

	cx_codec_encode(loaded->value, loaded->isnull, f->type, &value);
	cx_fetch_store(f, loaded, &value);
}

/* Runs the loader, counts it and stores its value. */
void
cx_compute_value(CxFetch *f, CxLoaded *loaded)
{
	cx_fetch_load(f, run_one, loaded);
	if (cx_fetch_find_cache_again(f))
	{
		cx_fetch_count_load(f, loaded->cost_us);
		cx_compute_store(f, loaded);
	}
	cx_flight_release(&f->claim);
}

/* ---- sets of rows ---- */

typedef struct LoadedRows
{
	CxRows	   *rows;
	double		cost_us;
} LoadedRows;

/* The query, as cx_fetch_load calls it. */
static void
run_rows(CxFetch *f, void *arg)
{
	LoadedRows *loaded = arg;

	loaded->rows = cx_run_rows(f->query, f->params, &loaded->cost_us);
}

static void
store_rows(CxFetch *f, const LoadedRows *loaded)
{
	CxLoaded	say = {0};
	CxValue		value = {0};

	if (f->gen != 0 && f->refusal == CX_NOT_REFUSED)
	{
		Oid			obstacle = cx_rowset_obstacle(loaded->rows->desc);

		if (OidIsValid(obstacle))
		{
			f->refusal = CX_UNKNOWN_QUERY;
			cx_refusals_announce_type(f->cache, obstacle);
		}
		else
			cx_rowset_encode(loaded->rows,
							 (Size) cx_guc_max_value_size * 1024, &value);
	}
	say.found = true;
	say.cost_us = loaded->cost_us;
	cx_fetch_store(f, &say, &value);
}

/*
 * Runs the query, counts it, has check (may be NULL) look at its columns, and
 * stores its rows.
 */
CxRows *
cx_compute_rows(CxFetch *f, CxCheckColumns check, void *arg)
{
	LoadedRows	loaded;
	bool		usable;

	cx_fetch_load(f, run_rows, &loaded);
	usable = cx_fetch_find_cache_again(f);
	if (usable)
		cx_fetch_count_load(f, loaded.cost_us);
	if (check)
		check(loaded.rows->desc, arg);
	if (usable)
		store_rows(f, &loaded);
	cx_flight_release(&f->claim);
	return loaded.rows;
}
