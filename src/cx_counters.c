/*
 * cx_counters.c
 *	  Counters of each cache, added up when they are read.
 *
 * What a hit counts is kept in stripes, so that backends on different
 * processors seldom write to the same cache line.  A histogram has four
 * buckets for each power of two, so a percentile is right to 19 %.
 *
 * Locking: none, all are atomic.  A reader may see counters of one event
 * while another of the same event is still to come.
 */
#include "postgres.h"

#include <math.h>

#include "port/atomics.h"
#include "storage/shmem.h"

#include "cx_compat.h"
#include "cx_counters.h"

#define STRIPES		16
#define BUCKETS		160			/* 2^40 and above share the last one */
#define PER_DOUBLING 4

typedef union Stripe
{
	pg_atomic_uint64 n[CX_NSTRIPED];
	char		line[64];
} Stripe;

typedef struct CacheCounters
{
	Stripe		stripe[STRIPES];
	pg_atomic_uint64 n[CX_NCOUNTERS];
	pg_atomic_uint32 histogram[CX_NHISTOGRAMS][BUCKETS];
} CacheCounters;

static CacheCounters *counters;

/* Bytes of shared memory. */
Size
cx_counters_size(int ncaches)
{
	return mul_size(CACHELINEALIGN(sizeof(CacheCounters)), ncaches);
}

static CacheCounters *
of_cache(int cache)
{
	return (CacheCounters *) ((char *) counters +
							  cache * CACHELINEALIGN(sizeof(CacheCounters)));
}

/* Lays the counters out in zeroed memory. */
void
cx_counters_init(void *memory, int ncaches)
{
	counters = memory;
	memset(memory, 0, cx_counters_size(ncaches));
	for (int i = 0; i < ncaches; i++)
		cx_counters_reset(i);
}

void
cx_counters_add(int cache, CxCounter counter, uint64 n)
{
	CacheCounters *c = of_cache(cache);

	if (counter < CX_NSTRIPED)
		pg_atomic_fetch_add_u64(&c->stripe[MyProcNumber % STRIPES].n[counter],
								n);
	else
		pg_atomic_fetch_add_u64(&c->n[counter], n);
}

uint64
cx_counters_read(int cache, CxCounter counter)
{
	CacheCounters *c = of_cache(cache);
	uint64		sum = 0;

	if (counter >= CX_NSTRIPED)
		return pg_atomic_read_u64(&c->n[counter]);
	for (int i = 0; i < STRIPES; i++)
		sum += pg_atomic_read_u64(&c->stripe[i].n[counter]);
	return sum;
}

/* Adds one observation, in the histogram's unit. */
void
cx_counters_time(int cache, CxHistogram histogram, double value)
{
	int			bucket = 0;

	if (value > 1)
		bucket = (int) (log2(value) * PER_DOUBLING);
	bucket = Min(bucket, BUCKETS - 1);
	pg_atomic_fetch_add_u32(&of_cache(cache)->histogram[histogram][bucket], 1);
}

/*
 * The value that so large a share (0..1) of the observations stay below, in
 * the histogram's unit; -1 without observations.
 */
double
cx_counters_percentile(int cache, CxHistogram histogram, double share)
{
	pg_atomic_uint32 *n = of_cache(cache)->histogram[histogram];
	uint64		total = 0;
	uint64		below = 0;

	for (int i = 0; i < BUCKETS; i++)
		total += pg_atomic_read_u32(&n[i]);
	if (total == 0)
		return -1;
	for (int i = 0; i < BUCKETS; i++)
	{
		below += pg_atomic_read_u32(&n[i]);
		if (below >= share * total)
			return exp2((i + 0.5) / PER_DOUBLING);
	}
	return exp2((double) BUCKETS / PER_DOUBLING);
}

/* Starts again from zero. What is counted meanwhile may be lost. */
void
cx_counters_reset(int cache)
{
	CacheCounters *c = of_cache(cache);

	for (int s = 0; s < STRIPES; s++)
		for (int i = 0; i < CX_NSTRIPED; i++)
			pg_atomic_write_u64(&c->stripe[s].n[i], 0);
	for (int i = 0; i < CX_NCOUNTERS; i++)
		pg_atomic_write_u64(&c->n[i], 0);
	for (int h = 0; h < CX_NHISTOGRAMS; h++)
		for (int i = 0; i < BUCKETS; i++)
			pg_atomic_write_u32(&c->histogram[h][i], 0);
}
