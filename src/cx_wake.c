/*
 * cx_wake.c
 *	  When the sweeper sleeps until, and its latch.
 *
 * Locking: atomics.  A wake-up that comes between the sweeper's look at the
 * wheel and its sleep sets the latch, so the sleep ends at once.
 */
#include "postgres.h"

#include "port/atomics.h"

#include "cx_wake.h"

typedef struct Wake
{
	pg_atomic_uint64 until;		/* microseconds, as TimestampTz */
	Latch	   *volatile latch; /* NULL: no sweeper runs */
} Wake;

static Wake *wake;

Size
cx_wake_size(void)
{
	return MAXALIGN(sizeof(Wake));
}

void
cx_wake_init(void *memory)
{
	wake = memory;
	pg_atomic_init_u64(&wake->until, 0);
	wake->latch = NULL;
}

/* The sweeper must look at due (0: now). Cannot fail. */
void
cx_wake_before(TimestampTz due)
{
	Latch	   *latch;

	/* what the sweeper is to find is written before its sleep is looked at */
	pg_memory_barrier();
	latch = wake->latch;
	if ((TimestampTz) pg_atomic_read_u64(&wake->until) <= due)
		return;
	pg_atomic_write_u64(&wake->until, (uint64) due);
	if (latch)
		SetLatch(latch);
}

/* Called by the sweeper, with NULL when it ends. */
void
cx_wake_register(Latch *latch)
{
	wake->latch = latch;
}

/* Called by the sweeper before it looks at what is due first. */
void
cx_wake_sleep_until(TimestampTz due)
{
	pg_atomic_write_u64(&wake->until, (uint64) due);
	pg_memory_barrier();
}
