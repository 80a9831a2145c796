/*
 * cx_funcs_grant.c
 *	  grant_cache and revoke_cache.
 *
 * Locking: none of cachex's; the table's as for any statement.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "cx_args.h"
#include "cx_books.h"
#include "cx_define.h"
#include "cx_owner.h"
#include "cx_preload.h"

PG_FUNCTION_INFO_V1(cachex_grant_cache);
PG_FUNCTION_INFO_V1(cachex_revoke_cache);

static const char *const readers = "readers";
static const char *const writers = "writers";

/* The column that holds the roles with a privilege. */
static const char *
column_of(FunctionCallInfo fcinfo, int n)
{
	char	   *privilege = text_to_cstring(cx_args_text(fcinfo, n, "privilege",
														 NAMEDATALEN - 1));

	if (strcmp(privilege, "read") == 0)
		return readers;
	if (strcmp(privilege, "write") == 0)
		return writers;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized privilege \"%s\"", privilege),
			 errhint("Valid privileges are read and write.")));
}

/* A role by its name; InvalidOid for everybody. */
static Oid
role_of(FunctionCallInfo fcinfo, int n)
{
	char	   *name = text_to_cstring(cx_args_text(fcinfo, n, "grantee",
													NAMEDATALEN - 1));

	return strcmp(name, "public") == 0 ? InvalidOid : get_role_oid(name, false);
}

/* A column without roles that were dropped: another may get such a number. */
static const char *
those_there(const char *column)
{
	return psprintf("ARRAY(SELECT r FROM unnest(%s) AS r"
					" WHERE r = 0::oid OR r IN (SELECT oid FROM pg_roles))",
					column);
}

/*
 * Gives or takes a privilege.  To give away
 * what others have put takes all of the owner's privileges; of a built-in
 * cache, which everybody uses, the database's owner decides.
 */
static void
change_grant(FunctionCallInfo fcinfo, const char *function, bool give)
{
	CxCache    *cache;
	CxBooksArgs args = {0};
	const char *column;
	const char *other;

	cx_args_writable(function);
	cache = cx_args_cache(fcinfo, 0);
	if (cx_registry_is_public(cache->id))
		cx_owner_require(cache);
	else
		cx_owner_require_rights(cache, CX_OWNER_SAYS_WHO);
	column = column_of(fcinfo, 2);
	other = column == readers ? writers : readers;
	cx_books_text(&args, cache->name);
	cx_books_arg(&args, OIDOID, ObjectIdGetDatum(role_of(fcinfo, 1)), false);
	if (!cache->has_row)
		cx_define_built_in(cache);
	cx_books_run_alone(CX_DEFINITIONS,
					   psprintf("UPDATE cachex.cache_definition"
								" SET %s = array_%s(%s, $2::regrole), %s = %s"
								" WHERE name = $1"
								" AND ($2 = ANY (%s::oid[])) IS %s",
								column, give ? "append" : "remove",
								those_there(column), other,
								those_there(other), column,
								give ? "FALSE" : "TRUE"), &args);
}

/* grant_cache(name, grantee, privilege) */
Datum
cachex_grant_cache(PG_FUNCTION_ARGS)
{
	CX_REQUIRE_PRELOAD();
	change_grant(fcinfo, "cachex.grant_cache()", true);
	PG_RETURN_VOID();
}

/* revoke_cache(name, grantee, privilege) */
Datum
cachex_revoke_cache(PG_FUNCTION_ARGS)
{
	CX_REQUIRE_PRELOAD();
	change_grant(fcinfo, "cachex.revoke_cache()", false);
	PG_RETURN_VOID();
}
