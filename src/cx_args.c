/*
 * cx_args.c
 *	  Checks arguments.
 *
 * Locking: none.  Pointers that are returned point into the arguments, or
 * into the current memory context.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/timestamp.h"

#include "cx_args.h"
#include "cx_grants.h"
#include "cx_loader.h"

/*
 * A text argument that must be there, not empty, and at most so many bytes.
 * what names it in the error.
 */
text *
cx_args_text(FunctionCallInfo fcinfo, int n, const char *what, Size longest)
{
	text	   *t;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", what)));
	t = PG_GETARG_TEXT_PP(n);
	if (VARSIZE_ANY_EXHDR(t) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", what)));
	if (VARSIZE_ANY_EXHDR(t) > longest)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("%s is too long", what),
				 errdetail("It has %zu bytes, the limit is %zu.",
						   VARSIZE_ANY_EXHDR(t), longest)));
	return t;
}

/*
 * Hears of what others have committed, once a statement: one that reads no
 * table would go on with privileges that were revoked while its transaction
 * runs.
 */
static inline void
accept_messages_once_a_statement(void)
{
	static TimestampTz heard = 0;
	TimestampTz statement = GetCurrentStatementStartTimestamp();

	if (likely(statement == heard))
		return;
	heard = statement;
	AcceptInvalidationMessages();
}

/* The cache that an argument names; it must exist. */
CxCache *
cx_args_cache(FunctionCallInfo fcinfo, int n)
{
	text	   *name = cx_args_text(fcinfo, n, "cache name", NAMEDATALEN - 1);

	accept_messages_once_a_statement();
	return cx_catalog_get(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
}

/* Raises the errors of a key that is not an argument of its own. */
void
cx_args_check_key(const char *key, Size len)
{
	if (len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key must not be empty")));
	if (len > CX_MAX_KEY)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("key is too long"),
				 errdetail("It has %zu bytes, the limit is %d.", len,
						   CX_MAX_KEY)));
}

/* The scope that a setting says. */
static CxScope
scope_of_setting(const CxCache *cache)
{
	const char *value = GetConfigOption(cache->scoped_by, true, false);
	CxScope		scope = {value, value ? strlen(value) : 0};

	if (scope.len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("setting \"%s\", which is the scope of cache \"%s\", is not set",
						cache->scoped_by, cache->name),
				 errhint("Use SET LOCAL %s = ... or set_config() before.",
						 cache->scoped_by)));
	if (scope.len > CX_MAX_SCOPE)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("setting \"%s\" is too long for a scope",
						cache->scoped_by),
				 errdetail("It has %zu bytes, the limit is %d.", scope.len,
						   CX_MAX_SCOPE)));
	return scope;
}

/*
 * The scope of a call: an argument (n < 0: there is no such argument), or
 * what the cache's setting says, which must then be the same.
 */
CxScope
cx_args_scope(FunctionCallInfo fcinfo, int n, CxCache *cache)
{
	CxScope		scope = {NULL, 0};
	CxScope		required;

	if (n >= 0 && !PG_ARGISNULL(n))
	{
		text	   *t = cx_args_text(fcinfo, n, "scope", CX_MAX_SCOPE);

		scope.name = VARDATA_ANY(t);
		scope.len = VARSIZE_ANY_EXHDR(t);
	}
	if (likely(cache->scoped_by == NULL))
		return scope;
	required = scope_of_setting(cache);
	if (scope.name != NULL && (scope.len != required.len ||
							   memcmp(scope.name, required.name, scope.len) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("scope of cache \"%s\" must be that of setting \"%s\"",
						cache->name, cache->scoped_by)));
	/* the setting may change while the call runs */
	required.name = pnstrdup(required.name, required.len);
	return required;
}

/*
 * Prepares a question of a caller who must have some privileges on the cache
 * (CX_MAY_...); what he has is in ask->may.
 */
void
cx_args_ask_key(CxAsk *ask, CxCache *cache, text *key, CxScope scope,
				uint8 needs)
{
	cx_grants_require(cache, needs);
	cx_cache_ask(ask, cache, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key),
				 scope.name, scope.len);
	ask->may = cx_grants_of(cache);
}

/* The question that cache (argument 0), key and scope make. */
void
cx_args_ask(FunctionCallInfo fcinfo, int key_arg, int scope_arg, uint8 needs,
			CxAsk *ask)
{
	CxCache    *cache = cx_args_cache(fcinfo, 0);
	text	   *key = cx_args_text(fcinfo, key_arg, "key", CX_MAX_KEY);

	cx_args_ask_key(ask, cache, key, cx_args_scope(fcinfo, scope_arg, cache),
					needs);
}

/* ttl and expires_at; expires_arg -1: there is no such argument. */
CxLife
cx_args_life(FunctionCallInfo fcinfo, int ttl_arg, int expires_arg)
{
	CxLife		life = {0};

	if (!PG_ARGISNULL(ttl_arg))
	{
		life.has_ttl = true;
		life.ttl_us = cx_loader_interval_us(PG_GETARG_INTERVAL_P(ttl_arg));
	}
	if (expires_arg >= 0 && !PG_ARGISNULL(expires_arg))
	{
		life.has_expires = true;
		life.expires = PG_GETARG_TIMESTAMPTZ(expires_arg);
	}
	if (life.has_ttl && life.has_expires)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ttl and expires_at must not both be given")));
	return life;
}

/*
 * stale_for: what the caller allows, and what an entry that he fills may be
 * used for.  NULL: what the cache says.
 */
void
cx_args_stale(FunctionCallInfo fcinfo, int n, CxAsk *ask, CxLife *life)
{
	ask->stale_us = CX_STALE_AS_DEFINED;
	if (PG_ARGISNULL(n))
		return;
	life->has_stale = true;
	life->stale_us = cx_loader_interval_us(PG_GETARG_INTERVAL_P(n));
	if (life->stale_us < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("stale_for must not be negative")));
	ask->stale_us = life->stale_us;
}

/* An array argument, or NULL. */
ArrayType *
cx_args_array(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : PG_GETARG_ARRAYTYPE_P(n);
}

/* A text argument as a C string, or NULL. */
char *
cx_args_cstring(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/* Sets the tags of an entry from text[], or from NULL. */
void
cx_args_tags(CxNewEntry *entry, ArrayType *tags)
{
	Datum	   *elems;
	bool	   *nulls;
	int			n;

	entry->ntags = 0;
	if (tags == NULL)
		return;
	deconstruct_array(tags, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls,
					  &n);
	if (n > CX_MAX_TAGS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many tags"),
				 errdetail("An entry can have %d tags.", CX_MAX_TAGS)));
	for (int i = 0; i < n; i++)
	{
		text	   *t = nulls[i] ? NULL : DatumGetTextPP(elems[i]);

		if (t == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("tag must not be null")));
		if (VARSIZE_ANY_EXHDR(t) == 0 || VARSIZE_ANY_EXHDR(t) > CX_MAX_TAG)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("tag must have between 1 and %d bytes",
							CX_MAX_TAG)));
		entry->tag[i] = VARDATA_ANY(t);
		entry->tag_len[i] = (uint8) VARSIZE_ANY_EXHDR(t);
		entry->tag_id[i] = cx_key_of_tag(MyDatabaseId, entry->tag[i],
										 entry->tag_len[i]);
	}
	entry->ntags = n;
}

/* Raises an error where the cache cannot be changed. */
void
cx_args_writable(const char *function)
{
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
	PreventCommandDuringRecovery(function);
}
