/*
 * cx_waits.c
 *	  Which sessions wait for a warmer's next run, and what became of it?
 *
 * A session that waits cannot ask in a table, where nobody would see it
 * before its commit.  It has a ticket here instead, for one warmer at a time.
 * A run counts for the tickets that were there when it began, so whoever asks
 * during a run gets the next one.
 *
 * Locking: one LWLock for the tickets; no other is taken under it.
 *
 * Not done here: having the database visited (cx_visits.c).
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "utils/wait_event.h"

#include "cx_waits.h"

typedef struct Ticket
{
	CxWaitState state;
	Oid			db;
	int64		warmer;			/* its id */
	char		message[CX_WAIT_MESSAGE];
} Ticket;

typedef struct Waits
{
	LWLock	   *lock;
	ConditionVariable changed;	/* the state of a ticket */
	Ticket		ticket[CX_MAX_WAITS];
} Waits;

static Waits *waits;

Size
cx_waits_size(void)
{
	return sizeof(Waits);
}

void
cx_waits_init(void *memory)
{
	waits = memory;
	memset(waits, 0, sizeof(Waits));
	waits->lock = &GetNamedLWLockTranche("cachex_waits")->lock;
	ConditionVariableInit(&waits->changed);
}

/* ---- sessions ---- */

/* A ticket for a warmer, which the caller ends; -1: all are taken. */
int
cx_waits_ask(Oid db, int64 warmer)
{
	int			n = -1;

	LWLockAcquire(waits->lock, LW_EXCLUSIVE);
	for (int i = 0; i < CX_MAX_WAITS && n < 0; i++)
	{
		if (waits->ticket[i].state == CX_WAIT_FREE)
			n = i;
	}
	if (n >= 0)
	{
		waits->ticket[n].state = CX_WAIT_ASKED;
		waits->ticket[n].db = db;
		waits->ticket[n].warmer = warmer;
	}
	LWLockRelease(waits->lock);
	return n;
}

/* The state of a ticket; message has room for CX_WAIT_MESSAGE bytes. */
static CxWaitState
state_of(int n, char *message)
{
	CxWaitState state;

	LWLockAcquire(waits->lock, LW_SHARED);
	state = waits->ticket[n].state;
	if (state == CX_WAIT_FAILED)
		strlcpy(message, waits->ticket[n].message, CX_WAIT_MESSAGE);
	LWLockRelease(waits->lock);
	return state;
}

/*
 * The state of a ticket; while it is not final, after that of any ticket has
 * changed or so many milliseconds have passed.  Can be cancelled.
 */
CxWaitState
cx_waits_sleep(int n, int64 ms, char *message)
{
	CxWaitState state;

	ConditionVariablePrepareToSleep(&waits->changed);
	state = state_of(n, message);
	if (state <= CX_WAIT_RUNNING)
	{
		(void) ConditionVariableTimedSleep(&waits->changed, (long) ms,
										   PG_WAIT_EXTENSION);
		state = state_of(n, message);
	}
	ConditionVariableCancelSleep();
	return state;
}

/* Gives a ticket back. Cannot fail. */
void
cx_waits_end(int n)
{
	LWLockAcquire(waits->lock, LW_EXCLUSIVE);
	waits->ticket[n].state = CX_WAIT_FREE;
	LWLockRelease(waits->lock);
}

/* ---- the others ---- */

/*
 * Moves the tickets of a database, for one warmer or (0) for all, from one
 * state to another.
 */
static void
move(Oid db, int64 warmer, CxWaitState from, CxWaitState to,
	 const char *message)
{
	bool		moved = false;
	int			len = 0;

	if (message)
		len = pg_mbcliplen(message, (int) strlen(message),
						   CX_WAIT_MESSAGE - 1);
	LWLockAcquire(waits->lock, LW_EXCLUSIVE);
	for (int i = 0; i < CX_MAX_WAITS; i++)
	{
		Ticket	   *t = &waits->ticket[i];

		if (t->state != from || t->db != db ||
			(warmer != 0 && t->warmer != warmer))
			continue;
		t->state = to;
		memcpy(t->message, message ? message : "", len);
		t->message[len] = '\0';
		moved = true;
	}
	LWLockRelease(waits->lock);
	if (moved)
		ConditionVariableBroadcast(&waits->changed);
}

/* The warmers that are waited for, room for CX_MAX_WAITS; how many. */
int
cx_waits_wanted(Oid db, int64 *warmers)
{
	int			n = 0;

	LWLockAcquire(waits->lock, LW_SHARED);
	for (int i = 0; i < CX_MAX_WAITS; i++)
	{
		if (waits->ticket[i].state == CX_WAIT_ASKED &&
			waits->ticket[i].db == db)
			warmers[n++] = waits->ticket[i].warmer;
	}
	LWLockRelease(waits->lock);
	return n;
}

/* A run begins: it is for those who have asked by now. */
void
cx_waits_begin(Oid db, int64 warmer)
{
	move(db, warmer, CX_WAIT_ASKED, CX_WAIT_RUNNING, NULL);
}

/* A run is over, its end noted; error is NULL when it ended well. */
void
cx_waits_done(Oid db, int64 warmer, const char *error)
{
	move(db, warmer, CX_WAIT_RUNNING,
		 error ? CX_WAIT_FAILED : CX_WAIT_DONE, error);
}

/* There is no such warmer. */
void
cx_waits_missing(Oid db, int64 warmer)
{
	move(db, warmer, CX_WAIT_ASKED, CX_WAIT_MISSING, NULL);
}

/* The worker leaves. Cannot fail. */
void
cx_waits_abandon(Oid db, const char *error)
{
	move(db, 0, CX_WAIT_RUNNING, CX_WAIT_FAILED, error);
}

/* Nobody will run anything. */
void
cx_waits_refuse(Oid db, CxWaitState why)
{
	move(db, 0, CX_WAIT_ASKED, why, NULL);
}
