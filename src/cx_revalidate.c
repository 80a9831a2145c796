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

/*
 * Whether the caller has to do it; he has the claim then.  A transaction that
 * has written would not be kept what it loads.
 */
static bool
is_own_turn(CxFetch *f)
{
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
		IsInParallelMode() ||
		cx_flight_is_alone(f->ask.ident.id, f->loader, f->ask.now) ||
		!cx_fetch_find_cache_again(f) ||
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
