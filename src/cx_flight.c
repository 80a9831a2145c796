/*
 * cx_flight.c
 *	  Who loads claims the identity; the others wait until he has finished,
 *	  failed or died, and look again.
 *
 * A claim is a heavyweight advisory lock of its own kind (the fourth field is
 * 5; users' have 1 or 2) in mode Exclusive, and who waits asks for it in mode
 * Share, so that all of them go on at once.  Those who then find nothing queue
 * for the claim itself, so that one of them loads next.  So a claim ends with
 * an error, a cancel, a transaction or a process like any other lock, pg_locks
 * shows who waits for whom, and the deadlock detector sees the wait.  Its
 * errors, like those of lock_timeout, do not become the caller's: he loads for
 * himself.
 *
 * Nobody waits who holds a claim, or whose transaction has written, or (see
 * cx_fetch.c) who is served no exact entries.
 *
 * Beside the locks stand small tables without any, of hints: which loader the
 * claim of an identity is for, since it is of no use to wait for another one;
 * how many claims there were; and for what waiting has been in vain, so that
 * for some seconds nobody does.  A hint that is lost costs a wait, or a load.
 *
 * Locking: none of cachex's.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/timestamp.h"

#include "cx_compat.h"
#include "cx_flight.h"
#include "cx_key.h"
#include "cx_try.h"

#define FIELD4_CLAIM	5
#define HINTS			1024	/* in each table, a power of two */
#define ALONE_SECONDS	10
#define MAX_HELD		16		/* claims of a session that are remembered */

/* A loader's id keeps this many bits beside the seconds. */
#define SECOND_BITS		24
#define SECOND_MASK		((UINT64CONST(1) << SECOND_BITS) - 1)

typedef struct Flights
{
	pg_atomic_uint64 loader[HINTS]; /* of the claim, 0 = none; by identity */
	pg_atomic_uint64 claims[HINTS]; /* how many there were; by identity */
	pg_atomic_uint64 alone[HINTS];	/* what is loaded alone, until when */
} Flights;

static Flights *flights;

/* Claims of this session; those that are not held any more are skipped. */
static uint64 held[MAX_HELD];
static int	nheld = 0;

Size
cx_flight_size(void)
{
	return sizeof(Flights);
}

void
cx_flight_init(void *memory)
{
	flights = memory;
	for (int i = 0; i < HINTS; i++)
	{
		pg_atomic_init_u64(&flights->loader[i], 0);
		pg_atomic_init_u64(&flights->claims[i], 0);
		pg_atomic_init_u64(&flights->alone[i], 0);
	}
}

static LOCKTAG
tag_of(uint64 id)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (id >> 32), (uint32) id,
						 FIELD4_CLAIM);
	return tag;
}

/* ---- what is loaded alone ---- */

static uint64
second_of(TimestampTz t)
{
	return (uint64) (t / USECS_PER_SEC) & SECOND_MASK;
}

/* Whether it is known that waiting for this loader is in vain. */
bool
cx_flight_is_alone(uint64 id, uint64 loader, TimestampTz now)
{
	uint64		h = cx_key_mix(id ^ loader);
	uint64		hint = pg_atomic_read_u64(&flights->alone[h % HINTS]);
	uint64		age = (second_of(now) - hint) & SECOND_MASK;

	return (hint & ~SECOND_MASK) == (h & ~SECOND_MASK) && hint != 0 &&
		age < ALONE_SECONDS;
}

/*
 * Has everybody load for himself for some seconds: what the loader returns is
 * not kept, or it takes longer than one waits.
 */
void
cx_flight_leave_alone(uint64 id, uint64 loader, TimestampTz now)
{
	uint64		h = cx_key_mix(id ^ loader);

	pg_atomic_write_u64(&flights->alone[h % HINTS],
						(h & ~SECOND_MASK) | second_of(now));
}

/* ---- claims ---- */

static bool
is_held(uint64 id)
{
	LOCKTAG		tag = tag_of(id);

	return cx_compat_holds_lock(&tag, ExclusiveLock);
}

static void
remember(uint64 id)
{
	int			n = 0;

	/* an error may have ended some, with their subtransactions */
	for (int i = 0; i < nheld; i++)
	{
		if (is_held(held[i]))
			held[n++] = held[i];
	}
	nheld = n;
	if (nheld < MAX_HELD)
		held[nheld++] = id;
}

/* Notes a claim that this session has got. */
static void
take(CxClaim *claim, uint64 id, uint64 loader, ResourceOwner owner)
{
	claim->held = true;
	claim->id = id;
	claim->loader = loader;
	claim->owner = owner;
	remember(id);
	pg_atomic_write_u64(&flights->loader[id % HINTS], loader);
	pg_atomic_fetch_add_u64(&flights->claims[id % HINTS], 1);
}

/*
 * Claims an identity for a loader; false: somebody has it, this session
 * included, or the lock table is full.  Never waits.
 */
bool
cx_flight_claim(CxClaim *claim, uint64 id, uint64 loader)
{
	LOCKTAG		tag = tag_of(id);

	claim->held = false;
	if (nheld == MAX_HELD || is_held(id) ||
		cx_compat_try_lock(&tag, ExclusiveLock) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	take(claim, id, loader, CurrentResourceOwner);
	return true;
}

/* How often an identity has been claimed; only the difference says something. */
uint64
cx_flight_claims(uint64 id)
{
	return pg_atomic_read_u64(&flights->claims[id % HINTS]);
}

/* Ends a claim, if it is held; also after an error. */
void
cx_flight_release(CxClaim *claim)
{
	ResourceOwner owner = CurrentResourceOwner;
	uint64		hint = claim->loader;
	LOCKTAG		tag;

	if (!claim->held)
		return;
	claim->held = false;
	for (int i = 0; i < nheld; i++)
	{
		if (held[i] == claim->id)
		{
			held[i] = held[--nheld];
			break;
		}
	}
	if (!is_held(claim->id))
		return;
	/* the next one may be for another loader */
	pg_atomic_compare_exchange_u64(&flights->loader[claim->id % HINTS], &hint, 0);
	tag = tag_of(claim->id);
	CurrentResourceOwner = claim->owner;
	LockRelease(&tag, ExclusiveLock, false);
	CurrentResourceOwner = owner;
}

/* Whether somebody loads the identity now, with any loader. */
bool
cx_flight_is_loading(uint64 id)
{
	LOCKTAG		tag = tag_of(id);

	if (cx_compat_try_lock(&tag, ShareLock) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, ShareLock, false);
	return false;
}

/* ---- waiting ---- */

/*
 * Whether this session may wait for who has claimed the identity.  Without a
 * hint he may just have got the claim.
 */
bool
cx_flight_may_wait(uint64 id, uint64 loader)
{
	uint64		hint = pg_atomic_read_u64(&flights->loader[id % HINTS]);

	if ((hint != loader && hint != 0) ||
		TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
		IsInParallelMode())
		return false;
	for (int i = 0; i < nheld; i++)
	{
		if (is_held(held[i]))
			return false;
	}
	return true;
}

typedef struct Wait
{
	uint64		id;
	LOCKMODE	mode;
	int			ms;				/* at most */
	bool		granted;
} Wait;

static bool in_a_circle;		/* the last wait would have been a deadlock */

/*
 * Asks for the lock; one in mode Share is given back.  The deadlock detector
 * looks in half of the time, without a word in the log.
 */
static void
acquire(void *arg)
{
	Wait	   *wait = arg;
	LOCKTAG		tag = tag_of(wait->id);
	int			lock_timeout = LockTimeout;
	int			deadlock_timeout = DeadlockTimeout;
	bool		log_waits = log_lock_waits;

	PG_TRY();
	{
		LockTimeout = wait->ms;
		DeadlockTimeout = Max(wait->ms / 2, 1);
		log_lock_waits = false;
		wait->granted = cx_compat_lock(&tag, wait->mode) != LOCKACQUIRE_NOT_AVAIL;
	}
	PG_FINALLY();
	{
		LockTimeout = lock_timeout;
		DeadlockTimeout = deadlock_timeout;
		log_lock_waits = log_waits;
	}
	PG_END_TRY();
	if (wait->granted && wait->mode == ShareLock)
		LockRelease(&tag, ShareLock, false);
}

static bool
tolerates(int sqlerrcode)
{
	in_a_circle = sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
	return in_a_circle || sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
}

/*
 * Waits for the lock, timeout_ms or lock_timeout at most, and bit by bit: the
 * loader may come to wait for this session at any time, by a lock that it holds
 * without having written, and this one must be the first to notice that.  So
 * it looks once in any time as long as deadlock_timeout.
 */
static bool
wait_for(uint64 id, LOCKMODE mode, int timeout_ms)
{
	int			left = LockTimeout > 0 ? Min(LockTimeout, timeout_ms) : timeout_ms;
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), left);
	Wait		wait = {id, mode};

	do
	{
		wait.ms = Min(left, Max(DeadlockTimeout / 10 * 9, 10));
		if (cx_try(acquire, &wait, tolerates))
			return wait.granted;
		left = (int) ((end - GetCurrentTimestamp()) / 1000);
	} while (left > 0 && !in_a_circle);
	return false;
}

/*
 * Waits until nobody has claimed the identity; false: it took longer than the
 * time or lock_timeout, or it would have been a deadlock.  Raises an error for
 * a cancel, which includes statement_timeout.
 */
bool
cx_flight_wait(uint64 id, int timeout_ms)
{
	return wait_for(id, ShareLock, timeout_ms);
}

/* The same, and claims it then. */
bool
cx_flight_wait_to_claim(CxClaim *claim, uint64 id, uint64 loader,
						int timeout_ms)
{
	if (!wait_for(id, ExclusiveLock, timeout_ms))
		return false;
	/* a subtransaction leaves its locks to the one that it was part of */
	take(claim, id, loader, CurTransactionResourceOwner);
	return true;
}
