/*
 * cx_revalidate.c
 *	  Who refreshes an entry that a caller has been served, and is due?
 *
 * A worker does, if one can be asked; else this caller, if no other session
 * does already.  An error of the loader is not the caller's then: he has an
 * answer.  With cachex.synchronous this caller always does, also where that
 * cannot be kept.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/timestamp.h"

#include "cx_counters.h"
#include "cx_guc.h"
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

/* Has a worker do what a fetch that has begun would, unless it just failed. */
static CxRequested
ask_worker(const CxFetch *f)
{
	uint64		id = cx_fetch_id(f);
	uint64		ticket;
	bool		running;
	CxRefresh	r;

	/* most ask for what has been asked for */
	if (cx_requests_is_needless(id))
		return CX_REQUEST_PENDING;
	cx_parcel_of_fetch(f, &r);
	return cx_requests_put_awaited(id, &r, &ticket, &running);
}

/* Whether a worker does it, now or soon. */
static bool
is_delegated(CxFetch *f)
{
	CxRequested requested;

	/* what this session has set by name the worker would not have */
	if (f->other_settings || cx_guc_synchronous)
		return false;
	requested = ask_worker(f);
	if (requested == CX_REQUEST_QUEUED)
		cx_counters_add(f->ask.cache->number, CX_REFRESHES, 1);
	return requested != CX_REQUEST_REFUSED;
}

/* Whether another session has just stored a newer entry. */
static bool
is_done(CxFetch *f)
{
	CxHit		hit;
	CxStatus	status;

	f->ask.now = GetCurrentTimestamp();
	status = cx_cache_lookup(&f->ask, false, &hit);
	cx_store_release(&hit);
	return status != CX_MISS && hit.gen != f->old_gen;
}

/* Whether the caller may do it beside others; he has the claim then. */
static bool
claim(CxFetch *f)
{
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
		cx_flight_is_alone(f->ask.ident.id, f->loader, f->ask.now) ||
		!cx_flight_claim(&f->claim, f->ask.ident.id, f->loader))
		return false;
	/* whoever had the claim before may have finished since the look-up */
	if (!is_done(f))
		return true;
	cx_flight_release(&f->claim);
	return false;
}

/*
 * Whether the caller has to do it.  What a transaction loads that has written
 * would not be kept.
 */
static bool
is_own_turn(CxFetch *f)
{
	if (!cx_fetch_find_cache_again(f) || !cx_catalog_usable(f->ask.cache) ||
		is_done(f) || is_delegated(f) || IsInParallelMode() ||
		!(cx_guc_synchronous || claim(f)))
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

/* Runs it, if it is the caller's turn; false: there is no new answer. */
static bool
refresh(Refresh *r, void (*run) (void *arg))
{
	bool		done;

	if (!is_own_turn(r->f))
		return false;
	done = cx_try(run, r, cx_try_tolerates_all);
	/* the claim is older than the subtransaction, and may have survived it */
	cx_flight_release(&r->f->claim);
	/* not again with every reader */
	if (!done)
		cx_flight_leave_alone(r->f->ask.ident.id, r->f->loader,
							  GetCurrentTimestamp());
	return done;
}

/*
 * Has the value refreshed; true: by the caller himself, and loaded is what he
 * gets.  False: what he has been served remains his answer.
 */
bool
cx_revalidate_value(CxFetch *f, CxLoaded *loaded)
{
	Refresh		r = {f, loaded};

	return refresh(&r, run_value);
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

	return refresh(&r, run_rows) ? r.rows : NULL;
}
