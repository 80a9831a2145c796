/*
 * cx_grants.c
 *	  Privileges on a cache: its owner has all of them, other roles what
 *	  grant_cache() gave them, or roles that they are members of, or everybody.
 *
 * What the current role may do is kept with the cache until a role, a
 * membership or the cache's row changes.  As everywhere in the server, a
 * change by another session counts from the next statement on.
 *
 * Locking: none; reads the catalogs.
 */
#include "postgres.h"

#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "cx_grants.h"

uint64		cx_grants_version = 1;

static void
roles_changed_cb(Datum arg, int cache, uint32 hash)
{
	cx_grants_version++;
}

/* What a role may do with a cache: CX_MAY_..., from the catalogs. */
uint8
cx_grants_of_role(const CxCache *cache, Oid role)
{
	uint8		may = 0;

	if (has_privs_of_role(role, cache->owner))
		return CX_MAY_ALL;
	for (int i = 0; i < cache->ngrants && may != CX_MAY_ALL; i++)
	{
		const CxGrant *grant = &cache->grants[i];

		if (!OidIsValid(grant->role) || has_privs_of_role(role, grant->role))
			may |= grant->may;
	}
	return may;
}

/* As cx_grants_of, from the catalogs. */
uint8
cx_grants_find(CxCache *cache)
{
	static bool registered = false;
	Oid			role = GetUserId();
	uint64		version;
	uint8		may;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(AUTHOID, roles_changed_cb, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, roles_changed_cb,
									  (Datum) 0);
		/* the owner of the database is a member of pg_database_owner */
		CacheRegisterSyscacheCallback(DATABASEOID, roles_changed_cb,
									  (Datum) 0);
		registered = true;
	}
	/* a message that comes meanwhile is for the next call */
	version = cx_grants_version;
	may = cx_grants_of_role(cache, role);
	cache->known_role = role;
	cache->known_may = may;
	cache->known_at = version;
	return may;
}

/* Raises an error unless the current role has all of some privileges. */
void
cx_grants_require(CxCache *cache, uint8 needs)
{
	uint8		lacks = needs & ~cx_grants_of(cache);

	if (likely(lacks == 0))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for cache \"%s\"", cache->name),
			 errhint("Its owner can use cachex.grant_cache() to give the privilege \"%s\".",
					 (lacks & CX_MAY_READ) ? "read" : "write")));
}
