/*
 * cx_sweeper.c
 *	  When does the memory of entries that are gone come back?
 *
 * A worker sleeps until the wheel's next bucket is due or somebody sets its
 * latch (cx_wake), does what there is to do in bounded steps, and sleeps
 * again.  With nothing due it does not run at all, however many entries there
 * are.  Correctness does not wait for it: a hit looks at the entry's own time
 * and generations, and who needs memory evicts.
 *
 * It has no database connection, so it holds up no DROP DATABASE, and no
 * state: one that dies is started again and looks at everything.
 *
 * Locking: none while it sleeps; see cx_reclaim.c for the steps.
 *
 * Not done here: what is dead (cx_reclaim.c), who has to wake it (cx_wake.c).
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "cx_compat.h"
#include "cx_guc.h"
#include "cx_reclaim.h"
#include "cx_slot.h"
#include "cx_sweeper.h"
#include "cx_wake.h"

#define RESTART_SECONDS 5

/* An expiry within the wheel's second of what is due needs no wake-up. */
#define WHEEL_SECOND USECS_PER_SEC

/* Called once, from _PG_init. */
void
cx_sweeper_register(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = RESTART_SECONDS;
	strlcpy(worker.bgw_name, "cachex sweeper", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "cachex sweeper", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, CX_COMPAT_LIBRARY, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "cx_sweeper_main", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

static void
unregister_cb(int code, Datum arg)
{
	cx_wake_register(NULL);
}

static void
handle_signals(void)
{
	CHECK_FOR_INTERRUPTS();
	if (ShutdownRequestPending)
		proc_exit(1);			/* 1: to be started again, unless at the end */
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

static void
sweep(void)
{
	TimestampTz now = GetCurrentTimestamp();

	while (cx_reclaim_sweep(now))
		handle_signals();
}

/*
 * Tells the others how long nobody looks, then looks once more: what they did
 * before they could know is found now, what they do later wakes us.  Returns
 * whether it is safe to sleep until *due.
 */
static bool
announce(TimestampTz *due)
{
	*due = cx_reclaim_next_due();
	cx_wake_sleep_until(*due == CX_NEVER ? CX_NEVER : *due - WHEEL_SECOND);
	return !cx_reclaim_sweep(GetCurrentTimestamp()) &&
		cx_reclaim_next_due() >= *due;
}

/* Milliseconds to sleep, at most; -1: until the latch is set. */
static long
pause_until(TimestampTz due)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		ms = -1;

	if (due != CX_NEVER)
		ms = due <= now ? 0 : (due - now) / 1000 + 1;
	if (cx_guc_sweep_interval >= 0)
	{
		int64		longest = (int64) Max(cx_guc_sweep_interval, 1) * 1000;

		ms = ms < 0 ? longest : Min(ms, longest);
	}
	return (long) Min(ms, INT_MAX);
}

static void
sleep_until(TimestampTz due)
{
	long		ms = pause_until(due);
	int			events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;

	if (ms >= 0)
		events |= WL_TIMEOUT;
	(void) WaitLatch(MyLatch, events, ms, PG_WAIT_EXTENSION);
}

/* Entry point of the worker. */
void
cx_sweeper_main(Datum main_arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	before_shmem_exit(unregister_cb, (Datum) 0);
	BackgroundWorkerUnblockSignals();
	cx_wake_register(MyLatch);

	for (;;)
	{
		TimestampTz due;

		ResetLatch(MyLatch);
		handle_signals();
		sweep();
		if (announce(&due))
			sleep_until(due);
	}
}
