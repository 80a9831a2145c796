/*
 * cx_errands.c
 *	  When does a visiting worker run jobs and the requests of readers?
 *
 * Requests go first, since readers are served something old meanwhile: before
 * each job, and for a second after the last one, so that a key that is asked
 * for again and again does not start a process each time.  Jobs are run one
 * after the other for a minute at most, or some seconds when somebody asks for
 * a visit; then the worker leaves, and the next one begins with the warmers.
 * However fast requests come, there is a job after so many of them.
 *
 * A setting of an application stays in the process that it was ever set in, if
 * only as an empty string.  Such a process is no longer like a new session: it
 * goes on with requests that name the same settings, and leaves to another
 * what does not.  Nor does it run anything for another role than the first
 * (cx_secure.c).  For a second it runs what is for that one, so that roles that
 * are busy at the same time do not cost a process for each thing; then it leaves
 * the rest to the next process.  That begins with another kind of work, with a
 * job in one of three visits, so that neither warmers nor jobs nor requests have
 * to wait for all of another kind.
 *
 * Locking: none on entry or return of any function.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "cx_errands.h"
#include "cx_jobs.h"
#include "cx_refresh.h"
#include "cx_secure.h"
#include "cx_settings.h"
#include "cx_step.h"
#include "cx_visits.h"
#include "cx_waits.h"

#define LINGER_MS	1000		/* after the last request */
#define LONGEST_MS		10000	/* of lingering, for the sake of other
								 * databases */
#define JOBS_MS		60000		/* in one visit */
#define SERVE_MS	1000		/* of requests, before something else */
#define ASKED_MS	2000		/* in one visit, when another is asked for */
#define SLICE_MS	1000		/* for one role, while others wait */
#define SOON_MS		1000		/* jobs may be left to do */

#define AT_ONCE		((TimestampTz) 0)

/* the settings of a new session, as cx_settings_write has them */
static StringInfoData defaults;
static int	placeholders;		/* at the beginning */

static TimestampTz began;		/* when the worker had connected */
static TimestampTz last_request = 0;
static bool unfit = false;		/* for what another has to run */

/*
 * Called once, when the worker has connected and has the settings that the
 * database has.
 */
void
cx_errands_begin(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	initStringInfo(&defaults);
	MemoryContextSwitchTo(old);
	cx_secure_name_superuser();
	cx_settings_write(&defaults);
	placeholders = cx_settings_placeholders();
	began = GetCurrentTimestamp();
}

/* Whether this process is not as a new one would be. */
static bool
is_worn(void)
{
	return cx_settings_placeholders() != placeholders;
}

/* Whether another process has to do the rest. */
static bool
is_to_leave(void)
{
	return unfit || ConfigReloadPending;
}

/* Whether what others wait for may wait a little more. */
static bool
is_own_slice(void)
{
	return !TimestampDifferenceExceeds(began, GetCurrentTimestamp(), SLICE_MS);
}

/* ---- requests ---- */

/* Takes and runs a request; false: there is none, or none for this process. */
static bool
serve_one(void)
{
	uint64		ticket;
	CxRefresh	r;

	if (!(is_own_slice() && cx_requests_take(MyDatabaseId, true, &r, &ticket)) &&
		!cx_requests_take(MyDatabaseId, false, &r, &ticket))
		return false;
	if (!cx_secure_belongs_to(r.session, r.role) ||
		(is_worn() && !cx_settings_cover(r.settings, r.settings_len)))
	{
		cx_requests_give_back(ticket);
		unfit = true;
		return false;
	}
	cx_requests_done(ticket, cx_refresh_run(&r));
	return true;
}

/* Runs the requests that are there, for some time. */
static void
serve(MemoryContext context)
{
	TimestampTz start = GetCurrentTimestamp();

	while (!is_to_leave() &&
		   !TimestampDifferenceExceeds(start, GetCurrentTimestamp(), SERVE_MS) &&
		   serve_one())
	{
		last_request = GetCurrentTimestamp();
		MemoryContextReset(context);
		CHECK_FOR_INTERRUPTS();
	}
}

/* ---- jobs ---- */

/*
 * Takes a job into the current memory context; false: none is due, or none for
 * this process.
 */
static bool
take_job(CxJob *job)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext transaction;
	CxTaken		taken;

	if (!cx_step_open_books())
		return false;
	transaction = MemoryContextSwitchTo(context);
	taken = cx_jobs_take(is_own_slice(), job);
	unfit = unfit || taken == CX_TAKEN_OTHERS;
	if (taken == CX_TAKEN && job->refresh.settings == NULL)
	{
		StringInfoData settings;

		initStringInfo(&settings);
		appendBinaryStringInfo(&settings, defaults.data, defaults.len);
		cx_jobs_role_settings(job->refresh.role, &settings);
		job->refresh.settings = settings.data;
		job->refresh.settings_len = settings.len;
	}
	MemoryContextSwitchTo(transaction);
	cx_step_close_books(context);
	return taken == CX_TAKEN;
}

/* Runs a job and notes what came of it; false: there is none for this process. */
static bool
run_job(void)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *message;
	CxJob		job;

	if (!take_job(&job))
		return false;
	message = cx_refresh_run(&job.refresh);
	if (cx_step_open_books())
	{
		cx_jobs_finish(&job, message);
		cx_step_close_books(context);
	}
	return true;
}

static void
note(void (*step) (void), MemoryContext context)
{
	if (!cx_step_open_books())
		return;
	step();
	cx_step_close_books(context);
}

/* ---- a visit ---- */

/*
 * Whether others wait for the next visit: one is asked for, or sessions wait for
 * warmers, who may have asked for a visit before this one had begun.
 */
static bool
is_awaited(void)
{
	int64		warmers[CX_MAX_WAITS];
	bool		asked = cx_visits_listen();

	return cx_waits_wanted(MyDatabaseId, warmers) > 0 || asked;
}

/* Runs requests and the jobs that are due; a job first, if so told. */
void
cx_errands_run(bool job_first)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "cachex errand",
												  ALLOCSET_DEFAULT_SIZES);
	TimestampTz start = GetCurrentTimestamp();
	bool		more = true;
	bool		asked = false;

	MemoryContextSwitchTo(context);
	note(cx_jobs_adopt, context);
	if (job_first && !is_worn())
		(void) run_job();
	while (more && !is_to_leave() &&
		   !TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
									   asked ? ASKED_MS : JOBS_MS))
	{
		CHECK_FOR_INTERRUPTS();
		asked = is_awaited();
		serve(context);
		more = !is_worn() && run_job();
		MemoryContextReset(context);
	}
	note(cx_jobs_clean, context);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* Waits for a wake-up; what set the latch is looked at afterwards. */
static void
doze(TimestampTz until)
{
	long		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ms, PG_WAIT_EXTENSION);
	CHECK_FOR_INTERRUPTS();
}

/*
 * At the end of a visit: runs what readers ask for until nobody has for a
 * while, next is reached, a visit is asked for, or other databases have waited
 * long enough.  Returns next, or that somebody has to come at once.
 */
TimestampTz
cx_errands_linger(TimestampTz next)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "cachex errand",
												  ALLOCSET_DEFAULT_SIZES);
	TimestampTz last = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												   LONGEST_MS);
	TimestampTz until;
	bool		asked;

	MemoryContextSwitchTo(context);
	do
	{
		ResetLatch(MyLatch);
		asked = cx_visits_listen();
		serve(context);
		until = TimestampTzPlusMilliseconds(last_request, LINGER_MS);
		until = Min(Min(until, next), last);
		if (asked || is_to_leave() || GetCurrentTimestamp() >= until)
			break;
		CHECK_FOR_INTERRUPTS();
		if (!cx_requests_waiting(MyDatabaseId))
			doze(until);
	} while (true);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	if (unfit)
		return AT_ONCE;
	if ((is_worn() || is_to_leave() || GetCurrentTimestamp() >= last) &&
		(cx_requests_waiting(MyDatabaseId) ||
		 next <= TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
											 SOON_MS)))
		return AT_ONCE;
	return next;
}
