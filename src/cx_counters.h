/*
 * cx_counters.h
 *	  What happened in each cache: counters and histograms of times.
 */
#ifndef CX_COUNTERS_H
#define CX_COUNTERS_H

typedef enum CxCounter
{
	/* hit path: kept in stripes */
	CX_HITS,
	CX_NEGATIVE_HITS,
	CX_STALE_HITS,
	CX_MISSES,
	CX_SAVED_US,				/* microseconds that hits did not wait */
	/* all others */
	CX_BYPASSES,
	CX_LOADS,
	CX_LOAD_US,					/* microseconds in loaders */
	CX_LOAD_ERRORS,
	CX_LOADS_DEDUPED,			/* what another session's load answered */
	CX_WAIT_US,					/* microseconds of waiting for those */
	CX_REFRESHES,				/* refreshes of stale or ending entries */
	CX_FILLS,
	CX_PUTS,
	CX_EXPIRED,
	CX_EVICTED,
	CX_EVICTED_UNREAD,			/* of those, the ones that never had a hit */
	CX_INVALIDATED,				/* invalidations of keys, not entries */
	CX_CLEARED,
	CX_REPLACED,
	CX_TOO_LARGE,
	CX_UPDATE_CONFLICTS,		/* updates that an invalidation beat */
	CX_LOADER_CHANGED,			/* entry of another query or parameters */
	CX_DENIED,					/* fetches that read or kept nothing for it */
	CX_NOT_SHARED,				/* entries that the role may not be served */
	CX_REFUSED_FULL,			/* no memory could be freed */
	CX_REFUSED_LIMIT,			/* larger than the cache's own limit */
	CX_REFUSED_DOUBT,			/* loaded beside an invalidating commit */
	CX_REFUSED_WRITES,			/* the transaction has written */
	CX_REFUSED_SNAPSHOT,		/* no snapshot that can be compared */
	CX_REFUSED_INVALID,			/* it does not meet the cache's "validate" */
	/* what an exact cache does not keep: see cx_judge.h */
	CX_REFUSED_UNWATCHED,
	CX_REFUSED_VOLATILE,
	CX_REFUSED_FUNCTION,
	CX_REFUSED_RELATION,
	CX_REFUSED_QUERY,
	CX_REFUSED_TABLES,
	/* the second tier, a table */
	CX_TIER_HITS,
	CX_TIER_STORED,				/* rows written */
	CX_TIER_DROPPED,			/* fills that were too many to be written */
	CX_NCOUNTERS
} CxCounter;

#define CX_NSTRIPED (CX_SAVED_US + 1)

typedef enum CxHistogram
{
	CX_LOAD_TIMES,				/* microseconds */
	CX_HIT_TIMES,				/* nanoseconds, of one hit in 251 */
	CX_NHISTOGRAMS
} CxHistogram;

extern Size cx_counters_size(int ncaches);
extern void cx_counters_init(void *memory, int ncaches);
extern void cx_counters_add(int cache, CxCounter counter, uint64 n);
extern uint64 cx_counters_read(int cache, CxCounter counter);
extern void cx_counters_time(int cache, CxHistogram histogram, double value);
extern double cx_counters_percentile(int cache, CxHistogram histogram,
									 double share);
extern void cx_counters_reset(int cache);

#endif							/* CX_COUNTERS_H */
