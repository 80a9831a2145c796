/*
 * cx_revalidate.c
 *	  Who refreshes an entry that a caller has been served, and is due?
 *
 * A worker does, if one can be asked; else this caller, if no other session
 * does already.  An error of the loader is not the caller's then: he has an
 * answer.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "access/xact.h"

#include "cx_requests.h"
#include "cx_revalidate.h"
#include "cx_try.h"

/* A refresh by the caller. */
typedef struct Refresh
{
	CxFetch    *f;
	CxLoaded   *loaded;			/* for one value */
	CxRows	   *rows;			/* else */
	CxCheckColumns check;
	void	   *arg;
} Refresh;

/* Whether a worker does it, now or soon. */
static bool
is_delegated(CxFetch *f)
{
	CxRequested requested;

	/* what this session has set by name the worker would not have */
	if (f->other_settings)
		return false;
	requested = cx_refresh_ask(f);
	if (requested == CX_REQUEST_QUEUED)
		cx_counters_add(f->ask.cache->number, CX_REFRESHES, 1);
	return requested != CX_REQUEST_REFUSED;
}

/*
 * Whether the caller has to do it; he has the claim then.  What a transaction
 * loads that has written would not be kept.
 */
static bool
is_own_turn(CxFetch *f)
{
	if (!cx_fetch_find_cache_again(f) || !cx_catalog_usable(f->ask.cache) ||
		is_delegated(f) || TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
		IsInParallelMode() ||
		cx_flight_is_alone(f->ask.ident.id, f->loader, f->ask.now) ||
		!cx_flight_claim(&f->claim, f->ask.ident.id, f->loader))
		return false;
	cx_counters_add(f->ask.cache->number, CX_REFRESHES, 1);
	return true;
}

static void
run_value(void *arg)
{
	Refresh    *r = arg;

	cx_compute_value(r->f, r->loaded);
}

/*
 * Has the value refreshed; true: by the caller himself, and loaded is what he
 * gets.  False: what he has been served remains his answer.
 */
bool
cx_revalidate_value(CxFetch *f, CxLoaded *loaded)
{
	Refresh		r = {f, loaded};

	return is_own_turn(f) && cx_try(run_value, &r, cx_try_tolerates_all);
}

static void
run_rows(void *arg)
{
	Refresh    *r = arg;

	r->rows = cx_compute_rows(r->f, r->check, r->arg);
}

/* The same for a set of rows; NULL: what was served remains the answer. */
CxRows *
cx_revalidate_rows(CxFetch *f, CxCheckColumns check, void *arg)
{
	Refresh		r = {f, NULL, NULL, check, arg};

	return is_own_turn(f) && cx_try(run_rows, &r, cx_try_tolerates_all)
		? r.rows : NULL;
}
