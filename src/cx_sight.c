/*
 * cx_sight.c
 *	  Numbers of a cache are for who may use or own it, keys and tags for who
 *	  may see the entry, and both for who may read all statistics.
 *
 * Locking: none.
 */
#include "postgres.h"

#include "catalog/pg_authid_d.h"
#include "miscadmin.h"
#include "utils/acl.h"

#include "cx_grants.h"
#include "cx_owner.h"
#include "cx_sight.h"

static bool
reads_all_stats(void)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

/* Whether the current role is shown the counters of a cache. */
bool
cx_sight_cache(CxCache *cache)
{
	return cx_grants_of(cache) != 0 || cx_owner_allows(cache) ||
		reads_all_stats();
}

/*
 * Whether it is shown every entry of a cache.  Keys can be as secret as rows,
 * so it is not enough to own the database.
 */
bool
cx_sight_all_entries(const CxCache *cache)
{
	return cx_owner_is(cache, GetUserId()) || reads_all_stats();
}

/* Whether it is shown an entry of a role; those of shared caches have none. */
bool
cx_sight_entry(Oid role)
{
	return OidIsValid(role) && has_privs_of_role(GetUserId(), role);
}
