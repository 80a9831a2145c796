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
#include "utils/guc.h"

#include "cx_grants.h"
#include "cx_owner.h"
#include "cx_sight.h"

static bool
reads_all_stats(void)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

/* Whether the current role may see the counters of a cache. */
bool
cx_sight_counters(CxCache *cache)
{
	return cx_grants_of(cache) != 0 || cx_owner_may_manage(cache) ||
		reads_all_stats();
}

/*
 * Whether the current role may see every entry of a cache.  Keys can be as
 * secret as rows, so it is not enough to own the database.
 */
bool
cx_sight_every_entry(const CxCache *cache)
{
	return cx_owner_has_rights(cache, GetUserId()) || reads_all_stats();
}

/* Whether an entry is in the scope that the cache's setting says. */
static bool
is_in_own_scope(const CxCache *cache, const CxScanned *e)
{
	const char *own;

	if (cache->scoped_by == NULL)
		return true;
	own = GetConfigOption(cache->scoped_by, true, false);
	return own != NULL && strlen(own) == e->entry.scope_len &&
		memcmp(own, e->scope, e->entry.scope_len) == 0;
}

/*
 * Whether the current role may see an entry.  Those of shared caches have no
 * role: who may see every entry sees them.
 */
bool
cx_sight_entry(const CxCache *cache, const CxScanned *e)
{
	return OidIsValid(e->entry.role) &&
		has_privs_of_role(GetUserId(), e->entry.role) &&
		is_in_own_scope(cache, e);
}
