/*
 * cx_tier.h
 *	  The second tier of a cache with persist => 'table': what memory does not
 *	  have.
 */
#ifndef CX_TIER_H
#define CX_TIER_H

#include "cx_cache.h"
#include "cx_tier_table.h"

extern CxStatus cx_tier_serve(CxAsk *ask, uint64 loader, bool fill,
							  bool whole, CxHit *hit);

/* As cx_tier_serve, where there may be a row at all. */
static inline CxStatus
cx_tier_lookup(CxAsk *ask, uint64 loader, bool whole, CxHit *hit)
{
	if (ask->cache->persist != CX_PERSIST_TABLE)
		return CX_MISS;
	return cx_tier_serve(ask, loader, true, whole, hit);
}

#endif							/* CX_TIER_H */
