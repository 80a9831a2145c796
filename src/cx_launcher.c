/*
 * cx_launcher.c
 *	  Who starts a worker that visits a database, and who may not be
 *	  bothered by one?
 *
 * A process of its own starts a worker for each database that is to be
 * visited, and sleeps until the next one is.  It is attached to no database;
 * of the catalogs it reads pg_database only.  A database that does not exist
 * any more, takes no connections, is a template, or is not named by
 * cachex.databases is forgotten when its turn comes.
 *
 * Sessions ask for visits when they commit.  Commands that need a database,
 * or the extension's tables, for themselves hold the visits until their
 * transaction has ended.
 *
 * Locking: none while the launcher sleeps or starts a worker.
 *
 * Not done here: the array of visits (cx_visits.c), the visit (cx_visitor.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "cx_compat.h"
#include "cx_guc.h"
#include "cx_launcher.h"
#include "cx_visits.h"
#include "cx_waits.h"

#define RESTART_SECONDS 5
#define MAX_INTERESTS	16		/* databases that one transaction names */

/* A worker that was asked for. */
typedef struct Started
{
	CxVisit		visit;
	BackgroundWorkerHandle *handle;
} Started;

/* What the current transaction does at its end for a database. */
typedef struct Interest
{
	Oid			db;
	bool		ask;			/* have it visited, if this commits */
	bool		held;			/* release it */
} Interest;

static Interest interests[MAX_INTERESTS];
static int	ninterests = 0;

/* both in TopMemoryContext */
static List *started = NIL;
static List *waiting = NIL;		/* OIDs of databases without a place */

static bool told_full = false;
static bool told_no_worker = false;

/* ---- set up ---- */

Size
cx_launcher_size(void)
{
	return add_size(MAXALIGN(cx_visits_size()), cx_waits_size());
}

void
cx_launcher_init(void *memory)
{
	cx_visits_init(memory);
	cx_waits_init((char *) memory + MAXALIGN(cx_visits_size()));
}

/* Registers the launcher; called once, from _PG_init. */
void
cx_launcher_register(void)
{
	BackgroundWorker worker = {0};

	/* it would visit databases of a cluster that is being upgraded */
	if (IsBinaryUpgrade)
		return;
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_SECONDS;
	strlcpy(worker.bgw_name, "cachex launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "cachex launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, CX_COMPAT_LIBRARY, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "cx_launcher_main", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

/* ---- sessions ---- */

static void
end_interests(bool committed)
{
	int			n = ninterests;

	ninterests = 0;
	for (int i = 0; i < n; i++)
	{
		if (interests[i].held)
			cx_visits_release(interests[i].db);
		if (interests[i].ask && committed)
			cx_visits_due_now(interests[i].db);
	}
}

static void
xact_cb(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		end_interests(event == XACT_EVENT_COMMIT);
}

static void
exit_cb(int code, Datum arg)
{
	end_interests(false);
}

/* The entry of a database, a new one if there is none; NULL: all are taken. */
static Interest *
interest_in(Oid db)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(xact_cb, NULL);
		before_shmem_exit(exit_cb, (Datum) 0);
		registered = true;
	}
	for (int i = 0; i < ninterests; i++)
	{
		if (interests[i].db == db)
			return &interests[i];
	}
	if (ninterests == MAX_INTERESTS)
		return NULL;
	memset(&interests[ninterests], 0, sizeof(Interest));
	interests[ninterests].db = db;
	return &interests[ninterests++];
}

/*
 * Has a database visited as soon as the current transaction has committed;
 * one that aborts, or is prepared, asks for nothing.
 */
void
cx_launcher_ask_at_commit(Oid db)
{
	Interest   *interest = interest_in(db);

	if (interest)
		interest->ask = true;
}

/*
 * Keeps our workers out of a database until the current transaction ends, and
 * returns when none is there any more.  The caller holds no lock that a
 * worker's exit could wait for.  Can be cancelled; the hold then ends with
 * the transaction like any other.
 */
void
cx_launcher_hold_database(Oid db)
{
	Interest   *interest = interest_in(db);

	if (interest == NULL || interest->held)
		return;
	interest->held = cx_visits_hold(db);
	cx_visits_wait(db);
}

/* Whether cachex.databases names a database. */
bool
cx_launcher_serves(const char *database)
{
	char	   *raw = pstrdup(cx_guc_databases ? cx_guc_databases : "");
	List	   *names;
	ListCell   *lc;

	if (!SplitIdentifierString(raw, ',', &names))
		return false;
	foreach(lc, names)
	{
		const char *name = lfirst(lc);

		if (strcmp(name, "*") == 0 || strcmp(name, database) == 0)
			return true;
	}
	return false;
}

/* ---- databases ---- */

static bool
is_served(Form_pg_database form)
{
	/* below -1: what an interrupted DROP DATABASE leaves */
	return form->datallowconn && !form->datistemplate &&
		form->datconnlimit >= -1 &&
		cx_launcher_serves(NameStr(form->datname));
}

/* The OIDs of the databases that are served, in the caller's context. */
static List *
read_databases(void)
{
	MemoryContext keep = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (is_served(form))
		{
			MemoryContext old = MemoryContextSwitchTo(keep);

			databases = lappend_oid(databases, form->oid);
			MemoryContextSwitchTo(old);
		}
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(keep);
	return databases;
}

/* Gives places to databases that wait for one, as far as there are any. */
static void
seat(void)
{
	while (waiting != NIL && cx_visits_make_due(linitial_oid(waiting)))
		waiting = list_delete_first(waiting);
	if (cx_visits_crowded() && !told_full)
	{
		told_full = true;
		ereport(LOG,
				(errmsg("more databases need cachex workers than there are places; they are visited in turn")));
	}
}

static void
visit_all(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	list_free(waiting);
	waiting = read_databases();
	MemoryContextSwitchTo(old);
}

/* ---- workers ---- */

static void
remember(const CxVisit *visit, BackgroundWorkerHandle *handle)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Started    *s = palloc(sizeof(Started));

	s->visit = *visit;
	s->handle = handle;
	started = lappend(started, s);
	MemoryContextSwitchTo(old);
}

/* Asks the postmaster for a worker, and gives the visit up without one. */
static void
start(Oid db)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;
	CxVisit		visit;
	MemoryContext old;
	bool		registered;

	cx_visits_begin(db, &visit);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	snprintf(worker.bgw_name, BGW_MAXLEN, "cachex worker of database %u", db);
	strlcpy(worker.bgw_type, "cachex worker", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, CX_COMPAT_LIBRARY, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "cx_visitor_main", BGW_MAXLEN);
	memcpy(worker.bgw_extra, &visit, sizeof(visit));

	old = MemoryContextSwitchTo(TopMemoryContext);
	registered = RegisterDynamicBackgroundWorker(&worker, &handle);
	MemoryContextSwitchTo(old);
	if (registered)
		remember(&visit, handle);
	else
	{
		cx_visits_failed(&visit);
		cx_waits_refuse(db, CX_WAIT_NO_WORKER);
	}
	if (!registered && !told_no_worker)
		ereport(LOG,
				(errmsg("no background worker is free for cachex"),
				 errhint("Consider increasing max_worker_processes.")));
	told_no_worker = !registered;
}

/* Forgets the workers that have ended. */
static void
reap(void)
{
	ListCell   *lc;

	foreach(lc, started)
	{
		Started    *s = lfirst(lc);
		pid_t		pid;

		if (GetBackgroundWorkerPid(s->handle, &pid) != BGWH_STOPPED)
			continue;
		cx_visits_failed(&s->visit);
		started = foreach_delete_current(started, lc);
		pfree(s->handle);
		pfree(s);
	}
}

/* Starts what is due; returns when to look again. */
static TimestampTz
start_due(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz due;
	List	   *databases = NIL;
	Oid			db;

	reap();
	if (cx_visits_all_due(now))
		visit_all();
	seat();
	while (OidIsValid(db = cx_visits_next(now, &due)))
	{
		if (databases == NIL)
			databases = read_databases();
		if (list_member_oid(databases, db))
			start(db);
		else
		{
			cx_visits_forget(db);
			cx_waits_refuse(db, CX_WAIT_NOT_SERVED);
		}
		seat();
	}
	return due;
}

/* ---- main ---- */

static void
detach_cb(int code, Datum arg)
{
	cx_visits_attach(NULL);
}

static void
handle_signals(void)
{
	CHECK_FOR_INTERRUPTS();
	if (ShutdownRequestPending)
		proc_exit(1);			/* 1: to be started again, unless at the end */
	if (ConfigReloadPending)
	{
		char	   *before = pstrdup(cx_guc_databases);

		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		if (strcmp(before, cx_guc_databases) != 0)
			visit_all();
	}
}

static void
sleep_until(TimestampTz due)
{
	int			events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;
	int64		ms = -1;

	if (due != CX_VISIT_NEVER)
	{
		ms = (due - GetCurrentTimestamp()) / 1000 + 1;
		ms = Min(Max(ms, 0), INT_MAX);
		events |= WL_TIMEOUT;
	}
	(void) WaitLatch(MyLatch, events, (long) ms, PG_WAIT_EXTENSION);
}

/* Entry point of the worker. */
void
cx_launcher_main(Datum main_arg)
{
	MemoryContext round;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	before_shmem_exit(detach_cb, (Datum) 0);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	cx_visits_attach(MyLatch);
	round = AllocSetContextCreate(TopMemoryContext, "cachex round",
								  ALLOCSET_SMALL_SIZES);

	for (;;)
	{
		ResetLatch(MyLatch);
		handle_signals();
		MemoryContextReset(round);
		MemoryContextSwitchTo(round);
		sleep_until(start_due());
	}
}
