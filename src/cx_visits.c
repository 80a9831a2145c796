/*
 * cx_visits.c
 *	  Which database is to be visited next, and which is being visited?
 *
 * A visit is a short-lived worker that runs what is due in a database and
 * says when to come again.  After a server start each database is visited
 * once, then when that time comes or when a commit asks.  With nothing to do
 * no process is connected to any database.
 *
 * A database has a place in the array below while it has something to be
 * visited for, is being visited, or is held.  While held (DROP DATABASE, DROP
 * EXTENSION ...) it is not visited, and a visitor is terminated first.  When
 * all places are taken, the one that is due last is given away, and all
 * databases are visited again when it would have been due.
 *
 * Locking: one LWLock for the array; no other is taken under it.  A visitor
 * leaves the array after it has left its database (on_shmem_exit), so who
 * waits for that can drop the database at once.
 *
 * Not done here: starting workers, and what a transaction's end has to do
 * with it (cx_launcher.c); what is due within a database (cx_visitor.c).
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "cx_visits.h"
#include "cx_waits.h"

#define MAX_DATABASES	64
#define MAX_VISITORS	2		/* at the same time, in all databases */
#define PAUSE_SECONDS	5		/* after a failed visit */
#define MAX_DOUBLINGS	6		/* of the pause, for as many in a row */

#define NOW		((TimestampTz) 0)
#define NEVER	CX_VISIT_NEVER

typedef enum PlaceState
{
	IDLE,
	STARTING,					/* the postmaster was asked for a worker */
	VISITED						/* pid has it */
} PlaceState;

typedef struct Place
{
	Oid			db;				/* InvalidOid: the place is free */
	PlaceState	state;
	uint32		ticket;			/* of the last worker */
	pid_t		pid;			/* 0 unless VISITED */
	Latch	   *latch;			/* the visitor's, NULL likewise */
	bool		called;			/* since the visitor looked for requests */
	int			holds;
	bool		done;			/* the visitor has said when to come again */
	int			failures;		/* visits in a row that ended otherwise */
	TimestampTz next_due;
	TimestampTz not_before;		/* pause after a failure */
	CxRunning	running;		/* an empty name: nothing; its rows are below */
	pg_atomic_uint64 rows;		/* written without the lock */
} Place;

typedef struct Visits
{
	LWLock	   *lock;
	ConditionVariable left;		/* a visitor has left */
	Latch	   *latch;			/* of the launcher; NULL: there is none */
	TimestampTz since;			/* when this memory was new */
	TimestampTz visit_all;		/* when to visit every database */
	int			turn;			/* place after that of the last visit */
	bool		crowded;		/* there were not enough places */
	Place		place[MAX_DATABASES];
} Visits;

static Visits *visits;
static Place *mine = NULL;		/* of a visitor, which keeps it to its end */

/* ---- the array ---- */

Size
cx_visits_size(void)
{
	return sizeof(Visits);
}

void
cx_visits_init(void *memory)
{
	visits = memory;
	memset(visits, 0, sizeof(Visits));
	visits->lock = &GetNamedLWLockTranche("cachex_launcher")->lock;
	ConditionVariableInit(&visits->left);
	visits->since = GetCurrentTimestamp();
	visits->visit_all = NOW;
	for (int i = 0; i < MAX_DATABASES; i++)
		pg_atomic_init_u64(&visits->place[i].rows, 0);
}

/* When shared memory was new: what had run before has left no entries. */
TimestampTz
cx_visits_server_start(void)
{
	return visits->since;
}

static void
wake(void)
{
	Latch	   *latch = visits->latch;

	if (latch)
		SetLatch(latch);
}

/* The place of a database, or of none: a free one. */
static Place *
find_locked(Oid db)
{
	Assert(LWLockHeldByMe(visits->lock));
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (visits->place[i].db == db)
			return &visits->place[i];
	}
	return NULL;
}

/* The place that is best given away, or NULL. */
static Place *
due_last_locked(void)
{
	Place	   *last = NULL;

	Assert(LWLockHeldByMe(visits->lock));
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		Place	   *p = &visits->place[i];

		if (p->state == IDLE && p->holds == 0 && p->next_due != NOW &&
			(last == NULL || p->next_due > last->next_due))
			last = p;
	}
	return last;
}

/* The place of a database, a new one if it has none; NULL: all are taken. */
static Place *
take_locked(Oid db)
{
	Place	   *p = find_locked(db);
	uint32		ticket;

	if (p)
		return p;
	p = find_locked(InvalidOid);
	if (p == NULL)
	{
		visits->crowded = true;
		p = due_last_locked();
		if (p == NULL)
			return NULL;
		visits->visit_all = Min(visits->visit_all, p->next_due);
	}
	ticket = p->ticket;
	memset(p, 0, sizeof(Place));
	pg_atomic_init_u64(&p->rows, 0);
	p->db = db;
	p->ticket = ticket;
	p->next_due = NEVER;
	return p;
}

static void
free_if_unused_locked(Place *p)
{
	Assert(LWLockHeldByMe(visits->lock));
	if (p->state == IDLE && p->holds == 0 && p->next_due == NEVER)
		p->db = InvalidOid;
}

/* A visit is over, or has not come about. */
static void
end_visit_locked(Place *p)
{
	Assert(LWLockHeldByMe(visits->lock));
	p->state = IDLE;
	p->pid = 0;
	p->latch = NULL;
	NameStr(p->running.name)[0] = '\0';
	if (p->called || !p->done)
		p->next_due = NOW;
	if (p->done)
		p->failures = 0;
	else if (p->holds == 0)
	{
		/* it was not sent away, so it has failed */
		int			pause = PAUSE_SECONDS << Min(p->failures, MAX_DOUBLINGS);

		p->failures++;
		p->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													pause * 1000);
	}
	p->called = false;
	free_if_unused_locked(p);
}

/* ---- sessions ---- */

/* Asks for a visit at an instant, or earlier. Cannot fail. */
void
cx_visits_due_by(Oid db, TimestampTz when)
{
	Place	   *p;

	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	p = take_locked(db);
	if (p == NULL)
		visits->visit_all = Min(visits->visit_all, when);
	else
		p->next_due = Min(p->next_due, when);
	if (p && p->latch && when == NOW)
		SetLatch(p->latch);
	LWLockRelease(visits->lock);
	wake();
}

/* The same, at once. */
void
cx_visits_due_now(Oid db)
{
	cx_visits_due_by(db, NOW);
}

/*
 * Says that there is a request in shared memory: a visitor that is there looks
 * once more, else one comes at once.  False: nobody will come.  Cannot fail.
 */
bool
cx_visits_request_waits(Oid db)
{
	Place	   *p;
	bool		comes;
	bool		idle = false;

	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	p = visits->latch ? take_locked(db) : NULL;
	comes = p && p->holds == 0;
	if (comes)
	{
		idle = p->state == IDLE;
		if (idle)
			p->next_due = NOW;
		else
			p->called = true;
		if (p->latch)
			SetLatch(p->latch);
	}
	LWLockRelease(visits->lock);
	if (idle)
		wake();
	return comes;
}

/* Ends a hold. Cannot fail. */
void
cx_visits_release(Oid db)
{
	Place	   *p;

	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	p = find_locked(db);
	if (p && p->holds > 0)
	{
		p->holds--;
		free_if_unused_locked(p);
	}
	LWLockRelease(visits->lock);
	wake();
}

/* Terminates the visitor of a held database; returns whether there is one. */
static bool
terminate_visitor(Oid db)
{
	Place	   *p;
	bool		found;

	/* it clears its pid under this lock, so the pid is nobody else's */
	LWLockAcquire(visits->lock, LW_SHARED);
	p = find_locked(db);
	found = p != NULL && p->state == VISITED;
	if (found)
		kill(p->pid, SIGTERM);
	LWLockRelease(visits->lock);
	return found;
}

/*
 * Keeps new visitors out of a database until cx_visits_release.  False: no
 * place could be had; it has no visitor then.
 */
bool
cx_visits_hold(Oid db)
{
	Place	   *p;

	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	p = take_locked(db);
	if (p)
		p->holds++;
	LWLockRelease(visits->lock);
	return p != NULL;
}

/*
 * Returns when a held database has no visitor any more: it is terminated.
 * The caller holds no lock that the worker's exit could wait for.  Can be
 * cancelled.
 */
void
cx_visits_wait(Oid db)
{
	ConditionVariablePrepareToSleep(&visits->left);
	while (terminate_visitor(db))
		ConditionVariableSleep(&visits->left, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
}

/* What is being run in a database; false: nothing. */
bool
cx_visits_running(Oid db, CxRunning *running)
{
	Place	   *p;
	bool		found;

	LWLockAcquire(visits->lock, LW_SHARED);
	p = find_locked(db);
	found = p != NULL && NameStr(p->running.name)[0] != '\0';
	if (found)
	{
		*running = p->running;
		running->rows = (int64) pg_atomic_read_u64(&p->rows);
	}
	LWLockRelease(visits->lock);
	return found;
}

/* Whether there is a launcher at present. */
bool
cx_visits_has_launcher(void)
{
	return visits->latch != NULL;
}

/* ---- the launcher ---- */

/*
 * Called by the launcher's process with its latch when it starts, with NULL
 * when it ends.  What an earlier one had started and has not shown up is
 * given up.
 */
void
cx_visits_attach(Latch *latch)
{
	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	visits->latch = latch;
	for (int i = 0; latch && i < MAX_DATABASES; i++)
	{
		if (visits->place[i].state == STARTING)
		{
			visits->place[i].state = IDLE;
			visits->place[i].next_due = NOW;
		}
	}
	if (latch)
		visits->visit_all = NOW;
	LWLockRelease(visits->lock);
}

/* Whether every database is to be visited; that is then seen to. */
bool
cx_visits_all_due(TimestampTz now)
{
	bool		due;

	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	due = visits->visit_all <= now;
	if (due)
		visits->visit_all = NEVER;
	LWLockRelease(visits->lock);
	return due;
}

/* Whether databases take turns for lack of places. */
bool
cx_visits_crowded(void)
{
	return visits->crowded;
}

/* Makes a visit due; false: all places are taken. */
bool
cx_visits_make_due(Oid db)
{
	Place	   *p;

	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	p = take_locked(db);
	if (p)
		p->next_due = NOW;
	LWLockRelease(visits->lock);
	return p != NULL;
}

/*
 * The database to visit now, or InvalidOid: then *due is when to look again,
 * unless woken before.
 */
Oid
cx_visits_next(TimestampTz now, TimestampTz *due)
{
	Oid			db = InvalidOid;
	TimestampTz first;
	int			visitors = 0;

	LWLockAcquire(visits->lock, LW_SHARED);
	first = visits->visit_all;
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		/* of those that are equally due the one after the last */
		Place	   *p = &visits->place[(visits->turn + i) % MAX_DATABASES];
		TimestampTz t = Max(p->next_due, p->not_before);

		if (p->state != IDLE)
			visitors++;
		else if (OidIsValid(p->db) && p->holds == 0 && t < first)
		{
			first = t;
			db = p->db;
		}
	}
	LWLockRelease(visits->lock);
	*due = visitors < MAX_VISITORS ? first : NEVER;
	return *due <= now ? db : InvalidOid;
}

/* A worker is being started for a database. */
void
cx_visits_begin(Oid db, CxVisit *visit)
{
	Place	   *p;

	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	visit->db = db;
	visit->ticket = 0;
	p = take_locked(db);
	if (p)
	{
		visits->turn = (int) (p - visits->place) + 1;
		p->state = STARTING;
		p->done = false;
		p->next_due = NEVER;
		visit->ticket = ++p->ticket;
	}
	LWLockRelease(visits->lock);
}

/* The worker ended before it came to cx_visits_enter, if it did. */
void
cx_visits_failed(const CxVisit *visit)
{
	Place	   *p;

	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	p = find_locked(visit->db);
	if (p && p->state == STARTING && p->ticket == visit->ticket)
		end_visit_locked(p);
	LWLockRelease(visits->lock);
}

/* There is nothing to visit a database for, or no database. */
void
cx_visits_forget(Oid db)
{
	Place	   *p;

	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	p = find_locked(db);
	if (p)
	{
		p->next_due = NEVER;
		p->failures = 0;
		free_if_unused_locked(p);
	}
	LWLockRelease(visits->lock);
}

/* ---- the visitor ---- */

static void
leave_cb(int code, Datum arg)
{
	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	end_visit_locked(mine);
	LWLockRelease(visits->lock);
	cx_waits_abandon(DatumGetObjectId(arg),
					 "the worker ended before the query did");
	ConditionVariableBroadcast(&visits->left);
	wake();
}

/*
 * Called by a visitor before it connects.  False: it is not wanted, and must
 * exit without connecting.
 */
bool
cx_visits_enter(const CxVisit *visit)
{
	Place	   *p;
	bool		wanted;

	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	p = find_locked(visit->db);
	wanted = p && p->state == STARTING && p->ticket == visit->ticket;
	if (wanted && p->holds > 0)
	{
		end_visit_locked(p);
		wanted = false;
	}
	else if (wanted)
	{
		p->state = VISITED;
		p->pid = MyProcPid;
		p->latch = MyLatch;
		mine = p;
	}
	LWLockRelease(visits->lock);
	/* registered before the database is: called when it has been left */
	if (wanted)
		on_shmem_exit(leave_cb, ObjectIdGetDatum(visit->db));
	return wanted;
}

/*
 * Called by a visitor before it looks for requests in shared memory, so that
 * a call that comes later is not lost.  Returns whether it should leave for
 * another visit: that is asked for.
 */
bool
cx_visits_listen(void)
{
	bool		asked;

	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	mine->called = false;
	asked = mine->next_due == NOW;
	LWLockRelease(visits->lock);
	return asked;
}

/* Called by a visitor: what it runs, or NULL. */
void
cx_visits_set_running(const char *cache, const char *name)
{
	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	strlcpy(NameStr(mine->running.cache), cache ? cache : "", NAMEDATALEN);
	strlcpy(NameStr(mine->running.name), name ? name : "", NAMEDATALEN);
	mine->running.since = GetCurrentTimestamp();
	pg_atomic_write_u64(&mine->rows, 0);
	LWLockRelease(visits->lock);
}

/* Called by a visitor: how many rows came so far. Cheap. */
void
cx_visits_set_rows(int64 rows)
{
	pg_atomic_write_u64(&mine->rows, (uint64) rows);
}

/* Called by a visitor at its end: when to come again, NEVER included. */
void
cx_visits_done(TimestampTz next_due)
{
	LWLockAcquire(visits->lock, LW_EXCLUSIVE);
	mine->done = true;
	/* whoever has asked since the visit began is not forgotten */
	mine->next_due = Min(mine->next_due, next_due);
	LWLockRelease(visits->lock);
}
