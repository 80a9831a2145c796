/*
 * cx_funcs_invalidate.c
 *	  invalidate, invalidate_tags, invalidate_like, invalidate_table, clear and
 *	  purge.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type_d.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "cx_args.h"
#include "cx_change.h"
#include "cx_compat.h"
#include "cx_counters.h"
#include "cx_grants.h"
#include "cx_like.h"
#include "cx_owner.h"
#include "cx_preload.h"
#include "cx_reclaim.h"
#include "cx_tier_write.h"

PG_FUNCTION_INFO_V1(cachex_invalidate);
PG_FUNCTION_INFO_V1(cachex_invalidate_tags);
PG_FUNCTION_INFO_V1(cachex_invalidate_like);
PG_FUNCTION_INFO_V1(cachex_invalidate_table);
PG_FUNCTION_INFO_V1(cachex_clear);
PG_FUNCTION_INFO_V1(cachex_purge);

/* invalidate(cache, key, scope) */
Datum
cachex_invalidate(PG_FUNCTION_ARGS)
{
	CxAsk		ask;

	CX_REQUIRE_PRELOAD();
	cx_args_ask(fcinfo, 1, 2, CX_MAY_WRITE, &ask);
	cx_args_writable("cachex.invalidate()");
	if (ask.ident.has_scope)
		cx_change_invalidate_scoped(&ask);
	else
		cx_change_invalidate_key(ask.cache, ask.ident.key, ask.ident.key_len);
	PG_RETURN_VOID();
}

/* invalidate_tags(tags) */
Datum
cachex_invalidate_tags(PG_FUNCTION_ARGS)
{
	Datum	   *elems;
	bool	   *nulls;
	int			n;

	CX_REQUIRE_PRELOAD();
	cx_args_writable("cachex.invalidate_tags()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("tags must not be null")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false,
					  TYPALIGN_INT, &elems, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		text	   *tag = nulls[i] ? NULL : DatumGetTextPP(elems[i]);

		if (tag == NULL || VARSIZE_ANY_EXHDR(tag) == 0 ||
			VARSIZE_ANY_EXHDR(tag) > CX_MAX_TAG)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("tag must have between 1 and %d bytes",
							CX_MAX_TAG)));
	}
	for (int i = 0; i < n; i++)
	{
		text	   *tag = DatumGetTextPP(elems[i]);

		cx_change_invalidate_tag(VARDATA_ANY(tag), VARSIZE_ANY_EXHDR(tag));
	}
	PG_RETURN_VOID();
}

/* invalidate_like(cache, pattern): how many entries match that are seen */
Datum
cachex_invalidate_like(PG_FUNCTION_ARGS)
{
	CxCache    *cache;
	char	   *pattern;

	CX_REQUIRE_PRELOAD();
	cache = cx_args_cache(fcinfo, 0);
	cx_grants_require(cache, CX_MAY_WRITE);
	pattern = cx_args_cstring(fcinfo, 1);
	if (pattern == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("pattern must not be null")));
	cx_like_check(pattern, strlen(pattern));
	cx_args_writable("cachex.invalidate_like()");
	PG_RETURN_INT64(cx_change_invalidate_like(cache, pattern));
}

/*
 * Raises an error unless the current role could have changed the table, or it
 * is his: then he could invalidate the same by writing.
 */
static void
require_writer(Oid relid)
{
	AclMode		writes = ACL_INSERT | ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE;
	Oid			role = GetUserId();

	if (cx_compat_owns_table(relid, role) ||
		pg_class_aclmask(relid, role, writes, ACLMASK_ANY) != 0 ||
		pg_attribute_aclcheck_all(relid, role, ACL_INSERT,
								  ACLMASK_ANY) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(relid, role, ACL_UPDATE,
								  ACLMASK_ANY) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for table %s", get_rel_name(relid)),
			 errhint("Who owns a table or may write to it can invalidate it.")));
}

/* invalidate_table(rel) */
Datum
cachex_invalidate_table(PG_FUNCTION_ARGS)
{
	CX_REQUIRE_PRELOAD();
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("rel must not be null")));
	cx_args_writable("cachex.invalidate_table()");
	if (get_rel_relkind(PG_GETARG_OID(0)) == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist",
						PG_GETARG_OID(0))));
	require_writer(PG_GETARG_OID(0));
	cx_change_invalidate_table(PG_GETARG_OID(0));
	PG_RETURN_VOID();
}

/* Clears each cache of the database that the current role may manage. */
static void
clear_all(void)
{
	int			n;
	int			cleared = 0;
	CxCache   **all = cx_catalog_all(&n);

	for (int i = 0; i < n; i++)
	{
		if (!cx_owner_may_manage(all[i]))
			continue;
		cx_change_clear(all[i]);
		cleared++;
	}
	if (cleared > 0)
		ereport(LOG,
				(errmsg("role \"%s\" clears %d caches of database \"%s\"",
						GetUserNameFromId(GetUserId(), false), cleared,
						get_database_name(MyDatabaseId))));
}

/* clear(cache, scope); without a cache, all that the caller may clear */
Datum
cachex_clear(PG_FUNCTION_ARGS)
{
	CX_REQUIRE_PRELOAD();
	cx_args_writable("cachex.clear()");
	if (PG_ARGISNULL(0))
	{
		if (!PG_ARGISNULL(1))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a scope can be cleared in one cache only")));
		clear_all();
	}
	else
	{
		CxCache    *cache = cx_args_cache(fcinfo, 0);

		if (PG_ARGISNULL(1))
		{
			cx_owner_require(cache);
			cx_change_clear(cache);
		}
		else
		{
			CxScope		scope = cx_args_scope(fcinfo, 1, cache);

			cx_grants_require(cache, CX_MAY_WRITE);
			cx_change_clear_scope(cache, scope.name, scope.len);
		}
	}
	PG_RETURN_VOID();
}

/*
 * purge(cache): how many entries are fewer, of those that had expired or were
 * cleared; what others put meanwhile hides as many.
 */
Datum
cachex_purge(PG_FUNCTION_ARGS)
{
	CxUsage		before = {0};
	CxUsage		after = {0};
	uint64		entries = 0;
	int			number = -1;

	CX_REQUIRE_PRELOAD();
	if (!PG_ARGISNULL(0))
	{
		CxCache    *cache = cx_args_cache(fcinfo, 0);

		cx_owner_require(cache);
		if (cx_catalog_usable(cache))
			number = cache->number;
	}
	else if (!cx_compat_owns_database(MyDatabaseId, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of database \"%s\"",
						get_database_name(MyDatabaseId)),
				 errhint("The owner of a cache can purge that.")));
	if (number >= 0)
		cx_policy_usage(number, &before);
	else
		entries = cx_policy_entries();
	while (cx_reclaim_sweep(GetCurrentTimestamp()))
		CHECK_FOR_INTERRUPTS();
	if (cx_catalog_any_in_table())
		cx_tier_clean_at_commit();
	if (number >= 0)
	{
		cx_policy_usage(number, &after);
		PG_RETURN_INT64(Max((int64) before.entries - (int64) after.entries, 0));
	}
	PG_RETURN_INT64(Max((int64) entries - (int64) cx_policy_entries(), 0));
}
