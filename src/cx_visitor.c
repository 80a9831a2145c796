/*
 * cx_visitor.c
 *	  What does a worker do in the database that it visits?
 *
 * It runs what is due, one after the other, says when to come again, and
 * exits.  What it does before and after each run is in transactions of their
 * own, so no lock on a table of the extension is held while a query runs, and
 * the extension can be dropped.
 *
 * A query runs in a read-only transaction with a timeout.  Settings, cursors
 * and advisory locks that it leaves behind are gone before the next one runs.
 * An error is noted, and ends no more than the one run.
 *
 * Locking: none on entry or return of any function.
 *
 * Not done here: which warmers are due (cx_roster.c), what one does
 * (cx_warmer.c), starting the worker (cx_launcher.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "cx_guc.h"
#include "cx_roster.h"
#include "cx_visitor.h"
#include "cx_visits.h"
#include "cx_waits.h"
#include "cx_warmer.h"

#define BOOKS_TIMEOUT_MS 30000	/* for each statement on our own tables */
#define MAX_ERROR_LEN 1000		/* bytes of a message that are kept */

/* ---- transactions ---- */

/* As for any transaction here, whatever the database's own settings are. */
static void
start_transaction(bool read_only)
{
	StartTransactionCommand();
	XactReadOnly = read_only;
	XactIsoLevel = XACT_READ_COMMITTED;
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
commit_transaction(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* One that fires at the last moment must not hit what comes next. */
static void
stop_timeout(void)
{
	disable_timeout(STATEMENT_TIMEOUT, false);
	QueryCancelPending = false;
}

/* After an error: its message, in the given context. */
static char *
recover(MemoryContext context)
{
	ErrorData  *error;
	char	   *message;
	int			len;

	HOLD_INTERRUPTS();
	stop_timeout();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(context);
	len = pg_mbcliplen(error->message, (int) strlen(error->message),
					   MAX_ERROR_LEN);
	message = pnstrdup(error->message, len);
	FreeErrorData(error);
	RESUME_INTERRUPTS();
	return message;
}

/* ---- one warmer ---- */

static int64
run(const CxWarmer *w)
{
	int64		n;

	start_transaction(true);
	if (cx_guc_warmer_timeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, cx_guc_warmer_timeout);
	n = cx_warmer_run(w);
	stop_timeout();
	commit_transaction();
	return n;
}

/* Runs a warmer; returns the message of its error, or NULL. */
static char *
try_run(const CxWarmer *w, int64 *entries)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *volatile message = NULL;

	PG_TRY();
	{
		*entries = run(w);
	}
	PG_CATCH();
	{
		message = recover(context);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	LockReleaseAll(USER_LOCKMETHOD, true);
	return message;
}

/* ---- a visit ---- */

/* Begins a step on our own tables; false: there are none. */
static bool
open_books(void)
{
	start_transaction(false);
	if (cx_roster_exists())
	{
		enable_timeout_after(STATEMENT_TIMEOUT, BOOKS_TIMEOUT_MS);
		return true;
	}
	commit_transaction();
	return false;
}

static void
close_books(MemoryContext context)
{
	stop_timeout();
	commit_transaction();
	MemoryContextSwitchTo(context);
}

/* Runs one warmer and notes what came of it. */
static void
attend(const CxWarmer *w)
{
	MemoryContext context = CurrentMemoryContext;
	int64		entries = 0;
	char	   *message;
	bool		found;

	if (!open_books())
		return;
	found = cx_roster_start(w);
	close_books(context);
	if (!found)
	{
		cx_waits_missing(MyDatabaseId, w->id);
		return;
	}

	cx_waits_begin(MyDatabaseId, w->id);
	cx_visits_set_running(w->cache, w->name);
	debug_query_string = w->query;
	pgstat_report_activity(STATE_RUNNING, w->query);
	message = try_run(w, &entries);
	pgstat_report_activity(STATE_IDLE, NULL);
	debug_query_string = NULL;
	cx_visits_set_running(NULL, NULL);
	if (message)
		ereport(LOG,
				(errmsg("warmer \"%s\" of cache \"%s\" failed: %s",
						w->name, w->cache, message)));

	if (!open_books())
		return;
	cx_roster_finish(w, entries, message);
	if (w->required)
		cx_roster_publish();
	close_books(context);
	cx_waits_done(MyDatabaseId, w->id, message);
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
	int64		wanted[CX_MAX_WAITS];
	int			nwanted;

	if (!open_books())
		return CX_VISIT_NEVER;
	transaction = MemoryContextSwitchTo(keep);
	/* whoever asks from here on has asked for another visit as well */
	nwanted = cx_waits_wanted(MyDatabaseId, wanted);
	due = cx_roster_due(wanted, nwanted);
	cx_roster_publish();
	MemoryContextSwitchTo(transaction);
	close_books(keep);
	report_missing(wanted, nwanted, due);

	foreach(lc, due)
	{
		CHECK_FOR_INTERRUPTS();
		attend(lfirst(lc));
	}

	if (!open_books())
		return CX_VISIT_NEVER;
	if (!cx_roster_next(&next))
		next = CX_VISIT_NEVER;
	close_books(context);
	return next;
}

/* Entry point of the worker. */
void
cx_visitor_main(Datum main_arg)
{
	CxVisit		me;

	memcpy(&me, MyBgworkerEntry->bgw_extra, sizeof(me));
	pqsignal(SIGTERM, die);
	if (!cx_visits_enter(&me))
		proc_exit(0);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(me.db, InvalidOid, 0);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET,
					PGC_S_OVERRIDE);
	cx_visits_done(visit());
	proc_exit(0);
}
