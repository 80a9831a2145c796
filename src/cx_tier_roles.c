/*
 * cx_tier_roles.c
 *	  Hashes of who a role is and of what all roles may, so that a stored row can
 *	  be compared with what they are now.
 *
 * Changes of roles count in every database, where no record of them could be
 * written; so a row of a loader remembers what all roles were: not only its
 * own, since a view reads with the rights of its owner, and a function may.
 *
 * Locking: none of cachex's; reads the catalogs.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "cx_compat.h"
#include "cx_key.h"
#include "cx_tier_roles.h"

static uint64 changes = 1;		/* of the catalogs, that were heard of */
static uint64 all_known_at = 0; /* changes when the next was worked out */
static uint64 known_all;
static uint64 name_known_at = 0;
static Oid	known_name_role = InvalidOid;
static uint64 known_name;

static void
syscache_cb(Datum arg, int cache, uint32 hash)
{
	changes++;
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
	uint64		at;
	char	   *name;

	if (!OidIsValid(role))
		return 1;
	follow_catalogs();
	at = changes;
	if (known_name_role == role && name_known_at == at)
		return known_name;
	name = GetUserNameFromId(role, true);
	known_name = name ? Max(cx_key_stable_name(name, strlen(name)), 1) : 0;
	known_name_role = role;
	/* a message that comes meanwhile is for the next call */
	name_known_at = at;
	return known_name;
}

static uint64
hash_role(HeapTuple tuple)
{
	Form_pg_authid role = (Form_pg_authid) GETSTRUCT(tuple);
	uint64		may = role->rolsuper | role->rolinherit << 1 |
	role->rolbypassrls << 2;

	return cx_key_mix(cx_key_stable_name(NameStr(role->rolname),
										 strlen(NameStr(role->rolname))) +
					  cx_key_mix((uint64) role->oid << 8 | may));
}

static uint64
hash_member(HeapTuple tuple)
{
	Form_pg_auth_members member = (Form_pg_auth_members) GETSTRUCT(tuple);

	return cx_key_mix(cx_key_mix((uint64) member->roleid << 32 |
								 member->member) +
					  cx_compat_member_options(member));
}

/* Rows come in no order. */
static uint64
hash_catalog(Oid catalog, uint64 (*hash_row) (HeapTuple tuple))
{
	Relation	rel = table_open(catalog, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;
	uint64		hash = 0;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		hash += hash_row(tuple);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return hash;
}

/* pg_database_owner is whoever owns the database. */
static uint64
hash_owner(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID,
										ObjectIdGetDatum(MyDatabaseId));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
		ReleaseSysCache(tuple);
	}
	return cx_key_mix(owner);
}

/*
 * A hash of a role and of what all roles may, never 0.  Reads catalogs when one
 * of them has changed.
 */
uint64
cx_tier_roles(Oid role)
{
	uint64		at;
	uint64		hash;

	follow_catalogs();
	at = changes;
	if (all_known_at != at)
	{
		known_all = hash_catalog(AuthIdRelationId, hash_role) +
			hash_catalog(AuthMemRelationId, hash_member) + hash_owner();
		/* a message that comes meanwhile is for the next call */
		all_known_at = at;
	}
	hash = cx_key_mix(known_all + cx_tier_role(role));
	return Max(hash, 1);
}
