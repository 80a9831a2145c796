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

#include "cx_errands.h"
#include "cx_guc.h"
#include "cx_jobs.h"
#include "cx_roster.h"
#include "cx_step.h"
#include "cx_visitor.h"
#include "cx_visits.h"
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

/* Runs one warmer and notes what came of it. */
static void
attend(const CxWarmer *w)
{
	MemoryContext context = CurrentMemoryContext;
	Run			r = {w, 0};
	char	   *message;
	bool		found;

	if (!cx_step_open_books())
		return;
	found = cx_roster_start(w);
	cx_step_close_books(context);
	if (!found)
		return;

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
		return;
	cx_roster_finish(w, r.entries, message);
	cx_step_close_books(context);
}

/* Runs what is due; returns when to come again. */
static TimestampTz
visit(void)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext keep = AllocSetContextCreate(context, "cachex visit",
											   ALLOCSET_DEFAULT_SIZES);
	TimestampTz next = CX_VISIT_NEVER;
	MemoryContext transaction;
	List	   *due;
	ListCell   *lc;

	if (!cx_step_open_books())
		return CX_VISIT_NEVER;
	transaction = MemoryContextSwitchTo(keep);
	due = cx_roster_due(cx_visits_since());
	MemoryContextSwitchTo(transaction);
	cx_step_close_books(keep);

	foreach(lc, due)
	{
		CHECK_FOR_INTERRUPTS();
		attend(lfirst(lc));
	}
	cx_errands_run();

	if (!cx_step_open_books())
		return CX_VISIT_NEVER;
	if (!cx_roster_next(cx_visits_since(), &next))
		next = CX_VISIT_NEVER;
	next = Min(next, cx_jobs_next());
	cx_step_close_books(context);
	return cx_errands_linger(next);
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
	cx_visits_done(visit());
	proc_exit(0);
}
