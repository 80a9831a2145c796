/*
 * cx_visitor.c
 *	  What does a worker do in the database that it visits?
 *
 * It runs what is due, one after the other, says when to come again, and
 * exits.  What it does before and after each run is in transactions of their
 * own, so no lock on a table of the extension is held while a query runs, and
 * the extension can be dropped.
 *
 * Locking: none on entry or return of any function.
 *
 * Not done here: which warmers are due (cx_roster.c), what one does
 * (cx_warmer.c), jobs and what readers ask for (cx_errands.c), starting the
 * worker (cx_launcher.c).
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cx_catalog.h"
#include "cx_errands.h"
#include "cx_guc.h"
#include "cx_jobs.h"
#include "cx_roster.h"
#include "cx_secure.h"
#include "cx_step.h"
#include "cx_tier_visit.h"
#include "cx_visitor.h"
#include "cx_visits.h"
#include "cx_waits.h"
#include "cx_warmer.h"

/* ---- one warmer ---- */

typedef struct Run
{
	const CxWarmer *warmer;
	int64		entries;
} Run;

static void
run(void *arg)
{
	Run		   *run = arg;

	run->entries = cx_warmer_run(run->warmer);
}

/* Whether this process may run a warmer, as the owner of its cache. */
static bool
is_ours(const CxWarmer *w)
{
	CxCache    *cache = cx_catalog_find(w->cache, strlen(w->cache));

	return cache == NULL || cx_secure_belongs_to(cache->owner, cache->owner);
}

/*
 * Runs one warmer and notes what came of it.  Returns whether another process
 * has to do it.
 */
static bool
attend(const CxWarmer *w)
{
	MemoryContext context = CurrentMemoryContext;
	Run			r = {w, 0};
	char	   *message;
	bool		ours;
	bool		found;

	if (!cx_step_open_books())
		return false;
	ours = is_ours(w);
	found = ours && cx_roster_start(w);
	cx_step_close_books(context);
	if (!ours)
		return true;
	if (!found)
	{
		cx_waits_missing(MyDatabaseId, w->id);
		return false;
	}

	cx_waits_begin(MyDatabaseId, w->id);
	cx_visits_set_running(w->cache, w->name);
	debug_query_string = w->query;
	pgstat_report_activity(STATE_RUNNING, w->query);
	message = cx_step_try(run, &r, cx_guc_warmer_timeout);
	pgstat_report_activity(STATE_IDLE, NULL);
	debug_query_string = NULL;
	cx_visits_set_running(NULL, NULL);
	if (message)
		ereport(LOG,
				(errmsg("warmer \"%s\" of cache \"%s\" failed: %s",
						w->name, w->cache, message)));

	if (!cx_step_open_books())
		return false;
	cx_roster_finish(w, r.entries, message);
	if (w->required)
		cx_roster_publish();
	cx_step_close_books(context);
	cx_waits_done(MyDatabaseId, w->id, message);
	return false;
}

/* Tells those who wait for warmers that are not to be seen. */
static void
report_missing(const int64 *wanted, int nwanted, List *due)
{
	for (int i = 0; i < nwanted; i++)
	{
		bool		found = false;
		ListCell   *lc;

		foreach(lc, due)
			found = found || ((CxWarmer *) lfirst(lc))->id == wanted[i];
		if (!found)
			cx_waits_missing(MyDatabaseId, wanted[i]);
	}
}

/* Runs the warmers that are due; returns whether some are left to another. */
static bool
run_warmers(void)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext keep = AllocSetContextCreate(context, "cachex visit",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext transaction;
	List	   *due;
	ListCell   *lc;
	int64		wanted[CX_MAX_WAITS];
	int			nwanted;
	bool		left = false;

	if (!cx_step_open_books())
		return false;
	transaction = MemoryContextSwitchTo(keep);
	/* whoever asks from here on has asked for another visit as well */
	nwanted = cx_waits_wanted(MyDatabaseId, wanted);
	due = cx_roster_due(wanted, nwanted);
	cx_roster_publish();
	MemoryContextSwitchTo(transaction);
	cx_step_close_books(keep);
	report_missing(wanted, nwanted, due);

	foreach(lc, due)
	{
		CHECK_FOR_INTERRUPTS();
		left = attend(lfirst(lc)) || left;
	}
	MemoryContextSwitchTo(context);
	MemoryContextDelete(keep);
	return left;
}

/*
 * Runs what is due, another kind of it first in each of three visits; returns
 * when to come again.
 */
static TimestampTz
visit(uint32 ticket)
{
	MemoryContext context = CurrentMemoryContext;
	TimestampTz next = CX_VISIT_NEVER;
	TimestampTz stored;
	bool		left;

	if (ticket % 3 == 1)
	{
		left = run_warmers();
		cx_errands_run(false);
	}
	else
	{
		cx_errands_run(ticket % 3 == 2);
		left = run_warmers();
	}
	stored = cx_tier_visit();

	if (!cx_step_open_books())
		return CX_VISIT_NEVER;
	if (!cx_roster_next(&next))
		next = CX_VISIT_NEVER;
	next = Min(Min(next, stored), cx_jobs_next());
	cx_step_close_books(context);
	return left ? 0 : cx_errands_linger(next);
}

/* Entry point of the worker. */
void
cx_visitor_main(Datum main_arg)
{
	CxVisit		me;

	memcpy(&me, MyBgworkerEntry->bgw_extra, sizeof(me));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	if (!cx_visits_enter(&me))
		proc_exit(0);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(me.db, InvalidOid, 0);
	cx_errands_begin();
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET,
					PGC_S_OVERRIDE);
	cx_visits_done(visit(me.ticket));
	proc_exit(0);
}
