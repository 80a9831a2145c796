/*
 * cx_funcs_admin.c
 *	  create_cache, alter_cache and drop_cache: rows of
 *	  cachex.cache_definition, and what follows from a change of a row.
 *
 * The rows are the truth: a trigger on the table tells the transaction's end
 * what to do in shared memory, whoever wrote the row and however.  Checks of
 * single values stand on the table, so that COPY obeys them too.
 *
 * Locking: none of cachex's; the table's as for any statement.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "cx_args.h"
#include "cx_books.h"
#include "cx_change.h"
#include "cx_define.h"
#include "cx_jobs.h"
#include "cx_owner.h"
#include "cx_preload.h"
#include "cx_roster.h"
#include "cx_tier_write.h"

PG_FUNCTION_INFO_V1(cachex_create_cache);
PG_FUNCTION_INFO_V1(cachex_alter_cache);
PG_FUNCTION_INFO_V1(cachex_drop_cache);
PG_FUNCTION_INFO_V1(cachex_definition_changed);

#define OPTIONS 11				/* argument of create_cache */

/* Raises the errors of a name that a new cache is to have. */
static void
check_new_name(const char *name, Size len)
{
	if (cx_catalog_find(name, len) == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("cache \"%s\" already exists", name),
			 errhint("Change it with cachex.alter_cache().")));
}

/* An argument as text, by its type's output function; NULL for NULL. */
static char *
as_text(FunctionCallInfo fcinfo, int n)
{
	Oid			output;
	bool		varlena;

	if (PG_ARGISNULL(n))
		return NULL;
	getTypeOutputInfo(get_fn_expr_argtype(fcinfo->flinfo, n), &output,
					  &varlena);
	return OidOutputFunctionCall(output, PG_GETARG_DATUM(n));
}

/*
 * Sets the settings of a cache that the members of an object name, in one
 * statement; options says that only those may be named that create_cache has
 * no argument for.
 */
static void
change_settings(const char *cache, Jsonb *changes, bool options)
{
	JsonbIterator *it = JsonbIteratorInit(&changes->root);
	JsonbIteratorToken token;
	JsonbValue	v;
	const CxSetting *setting = NULL;
	CxBooksArgs args = {0};
	StringInfoData sql;

	cx_books_text(&args, cache);
	initStringInfo(&sql);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			setting = cx_define_find(pnstrdup(v.val.string.val,
											  v.val.string.len), options);
			if (setting->owner_only)
				cx_owner_require_rights(cx_catalog_get(cache, strlen(cache)),
										CX_OWNER_RUNS_IT);
		}
		else if (token == WJB_VALUE)
		{
			cx_books_text(&args, cx_define_value(setting, &v));
			appendStringInfo(&sql, "%s %s = $%d::%s", args.n == 2 ? "" : ",",
							 setting->name, args.n, setting->type);
		}
	}
	if (args.n > 1)
		cx_books_run_alone(CX_DEFINITIONS,
						   psprintf("UPDATE cachex.cache_definition SET%s"
									" WHERE name = $1", sql.data), &args);
}

/* ---- create, alter, drop ---- */

/*
 * create_cache(name, ttl, max_entries, max_memory, stale_for, negative_ttl,
 * consistency, shared, max_entries_per_scope, loader, persist, options)
 */
Datum
cachex_create_cache(PG_FUNCTION_ARGS)
{
	static const char *const columns[] = {
		"name", "ttl", "max_entries", "max_memory", "stale_for",
		"negative_ttl", "consistency", "shared", "max_entries_per_scope",
		"loader", "persist"
	};
	CxBooksArgs args = {0};
	const char *name;

	CX_REQUIRE_PRELOAD();
	cx_args_writable("cachex.create_cache()");
	name = text_to_cstring(cx_args_text(fcinfo, 0, "cache name",
										NAMEDATALEN - 1));
	cx_owner_require_create();
	check_new_name(name, strlen(name));
	if (PG_ARGISNULL(4) || PG_ARGISNULL(5) || PG_ARGISNULL(6) ||
		PG_ARGISNULL(7) || PG_ARGISNULL(10))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("stale_for, negative_ttl, consistency, shared and persist must not be null")));
	if (!PG_ARGISNULL(OPTIONS) &&
		!JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(OPTIONS)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object")));
	cx_books_text(&args, name);
	for (int i = 1; i < (int) lengthof(columns); i++)
	{
		const char *value = as_text(fcinfo, i);

		if (value != NULL && strcmp(columns[i], "max_memory") == 0)
			value = cx_define_bytes(value);
		else if (value != NULL && strcmp(columns[i], "loader") == 0)
			value = cx_define_loader(PG_GETARG_OID(i));
		else
			cx_define_check(columns[i], value);
		cx_books_text(&args, value);
	}
	cx_books_arg(&args, OIDOID, ObjectIdGetDatum(GetUserId()), false);
	cx_books_run_alone(CX_DEFINITIONS,
					   "INSERT INTO cachex.cache_definition"
					   " (name, ttl, max_entries, max_memory, stale_for,"
					   "  negative_ttl, consistency, shared,"
					   "  max_entries_per_scope, loader, persist, owner)"
					   " VALUES ($1, $2::interval, $3::bigint, $4::bigint,"
					   "  $5::interval, $6::interval, $7, $8::boolean,"
					   "  $9::bigint, $10, $11, $12::regrole)", &args);
	if (!PG_ARGISNULL(OPTIONS))
		change_settings(name, PG_GETARG_JSONB_P(OPTIONS), true);
	PG_RETURN_VOID();
}

/* alter_cache(name, changes) */
Datum
cachex_alter_cache(PG_FUNCTION_ARGS)
{
	CxCache    *cache;
	const char *name;

	CX_REQUIRE_PRELOAD();
	cx_args_writable("cachex.alter_cache()");
	cache = cx_args_cache(fcinfo, 0);
	cx_owner_require(cache);
	if (PG_ARGISNULL(1) || !JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(1)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("changes must be a JSON object"),
				 errhint("For example {\"ttl\": \"5 min\", \"max_entries\": null}.")));
	name = pstrdup(cache->name);
	if (!cache->has_row)
		cx_define_built_in(cache);
	change_settings(name, PG_GETARG_JSONB_P(1), false);
	PG_RETURN_VOID();
}

/* drop_cache(name, if_exists): whether there was one */
Datum
cachex_drop_cache(PG_FUNCTION_ARGS)
{
	text	   *name;
	CxBooksArgs args = {0};
	const char *known;
	CxCache    *cache;

	CX_REQUIRE_PRELOAD();
	cx_args_writable("cachex.drop_cache()");
	name = cx_args_text(fcinfo, 0, "cache name", NAMEDATALEN - 1);
	cache = cx_catalog_find(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	if (cache == NULL && !PG_ARGISNULL(1) && PG_GETARG_BOOL(1))
		PG_RETURN_BOOL(false);
	cache = cx_args_cache(fcinfo, 0);
	cx_owner_require(cache);
	if (!cache->has_row)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cache \"%s\" is built in and cannot be dropped",
						cache->name),
				 errhint("Clear it with cachex.clear(), or disable it with cachex.alter_cache().")));
	known = pstrdup(cache->name);
	cx_roster_forget(known);
	cx_jobs_forget(known);
	cx_books_text(&args, known);
	PG_RETURN_BOOL(cx_books_run_alone(CX_DEFINITIONS,
									  "DELETE FROM cachex.cache_definition"
									  " WHERE name = $1", &args) > 0);
}

/* ---- the trigger on the table ---- */

static int64
row_bigint(HeapTuple tuple, TupleDesc desc, const char *column,
		   int64 if_null)
{
	bool		isnull;
	Datum		d = heap_getattr(tuple, SPI_fnumber(desc, column), desc,
								 &isnull);

	return isnull ? if_null : DatumGetInt64(d);
}

static char *
row_string(HeapTuple tuple, TupleDesc desc, const char *column)
{
	return SPI_getvalue(tuple, desc, SPI_fnumber(desc, column));
}

static bool
is_kept(HeapTuple tuple, TupleDesc desc)
{
	return strcmp(row_string(tuple, desc, "persist"), "snapshot") == 0;
}

static bool
has_table(HeapTuple tuple, TupleDesc desc)
{
	return strcmp(row_string(tuple, desc, "persist"), "table") == 0;
}

/* Raises the errors of settings that do not go together. */
static void
check_row(HeapTuple row, TupleDesc desc)
{
	bool		shared = strcmp(row_string(row, desc, "shared"), "t") == 0;
	int64		id = row_bigint(row, desc, "id", 0);

	if (shared && has_table(row, desc))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a shared cache cannot be kept in a table"),
				 errhint("Use persist => 'snapshot', or a cache that is not shared.")));
	if (shared && cx_registry_is_public(id))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cache \"%s\" is everybody's and cannot be shared",
						row_string(row, desc, "name")),
				 errhint("Create a cache with shared => true.")));
}

static CxLimits
limits_of(HeapTuple row, TupleDesc desc)
{
	CxLimits	limits;

	limits.entries = (uint64) row_bigint(row, desc, "max_entries", -1);
	limits.bytes = (uint64) row_bigint(row, desc, "max_memory", -1);
	limits.per_scope = (uint64) row_bigint(row, desc, "max_entries_per_scope",
										   -1);
	return limits;
}

/* Whether entries have to say from now on what scope they are in. */
static bool
begins_to_limit_scopes(const CxLimits *old, const CxLimits *new)
{
	return old->per_scope == PG_UINT64_MAX && new->per_scope != PG_UINT64_MAX;
}

/* A row changed: new limits hold from the commit on. */
static void
row_changed(HeapTuple old, HeapTuple new, TupleDesc desc)
{
	CxLimits	old_limits = limits_of(old, desc);
	CxLimits	limits = limits_of(new, desc);
	CxCache    *cache;
	char	   *name = row_string(new, desc, "name");

	cx_change_row_changed(CX_OP_ROW_CHANGED, row_bigint(new, desc, "id", 0),
						  &limits, is_kept(new, desc));
	/* under another name or identifier it is another cache */
	if (strcmp(row_string(old, desc, "name"), name) != 0 ||
		row_bigint(old, desc, "id", 0) != row_bigint(new, desc, "id", 0))
		cx_change_row_changed(CX_OP_ROW_DELETED,
							  row_bigint(old, desc, "id", 0), NULL, false);
	/* what one kind of cache keeps is no answer in the other */
	if (has_table(old, desc) != has_table(new, desc))
		cx_change_clear_stored(name);
	if (strcmp(row_string(old, desc, "consistency"),
			   row_string(new, desc, "consistency")) != 0 ||
		strcmp(row_string(old, desc, "shared"),
			   row_string(new, desc, "shared")) != 0 ||
		has_table(old, desc) != has_table(new, desc) ||
		begins_to_limit_scopes(&old_limits, &limits) ||
		strcmp(row_string(old, desc, "version"),
			   row_string(new, desc, "version")) != 0)
	{
		cache = cx_catalog_find(name, strlen(name));
		if (cache)
			cx_change_clear(cache);
	}
}

/* AFTER INSERT OR UPDATE OR DELETE (row), AFTER TRUNCATE (statement) */
Datum
cachex_definition_changed(PG_FUNCTION_ARGS)
{
	TriggerData *t = (TriggerData *) fcinfo->context;
	TupleDesc	desc;

	CX_REQUIRE_PRELOAD();
	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(t->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called by the trigger manager")));
	/* on another table its rows would be anybody's */
	if (RelationGetRelid(t->tg_relation) != cx_catalog_table(CX_DEFINITIONS))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function cachex.definition_changed() is for the table cachex.cache_definition only")));
	desc = RelationGetDescr(t->tg_relation);
	if (TRIGGER_FIRED_BY_INSERT(t->tg_event))
		check_row(t->tg_trigtuple, desc);
	else if (TRIGGER_FIRED_BY_UPDATE(t->tg_event))
		check_row(t->tg_newtuple, desc);
	if (TRIGGER_FIRED_BY_TRUNCATE(t->tg_event))
		cx_change_database_dropped(MyDatabaseId);
	else if (TRIGGER_FIRED_BY_INSERT(t->tg_event))
	{
		CxLimits	limits = limits_of(t->tg_trigtuple, desc);

		if (has_table(t->tg_trigtuple, desc))
			cx_tier_define();
		cx_change_row_changed(CX_OP_ROW_ADDED,
							  row_bigint(t->tg_trigtuple, desc, "id", 0),
							  &limits, is_kept(t->tg_trigtuple, desc));
	}
	else if (TRIGGER_FIRED_BY_DELETE(t->tg_event))
	{
		if (has_table(t->tg_trigtuple, desc))
			cx_change_clear_stored(row_string(t->tg_trigtuple, desc, "name"));
		cx_change_row_changed(CX_OP_ROW_DELETED,
							  row_bigint(t->tg_trigtuple, desc, "id", 0), NULL,
							  false);
	}
	else
		row_changed(t->tg_trigtuple, t->tg_newtuple, desc);
	CacheInvalidateRelcache(t->tg_relation);
	return PointerGetDatum(NULL);
}
