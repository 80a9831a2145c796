/*
 * cx_requests.c
 *	  Who runs the loader of a value that a reader was served old?
 *
 * A reader leaves all that is needed in one of a few places in shared memory
 * and goes on; the worker that visits his database takes it.  A request is
 * there once, and it is nothing that must happen: one that nobody takes within
 * some seconds, or whose worker hangs, is given up, and whoever comes next may
 * leave it again.  What must happen is a job (cx_jobs.c).
 *
 * Locking: one LWLock for all places; no other is taken under it, and nobody
 * waits for a worker unless he says so (cx_requests_await).
 *
 * Not done here: running it (cx_refresh.c), when a worker looks
 * (cx_errands.c).
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "cx_compat.h"
#include "cx_guc.h"
#include "cx_launcher.h"
#include "cx_parcel.h"
#include "cx_requests.h"
#include "cx_secure.h"
#include "cx_visits.h"

#define BUDGET_PER_SLOT (256 * 1024)
#define MIN_SLOTS		16
#define MAX_SLOTS		128
#define QUEUED_MS		5000	/* so long a request waits for a worker */
#define GRACE_MS		5000	/* for a worker to end a loader; longer than
								 * cx_step.c gives it */

typedef enum SlotState
{
	FREE,
	QUEUED,
	RUNNING,					/* pid has it */
	DONE						/* free, its outcome is still to be read */
} SlotState;

typedef struct Slot
{
	SlotState	state;
	Oid			db;
	Oid			session;		/* user of the session that asks */
	Oid			role;			/* runs it */
	uint64		id;				/* equal ones are one request */
	uint64		ticket;			/* of this use of the place */
	pid_t		pid;
	bool		failed;			/* DONE: data is the message */
	uint16		len;			/* of data */
	TimestampTz since;			/* when it came into its state */
	TimestampTz asked;			/* when it was queued first */
} Slot;

typedef struct Requests
{
	LWLock	   *lock;
	ConditionVariable done;		/* one of them was ended */
	uint64		last_ticket;
	int			nslots;
	char	   *data;			/* CX_PARCEL_BYTES a slot, behind them */
	Slot		slot[FLEXIBLE_ARRAY_MEMBER];
} Requests;

static Requests *requests;

/* ---- memory ---- */

static int
count_slots(Size budget)
{
	return (int) Min(Max(budget / BUDGET_PER_SLOT, MIN_SLOTS), MAX_SLOTS);
}

static Size
slots_size(Size budget)
{
	return MAXALIGN(offsetof(Requests, slot) +
					count_slots(budget) * sizeof(Slot));
}

Size
cx_requests_size(Size budget)
{
	return add_size(slots_size(budget),
					mul_size(count_slots(budget), CX_PARCEL_BYTES));
}

void
cx_requests_init(void *memory, Size budget)
{
	requests = memory;
	memset(requests, 0, slots_size(budget));
	requests->lock = &GetNamedLWLockTranche("cachex_requests")->lock;
	ConditionVariableInit(&requests->done);
	requests->nslots = count_slots(budget);
	requests->data = (char *) memory + slots_size(budget);
}

static inline char *
data_of(const Slot *s)
{
	return requests->data + (Size) (s - requests->slot) * CX_PARCEL_BYTES;
}

/* ---- slots ---- */

static TimestampTz
ends_at(const Slot *s)
{
	if (s->state == QUEUED)
		return TimestampTzPlusMilliseconds(s->since, QUEUED_MS);
	if (s->state != RUNNING || cx_guc_refresh_timeout == 0)
		return DT_NOEND;
	return TimestampTzPlusMilliseconds(s->since,
									   (int64) cx_guc_refresh_timeout + GRACE_MS);
}

static inline bool
is_active(const Slot *s, TimestampTz now)
{
	return (s->state == QUEUED || s->state == RUNNING) && now < ends_at(s);
}

/* The slot of a request that is queued or running, or NULL. */
static Slot *
find_locked(uint64 id, TimestampTz now)
{
	Assert(LWLockHeldByMe(requests->lock));
	for (int i = 0; i < requests->nslots; i++)
	{
		Slot	   *s = &requests->slot[i];

		if (s->id == id && s->db == MyDatabaseId && is_active(s, now))
			return s;
	}
	return NULL;
}

static Slot *
find_ticket_locked(uint64 ticket)
{
	Assert(LWLockHeldByMe(requests->lock));
	for (int i = 0; i < requests->nslots; i++)
	{
		if (requests->slot[i].ticket == ticket)
			return &requests->slot[i];
	}
	return NULL;
}

/* The slot that was used longest ago, of those that are free; or NULL. */
static Slot *
find_free_locked(TimestampTz now)
{
	Slot	   *best = NULL;

	Assert(LWLockHeldByMe(requests->lock));
	for (int i = 0; i < requests->nslots; i++)
	{
		Slot	   *s = &requests->slot[i];

		if (!is_active(s, now) && (!best || s->ticket < best->ticket))
			best = s;
	}
	return best;
}

/*
 * Whether a role may have another slot: as many as are free.  So one that asks
 * for everything gets half of them, the next one half of the rest, and there
 * is always one for who comes next.
 */
static bool
may_have_another_locked(Oid role, TimestampTz now)
{
	int			own = 0;
	int			nfree = 0;

	Assert(LWLockHeldByMe(requests->lock));
	for (int i = 0; i < requests->nslots; i++)
	{
		Slot	   *s = &requests->slot[i];

		if (!is_active(s, now))
			nfree++;
		else if (s->role == role)
			own++;
	}
	return own < nfree;
}

static void
set_state_locked(Slot *s, SlotState state)
{
	Assert(LWLockHeldByMe(requests->lock));
	s->state = state;
	s->pid = state == RUNNING ? MyProcPid : 0;
	s->since = GetCurrentTimestamp();
}

static void
end_locked(Slot *s, const char *message)
{
	set_state_locked(s, DONE);
	s->failed = message != NULL;
	if (message)
		strlcpy(data_of(s), message, CX_PARCEL_BYTES);
}

/* ---- sessions ---- */

/* Whether there is such a request; *ticket and *running are its. */
static bool
is_pending(uint64 id, uint64 *ticket, bool *running)
{
	TimestampTz now = GetCurrentTimestamp();
	Slot	   *s;

	LWLockAcquire(requests->lock, LW_SHARED);
	s = find_locked(id, now);
	if (s)
	{
		*ticket = s->ticket;
		*running = s->state == RUNNING;
	}
	LWLockRelease(requests->lock);
	return s != NULL;
}

/* Whether nobody came for such a request in time; forgets it. */
static bool
was_unserved_locked(uint64 id)
{
	Assert(LWLockHeldByMe(requests->lock));
	for (int i = 0; i < requests->nslots; i++)
	{
		Slot	   *s = &requests->slot[i];

		if (s->id == id && s->db == MyDatabaseId && s->state == QUEUED)
		{
			set_state_locked(s, FREE);
			return true;
		}
	}
	return false;
}

/* Whether such a request failed so lately that it would fail again. */
static bool
has_failed_lately(uint64 id)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		failed = false;

	LWLockAcquire(requests->lock, LW_SHARED);
	for (int i = 0; i < requests->nslots; i++)
	{
		Slot	   *s = &requests->slot[i];

		if (s->id == id && s->db == MyDatabaseId && s->state == DONE &&
			s->failed && !TimestampDifferenceExceeds(s->since, now,
													 cx_guc_retry_pause))
			failed = true;
	}
	LWLockRelease(requests->lock);
	return failed;
}

static CxRequested
queue(uint64 id, const CxRefresh *r, const CxParcel *data, Size len,
	  uint64 *ticket, bool *running)
{
	TimestampTz now = GetCurrentTimestamp();
	CxRequested result = CX_REQUEST_REFUSED;
	Slot	   *s;

	LWLockAcquire(requests->lock, LW_EXCLUSIVE);
	s = find_locked(id, now);
	if (s)
		result = CX_REQUEST_PENDING;
	else if (was_unserved_locked(id))
		;						/* who asks again does it himself */
	else if (may_have_another_locked(r->role, now) &&
			 (s = find_free_locked(now)) != NULL)
	{
		result = CX_REQUEST_QUEUED;
		s->db = MyDatabaseId;
		s->session = r->session;
		s->role = r->role;
		s->id = id;
		s->ticket = ++requests->last_ticket;
		s->len = (uint16) len;
		memcpy(data_of(s), data->bytes, len);
		set_state_locked(s, QUEUED);
		s->asked = s->since;
	}
	if (s)
	{
		*ticket = s->ticket;
		*running = s->state == RUNNING;
	}
	LWLockRelease(requests->lock);
	return result;
}

/* Takes a request back; false: somebody has it. */
static bool
take_back(uint64 ticket)
{
	Slot	   *s;
	bool		taken;

	LWLockAcquire(requests->lock, LW_EXCLUSIVE);
	s = find_ticket_locked(ticket);
	taken = s == NULL || s->state == QUEUED;
	if (s && taken)
		set_state_locked(s, FREE);
	LWLockRelease(requests->lock);
	return taken;
}

/*
 * Whether a request need not be put: there is such a one, or it failed so
 * lately that it would fail again.
 */
bool
cx_requests_is_needless(uint64 id)
{
	uint64		ticket;
	bool		running;

	return is_pending(id, &ticket, &running) || has_failed_lately(id);
}

/*
 * Has a worker run a loader soon: ticket is what to wait for, and running
 * whether one has begun before this call.  Waits for nothing; may raise what
 * reading the catalogs does.
 */
CxRequested
cx_requests_put_awaited(uint64 id, const CxRefresh *r, uint64 *ticket,
						bool *running)
{
	CxRequested result;
	const char *database;
	CxParcel	data;
	Size		len;

	if (is_pending(id, ticket, running))
		return CX_REQUEST_PENDING;
	database = get_database_name(MyDatabaseId);
	len = cx_parcel_pack(&data, r);
	if (len == 0 || database == NULL || !cx_launcher_serves(database))
		return CX_REQUEST_REFUSED;
	result = queue(id, r, &data, len, ticket, running);
	if (result == CX_REQUEST_QUEUED && !cx_visits_request_waits(MyDatabaseId) &&
		take_back(*ticket))
		return CX_REQUEST_REFUSED;
	return result;
}

/* How a request stands; false: not ended yet, at most until *ends. */
static bool
has_ended(uint64 ticket, CxOutcome *outcome, char *message, TimestampTz *ends)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		ended = true;
	Slot	   *s;

	LWLockAcquire(requests->lock, LW_EXCLUSIVE);
	s = find_ticket_locked(ticket);
	if (s == NULL)
		*outcome = CX_OUTCOME_LOST;
	else if (s->state == DONE)
	{
		*outcome = s->failed ? CX_OUTCOME_FAILED : CX_OUTCOME_DONE;
		/* of a shared cache it may be about what another role has read */
		if (s->failed)
			strlcpy(message, s->role == GetUserId() ? data_of(s)
					: "the loader failed for another role", CX_PARCEL_BYTES);
	}
	else if (s->state == FREE)
		*outcome = CX_OUTCOME_UNSERVED;
	else if (is_active(s, now))
	{
		ended = false;
		*ends = ends_at(s);
	}
	else if (s->state == RUNNING)
		*outcome = CX_OUTCOME_LOST;
	else
	{
		*outcome = CX_OUTCOME_UNSERVED;
		set_state_locked(s, FREE);
	}
	LWLockRelease(requests->lock);
	return ended;
}

/*
 * Waits until a request has ended.  Can be cancelled, which leaves the request
 * alone.  message is set when it failed.
 */
CxOutcome
cx_requests_await(uint64 ticket, char **message)
{
	CxOutcome	outcome;
	TimestampTz ends;

	*message = palloc0(CX_PARCEL_BYTES);
	ConditionVariablePrepareToSleep(&requests->done);
	while (!has_ended(ticket, &outcome, *message, &ends))
	{
		long		ms = -1;

		if (ends != DT_NOEND)
			ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), ends) + 1;
		(void) ConditionVariableTimedSleep(&requests->done, ms,
										   PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return outcome;
}

/* ---- the worker ---- */

/* What a worker has and cannot end itself. */
static void
exit_cb(int code, Datum arg)
{
	LWLockAcquire(requests->lock, LW_EXCLUSIVE);
	for (int i = 0; i < requests->nslots; i++)
	{
		Slot	   *s = &requests->slot[i];

		if (s->state == RUNNING && s->pid == MyProcPid)
			end_locked(s, "the worker ended before the loader did");
	}
	LWLockRelease(requests->lock);
	ConditionVariableBroadcast(&requests->done);
}

/* The request of a database that waits longest; own: of this process's. */
static Slot *
next_locked(Oid db, bool own, TimestampTz now)
{
	Slot	   *next = NULL;
	Oid			session;
	Oid			role;

	if (own && !cx_secure_whose(&session, &role))
		return NULL;
	Assert(LWLockHeldByMe(requests->lock));
	for (int i = 0; i < requests->nslots; i++)
	{
		Slot	   *s = &requests->slot[i];

		if (s->state == QUEUED && s->db == db && is_active(s, now) &&
			(!own || (s->session == session && s->role == role)) &&
			(!next || s->ticket < next->ticket))
			next = s;
	}
	return next;
}

/*
 * Takes a request, to be ended with cx_requests_done; own: one for the user and
 * role that this process is for.  False: there is none.  The copy is in the
 * current memory context.
 */
bool
cx_requests_take(Oid db, bool own, CxRefresh *out, uint64 *ticket)
{
	static bool registered = false;
	TimestampTz now = GetCurrentTimestamp();
	CxParcel   *data = palloc(sizeof(CxParcel));
	Slot	   *s;

	if (!registered)
		before_shmem_exit(exit_cb, (Datum) 0);
	registered = true;
	LWLockAcquire(requests->lock, LW_EXCLUSIVE);
	s = next_locked(db, own, now);
	if (s)
	{
		memcpy(data->bytes, data_of(s), s->len);
		*ticket = s->ticket;
		set_state_locked(s, RUNNING);
	}
	LWLockRelease(requests->lock);
	if (s)
		cx_parcel_unpack(data, out);
	return s != NULL;
}

/* Whether there is a request to be taken. */
bool
cx_requests_waiting(Oid db)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		waiting;

	LWLockAcquire(requests->lock, LW_SHARED);
	waiting = next_locked(db, false, now) != NULL;
	LWLockRelease(requests->lock);
	return waiting;
}

/* Leaves a request that was taken to another worker. */
void
cx_requests_give_back(uint64 ticket)
{
	Slot	   *s;

	LWLockAcquire(requests->lock, LW_EXCLUSIVE);
	s = find_ticket_locked(ticket);
	if (s && s->state == RUNNING && s->pid == MyProcPid)
	{
		TimestampTz asked = s->asked;

		/* it has waited since then */
		set_state_locked(s, QUEUED);
		s->since = asked;
	}
	LWLockRelease(requests->lock);
}

/*
 * Ends a request that was taken; message says why it failed, or is NULL.  One
 * that was given up meanwhile is somebody else's.
 */
void
cx_requests_done(uint64 ticket, const char *message)
{
	Slot	   *s;

	LWLockAcquire(requests->lock, LW_EXCLUSIVE);
	s = find_ticket_locked(ticket);
	if (s && s->state == RUNNING && s->pid == MyProcPid)
		end_locked(s, message);
	LWLockRelease(requests->lock);
	ConditionVariableBroadcast(&requests->done);
}
