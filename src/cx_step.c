/*
 * cx_step.c
 *	  One step of a background worker: somebody's query that may go wrong, or
 *	  a note in the extension's own tables.
 *
 * A query runs in a read-only transaction with a timeout.  Settings, cursors
 * and advisory locks that it leaves behind are gone before the next one runs,
 * and an error ends no more than the one run.
 *
 * Locking: none on entry or return of any function.
 *
 * Not done here: becoming a role (cx_secure.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "cx_catalog.h"
#include "cx_step.h"

#define BOOKS_TIMEOUT_MS 30000	/* for each statement on our own tables */
#define GRACE_MS		3000	/* for a query to end when it is told to */
#define MAX_ERROR_LEN 1000		/* bytes of a message that are kept */

/* What a function can catch does not stop it; this cannot be caught. */
static TimeoutId last_resort = MAX_TIMEOUTS;

static void
end_process(void)
{
	ProcDiePending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

static void
start_timeout(int ms)
{
	if (ms <= 0)
		return;
	if (last_resort == MAX_TIMEOUTS)
		last_resort = RegisterTimeout(USER_TIMEOUT, end_process);
	enable_timeout_after(STATEMENT_TIMEOUT, ms);
	enable_timeout_after(last_resort,
						 (int) Min((int64) ms + GRACE_MS, INT_MAX));
}

/*
 * Begins a transaction, with a snapshot, whatever the database's own settings
 * are.
 */
void
cx_step_start(bool read_only)
{
	/* what now() is */
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	XactReadOnly = read_only;
	XactIsoLevel = XACT_READ_COMMITTED;
	PushActiveSnapshot(GetTransactionSnapshot());
}

/* Commits it; the memory context is that of no transaction then. */
void
cx_step_commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* One that fires at the last moment must not hit what comes next. */
static void
stop_timeout(void)
{
	disable_timeout(STATEMENT_TIMEOUT, false);
	if (last_resort != MAX_TIMEOUTS)
		disable_timeout(last_resort, false);
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

static void
run_once(CxStepRun run, void *arg, int timeout_ms)
{
	cx_step_start(true);
	start_timeout(timeout_ms);
	run(arg);
	stop_timeout();
	cx_step_commit();
}

/*
 * Has run do something in a read-only transaction; returns the message of its
 * error, in the caller's context, or NULL.  A timeout of 0 is none.
 */
char *
cx_step_try(CxStepRun run, void *arg, int timeout_ms)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *volatile message = NULL;

	PG_TRY();
	{
		run_once(run, arg, timeout_ms);
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

/*
 * Begins a transaction on the extension's tables; false: there are none, and
 * no transaction.
 */
bool
cx_step_open_books(void)
{
	cx_step_start(false);
	if (OidIsValid(cx_catalog_table("cache_definition")))
	{
		start_timeout(BOOKS_TIMEOUT_MS);
		return true;
	}
	cx_step_commit();
	return false;
}

/* Commits it, and switches to a memory context. */
void
cx_step_close_books(MemoryContext context)
{
	stop_timeout();
	cx_step_commit();
	MemoryContextSwitchTo(context);
}
