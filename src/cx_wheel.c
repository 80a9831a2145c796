/*
 * cx_wheel.c
 *	  The timing wheel.
 *
 * A slot stands in the list of the second in which it expires, or, while that
 * is far off, in a list of 256 or 65536 seconds, from which it moves to a
 * finer one when its time comes near.  Hits look at an entry's expiry
 * themselves; the wheel only gives memory back.
 *
 * Locking: the caller's, the policy lock.  Does not touch the table.
 */
#include "postgres.h"

#include "cx_wheel.h"

#define SPAN_FINE	INT64CONST(256)
#define SPAN_MIDDLE	(SPAN_FINE * 256)
#define FARTHEST	(SPAN_MIDDLE * (CX_WHEEL_COARSE - 1))

/* What one call moves the wheel by at most, in seconds: a lock is held. */
#define MAX_STEPS	SPAN_MIDDLE

/* A link to a bucket's head instead of a slot. */
#define HEAD_FLAG	0x80000000U

static inline int64
second_of(TimestampTz t)
{
	return t / USECS_PER_SEC;
}

void
cx_wheel_init(CxWheel *wheel, TimestampTz now)
{
	memset(wheel, 0, sizeof(CxWheel));
	wheel->now = second_of(now);
}

/*
 * The bucket for an expiry in the given second.  The bucket of the present
 * second, block or span has been emptied, so it serves the one that comes
 * round next.  What lies beyond the wheel goes to its far end and is put
 * back from there.
 */
static int
bucket_of(const CxWheel *wheel, int64 second)
{
	int64		distance;

	second = Max(second, wheel->now + 1);
	second = Min(second, wheel->now + FARTHEST);
	distance = second - wheel->now;
	if (distance <= SPAN_FINE)
		return second % CX_WHEEL_FINE;
	if (distance <= SPAN_MIDDLE)
		return CX_WHEEL_FINE + (second / SPAN_FINE) % CX_WHEEL_MIDDLE;
	return CX_WHEEL_FINE + CX_WHEEL_MIDDLE +
		(second / SPAN_MIDDLE) % CX_WHEEL_COARSE;
}

static void
link_slot(CxWheel *wheel, uint32 n, int bucket)
{
	CxSlot	   *slot = cx_slot(n);

	slot->wheel_prev = HEAD_FLAG | bucket;
	slot->wheel_next = wheel->bucket[bucket];
	if (slot->wheel_next != CX_NONE)
		cx_slot(slot->wheel_next)->wheel_prev = n;
	wheel->bucket[bucket] = n;
	wheel->count++;
}

/* Adds a slot; one that never expires stays out. */
void
cx_wheel_add(CxWheel *wheel, uint32 n)
{
	CxSlot	   *slot = cx_slot(n);

	slot->wheel_prev = slot->wheel_next = CX_NONE;
	if (slot->expires == CX_NEVER)
		return;
	/* a second later: the whole second is over when its bucket is due */
	link_slot(wheel, n, bucket_of(wheel, second_of(slot->expires) + 1));
}

void
cx_wheel_remove(CxWheel *wheel, uint32 n)
{
	CxSlot	   *slot = cx_slot(n);

	if (slot->wheel_prev == CX_NONE)
		return;
	if (slot->wheel_prev & HEAD_FLAG)
		wheel->bucket[slot->wheel_prev & ~HEAD_FLAG] = slot->wheel_next;
	else
		cx_slot(slot->wheel_prev)->wheel_next = slot->wheel_next;
	if (slot->wheel_next != CX_NONE)
		cx_slot(slot->wheel_next)->wheel_prev = slot->wheel_prev;
	slot->wheel_prev = slot->wheel_next = CX_NONE;
	wheel->count--;
}

/*
 * Takes slots from a bucket: those that have expired go to slots, the others
 * to where they belong now.  Looks at max slots at most; returns whether the
 * bucket holds more to look at.
 */
static bool
empty_bucket(CxWheel *wheel, int bucket, TimestampTz now, uint32 *slots,
			 int max, int *looked, int *n)
{
	while (wheel->bucket[bucket] != CX_NONE)
	{
		uint32		s = wheel->bucket[bucket];

		if ((*looked)++ >= max)
			return true;
		cx_wheel_remove(wheel, s);
		if (cx_slot(s)->expires <= now)
			slots[(*n)++] = s;
		else
			cx_wheel_add(wheel, s);
	}
	return false;
}

/*
 * Moves the wheel towards now, by MAX_STEPS at most, and takes out what has
 * expired: up to max slots, whose number is returned.  *more says whether to
 * call again at once.
 */
int
cx_wheel_due(CxWheel *wheel, TimestampTz now, uint32 *slots, int max,
			 bool *more)
{
	int64		end = second_of(now);
	int64		target = Min(end, wheel->now + MAX_STEPS);
	int			looked = 0;
	int			n = 0;

	*more = false;
	if (wheel->count == 0)
		wheel->now = Max(wheel->now, end);
	while (wheel->now < target)
	{
		int64		s = wheel->now + 1;

		/* coarse lists first: their slots may belong into this second */
		if (s % SPAN_MIDDLE == 0)
			*more |= empty_bucket(wheel, CX_WHEEL_FINE + CX_WHEEL_MIDDLE +
								  (s / SPAN_MIDDLE) % CX_WHEEL_COARSE,
								  now, slots, max, &looked, &n);
		if (s % SPAN_FINE == 0)
			*more |= empty_bucket(wheel, CX_WHEEL_FINE +
								  (s / SPAN_FINE) % CX_WHEEL_MIDDLE,
								  now, slots, max, &looked, &n);
		*more |= empty_bucket(wheel, s % CX_WHEEL_FINE, now, slots, max,
							  &looked, &n);
		if (*more)
			return n;
		wheel->now = s;
	}
	*more = wheel->now < end;
	return n;
}

/* The first second after now whose bucket of the given level holds slots. */
static int64
first_of_level(const CxWheel *wheel, const uint32 *buckets, int n, int64 span)
{
	int64		block = wheel->now / span;

	for (int i = 1; i <= n; i++)
	{
		if (buckets[(block + i) % n] != CX_NONE)
			return (block + i) * span;
	}
	return PG_INT64_MAX;
}

/*
 * When the next bucket is due; CX_NEVER with an empty wheel.  For a coarse
 * bucket that is when its slots move to finer ones.
 */
TimestampTz
cx_wheel_next(const CxWheel *wheel)
{
	const uint32 *middle = wheel->bucket + CX_WHEEL_FINE;
	int64		second;

	if (wheel->count == 0)
		return CX_NEVER;
	second = first_of_level(wheel, wheel->bucket, CX_WHEEL_FINE, 1);
	second = Min(second, first_of_level(wheel, middle, CX_WHEEL_MIDDLE,
										SPAN_FINE));
	second = Min(second, first_of_level(wheel, middle + CX_WHEEL_MIDDLE,
										CX_WHEEL_COARSE, SPAN_MIDDLE));
	return second * USECS_PER_SEC;
}
