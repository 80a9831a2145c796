/*
 * cx_grants.h
 *	  Who may read and write a cache.
 */
#ifndef CX_GRANTS_H
#define CX_GRANTS_H

#include "miscadmin.h"

#include "cx_catalog.h"

/*
 * Moves when a role, a membership or the database, whose owner is a member of
 * pg_database_owner, changes; never 0.
 */
extern uint64 cx_grants_version;

extern uint8 cx_grants_find(CxCache *cache);
extern uint8 cx_grants_of_role(const CxCache *cache, Oid role);
extern void cx_grants_require(CxCache *cache, uint8 needs);

/* What the current role may do with a cache: CX_MAY_... */
static inline uint8
cx_grants_of(CxCache *cache)
{
	return likely(cache->known_at == cx_grants_version &&
				  cache->known_role == GetUserId())
		? cache->known_may : cx_grants_find(cache);
}

#endif							/* CX_GRANTS_H */
