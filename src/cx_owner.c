/*
 * cx_owner.c
 *	  The owner's rights: members of the owning role, the database's owner,
 *	  superusers.
 *
 * Locking: none.
 */
#include "postgres.h"

#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/acl.h"

#include "cx_compat.h"
#include "cx_owner.h"

bool
cx_owner_allows(const CxCache *cache)
{
	return has_privs_of_role(GetUserId(), cache->owner) ||
		cx_compat_owns_database(MyDatabaseId, GetUserId());
}

/* Whether a role has all privileges of the owner. */
bool
cx_owner_is(const CxCache *cache, Oid role)
{
	return has_privs_of_role(role, cache->owner);
}

/*
 * Raises an error unless the current role has all privileges of the owner: for
 * what will be run as the owner it is not enough to own the database.
 */
void
cx_owner_require_itself(const CxCache *cache)
{
	if (!cx_owner_is(cache, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must have the privileges of the owner of cache \"%s\"",
						cache->name),
				 errdetail("What is asked for is run as role \"%s\".",
						   GetUserNameFromId(cache->owner, false))));
}

/* Raises an error unless the current role may change the cache. */
void
cx_owner_require(const CxCache *cache)
{
	if (!cx_owner_allows(cache))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of cache \"%s\"", cache->name)));
}

/* Raises an error unless the current role may create caches here. */
void
cx_owner_require_create(void)
{
	if (!cx_compat_may_create(MyDatabaseId, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to create a cache in database \"%s\"",
						get_database_name(MyDatabaseId)),
				 errhint("The privilege CREATE on the database is needed.")));
}
