/*
 * cx_tier_roles.c
 *	  Hashes of who a role is and of all that it may be, so that a stored row can
 *	  be compared with what the role is now.
 *
 * Changes of roles count in every database, where no record of them could be
 * written; so a row of a loader remembers whose privileges its role had.
 *
 * Locking: none of cachex's; reads the catalogs.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_authid.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "cx_key.h"
#include "cx_tier_roles.h"

static Oid	known_role = InvalidOid;
static uint64 known;
static Oid	known_name_role = InvalidOid;
static uint64 known_name;

static void
syscache_cb(Datum arg, int cache, uint32 hash)
{
	known_role = known_name_role = InvalidOid;
}

static void
follow_catalogs(void)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(AUTHOID, syscache_cb, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, syscache_cb, (Datum) 0);
		CacheRegisterSyscacheCallback(DATABASEOID, syscache_cb, (Datum) 0);
		registered = true;
	}
	AcceptInvalidationMessages();
}

/*
 * A hash of who a role is, never 0: of its name, since another one may get the
 * OID of one that was dropped.  0 for a role that is gone; InvalidOid stands
 * for every role.
 */
uint64
cx_tier_role(Oid role)
{
	char	   *name;

	if (!OidIsValid(role))
		return 1;
	follow_catalogs();
	if (known_name_role == role)
		return known_name;
	/* a message that comes meanwhile is for the next call */
	known_name_role = role;
	name = GetUserNameFromId(role, true);
	known_name = name ? Max(cx_key_stable_name(name, strlen(name)), 1) : 0;
	return known_name;
}

/* The roles whose privileges a role has, in no order. */
static uint64
hash_members(Oid role)
{
	Relation	authid = table_open(AuthIdRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(authid, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;
	uint64		hash = 0;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			other = ((Form_pg_authid) GETSTRUCT(tuple))->oid;

		if (has_privs_of_role(role, other))
			hash += cx_key_mix(other);
	}
	systable_endscan(scan);
	table_close(authid, AccessShareLock);
	return hash;
}

/*
 * The hash of a role, never 0; what a superuser is a member of is of no
 * matter.  For a role that is gone it raises an error only where the server
 * would.
 */
uint64
cx_tier_roles(Oid role)
{
	uint64		hash;

	follow_catalogs();
	if (known_role == role && OidIsValid(role))
		return known;
	/* a message that comes meanwhile is for the next call */
	known_role = role;
	if (superuser_arg(role))
		hash = 1;
	else
		hash = cx_key_mix(hash_members(role) +
						  (has_bypassrls_privilege(role) ? 2 : 3));
	hash = cx_key_mix(hash + cx_tier_role(role));
	known = hash == 0 ? 1 : hash;
	return known;
}
