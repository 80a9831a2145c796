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

/*
 * Whether the current role may alter, clear and drop a cache: one with the
 * owner's privileges, or the database's owner, who answers for its memory.
 */
bool
cx_owner_may_manage(const CxCache *cache)
{
	return cx_owner_has_rights(cache, GetUserId()) ||
		cx_compat_owns_database(MyDatabaseId, GetUserId());
}

/*
 * Whether a role has all privileges of the owner: for what shows values, or is
 * run as the owner, it is not enough to own the database.
 */
bool
cx_owner_has_rights(const CxCache *cache, Oid role)
{
	return has_privs_of_role(role, cache->owner);
}

/*
 * Raises an error unless the current role has all privileges of the owner.
 * detail says why that is needed, %s being the owner's name.
 */
void
cx_owner_require_rights(const CxCache *cache, const char *detail)
{
	char	   *owner;

	if (cx_owner_has_rights(cache, GetUserId()))
		return;
	owner = GetUserNameFromId(cache->owner, true);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must have the privileges of the owner of cache \"%s\"",
					cache->name),
			 errdetail_internal(detail, owner ? owner : "unknown")));
}

/* Raises an error unless the current role may manage the cache. */
void
cx_owner_require(const CxCache *cache)
{
	if (!cx_owner_may_manage(cache))
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
