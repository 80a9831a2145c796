/*
 * cx_warmth.c
 *	  Is what a warmer stored still there, and have all warmers run that a
 *	  cache cannot do without?
 *
 * A cache's epoch is another number after each start of the server, after
 * each clear of the cache, and in another database.  A run is noted with the
 * epoch in which it began, so one of an earlier epoch has to be repeated.
 *
 * In shared memory a cache has one number that says for which set of required
 * warmers, in which epoch, all have run.  Sessions know the set from their
 * picture of the definitions; where it does not fit, something is to run.
 *
 * A run first says that it is to be expected again after a clear, and then
 * reads the epoch; a clear first moves the epoch, and then has the database
 * visited if a run was expected.  So a run that a clear overtakes is repeated.
 *
 * Locking: none; single fields of shared memory.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"

#include "cx_guc.h"
#include "cx_key.h"
#include "cx_visits.h"
#include "cx_warmth.h"

/* The epoch of a cache; NULL or one without a number: the server's. */
int64
cx_warmth_epoch(const CxCache *cache)
{
	uint64		h = cx_key_mix((uint64) cx_visits_server_start()) + MyDatabaseId;

	if (cache && cx_catalog_usable(cache))
		h = cx_key_mix(h + cache->uid) +
			pg_atomic_read_u64(&cache->shmem->gen);
	return (int64) cx_key_mix(h);
}

/* Says that a clear of the cache from now on makes warmers due. */
void
cx_warmth_expect(const CxCache *cache)
{
	if (cache && cx_catalog_usable(cache))
		(void) pg_atomic_exchange_u32(&cache->shmem->warmers, 1);
}

/* What shared memory holds when all is there. */
static uint64
all_of(uint64 required, int64 epoch)
{
	return cx_key_mix(required ^ (uint64) epoch);
}

/* Says that a set of required warmers has run in an epoch. */
void
cx_warmth_publish(const CxCache *cache, uint64 required, int64 epoch)
{
	if (cx_catalog_usable(cache))
		pg_atomic_write_u64(&cache->shmem->warmed, all_of(required, epoch));
}

/* Whether a required warmer has still to run, and can. */
bool
cx_warmth_loading(const CxCache *cache)
{
	return cache->required != 0 && cache->enabled && cx_guc_enabled &&
		cx_catalog_usable(cache) && !RecoveryInProgress() &&
		pg_atomic_read_u64(&cache->shmem->warmed) !=
		all_of(cache->required, cx_warmth_epoch(cache));
}
