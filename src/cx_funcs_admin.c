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
#include "catalog/pg_authid_d.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "cx_args.h"
#include "cx_jobs.h"
#include "cx_loader.h"
#include "cx_owner.h"
#include "cx_preload.h"
#include "cx_roster.h"
#include "cx_tier_write.h"
#include "cx_validate.h"

PG_FUNCTION_INFO_V1(cachex_create_cache);
PG_FUNCTION_INFO_V1(cachex_alter_cache);
PG_FUNCTION_INFO_V1(cachex_drop_cache);
PG_FUNCTION_INFO_V1(cachex_definition_changed);

/* A setting as create_cache and alter_cache know it, and its column. */
typedef struct Setting
{
	const char *name;
	const char *type;			/* its text is cast to this */
	bool		nullable;
	bool		option;			/* create_cache takes it in options */
	bool		is_run;			/* as the cache's owner */
} Setting;

static const Setting settings[] =
{
	{"ttl", "interval", true},
	{"negative_ttl", "interval", false},
	{"max_entries", "bigint", true},
	{"max_memory", "bigint", true},
	{"consistency", "text", false},
	{"loader", "text", true, false, true},
	{"enabled", "boolean", false},
	{"version", "integer", false},
	{"stale_for", "interval", false},
	{"persist", "text", false},
	{"beta", "double precision", false, true},
	{"jitter", "double precision", false, true},
	{"validate", "text", true, true, true},
};

#define MAX_ARGS 14				/* of a statement */

/* ---- statements as the extension's owner ---- */

/*
 * Runs a statement on the table of definitions with text parameters, as the
 * bootstrap superuser.  Returns the number of rows.
 */
static uint64
run_as_owner(const char *sql, int nargs, const char **args)
{
	Oid			types[MAX_ARGS];
	Datum		values[MAX_ARGS];
	char		nulls[MAX_ARGS];
	Oid			user;
	int			context;
	int			nest = NewGUCNestLevel();
	uint64		n;

	Assert(nargs <= MAX_ARGS);
	for (int i = 0; i < nargs; i++)
	{
		types[i] = TEXTOID;
		values[i] = args[i] ? CStringGetTextDatum(args[i]) : (Datum) 0;
		nulls[i] = args[i] ? ' ' : 'n';
	}
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   context | SECURITY_LOCAL_USERID_CHANGE);
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0) < 0)
		elog(ERROR, "could not execute \"%s\"", sql);
	n = SPI_processed;
	SPI_finish();
	AtEOXact_GUC(true, nest);
	SetUserIdAndSecContext(user, context);
	return n;
}

/* ---- values of settings ---- */

/* Bytes from a text such as 64MB, as for server settings. */
static const char *
parse_bytes(const char *size)
{
	double		bytes;
	const char *hint = NULL;

	if (!parse_real(size, &bytes, GUC_UNIT_BYTE, &hint) || bytes < 0 ||
		bytes > (double) (PG_INT64_MAX / 2))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for max_memory: \"%s\"", size),
				 hint ? errhint("%s", hint) : 0));
	return psprintf(INT64_FORMAT, (int64) bytes);
}

/*
 * The name of a loader function, qualified and quoted.  It must take the key
 * as text and return one value.
 */
static const char *
parse_loader(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;
	const char *name;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function with OID %u does not exist", function)));
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	if (proc->prokind != PROKIND_FUNCTION || proc->proretset ||
		proc->pronargs != 1 || proc->proargtypes.values[0] != TEXTOID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("function %s cannot be a loader",
						format_procedure(function)),
				 errhint("A loader takes the key as text and returns one value.")));
	name = quote_qualified_identifier(get_namespace_name(proc->pronamespace),
									  NameStr(proc->proname));
	ReleaseSysCache(tuple);
	return name;
}

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

/* Raises an error unless the text is one of the words. */
static void
check_word(const char *name, const char *value, const char *const *words,
		   const char *hint)
{
	for (; *words; words++)
	{
		if (strcmp(value, *words) == 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for %s: \"%s\"", name, value),
			 errhint("%s", hint)));
}

static int64
parse_interval_us(const char *value)
{
	Datum		interval = DirectFunctionCall3(interval_in,
											   CStringGetDatum(value),
											   ObjectIdGetDatum(InvalidOid),
											   Int32GetDatum(-1));

	return cx_loader_interval_us(DatumGetIntervalP(interval));
}

/* Raises an error for a number that is out of its bounds, or is none. */
static void
check_number(const char *name, const char *value, double max)
{
	double		number = DatumGetFloat8(DirectFunctionCall1(float8in,
															CStringGetDatum(value)));

	if (!(number >= 0 && number <= max))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between 0 and %g", name, max)));
}

/* Raises the errors of a setting's value, given as text; NULL is unset. */
static void
check_value(const char *name, const char *value)
{
	static const char *const consistencies[] = {"exact", "ttl", NULL};
	static const char *const persists[] = {"none", "snapshot", "table", NULL};

	if (value == NULL)
		return;
	if (strcmp(name, "ttl") == 0 || strcmp(name, "negative_ttl") == 0)
	{
		if (parse_interval_us(value) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must be positive", name)));
	}
	else if (strcmp(name, "stale_for") == 0)
	{
		if (parse_interval_us(value) < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("stale_for must not be negative")));
	}
	else if (strcmp(name, "max_entries") == 0)
	{
		if (DatumGetInt64(DirectFunctionCall1(int8in,
											  CStringGetDatum(value))) < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("max_entries must not be negative"),
					 errhint("Use null for no limit.")));
	}
	else if (strcmp(name, "consistency") == 0)
		check_word(name, value, consistencies,
				   "Valid values are exact and ttl.");
	else if (strcmp(name, "persist") == 0)
		check_word(name, value, persists,
				   "Valid values are none, snapshot and table.");
	else if (strcmp(name, "beta") == 0)
		check_number(name, value, 100);
	else if (strcmp(name, "jitter") == 0)
		check_number(name, value, 1);
	else if (strcmp(name, "validate") == 0)
		cx_validate_check(value);
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

/* The setting of a name; options: one of those that options can hold. */
static const Setting *
find_setting(const char *name, bool options)
{
	for (int i = 0; i < (int) lengthof(settings); i++)
	{
		if (strcmp(settings[i].name, name) == 0 &&
			(!options || settings[i].option))
			return &settings[i];
	}
	if (options)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized cache option \"%s\"", name),
				 errhint("Options are beta, jitter and validate.")));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized cache setting \"%s\"", name),
			 errhint("Settings are ttl, negative_ttl, max_entries, max_memory, consistency, loader, enabled, version, stale_for, persist, beta, jitter and validate.")));
}

/* The text of a new value as its column takes it. */
static const char *
setting_value(const Setting *setting, const JsonbValue *v)
{
	char	   *value;

	switch (v->type)
	{
		case jbvNull:
			if (!setting->nullable)
				ereport(ERROR,
						(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						 errmsg("%s must not be null", setting->name)));
			return NULL;
		case jbvString:
			value = pnstrdup(v->val.string.val, v->val.string.len);
			break;
		case jbvNumeric:
			value = DatumGetCString(DirectFunctionCall1(numeric_out,
														NumericGetDatum(v->val.numeric)));
			break;
		case jbvBool:
			value = pstrdup(v->val.boolean ? "true" : "false");
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for %s", setting->name)));
	}
	if (strcmp(setting->name, "max_memory") == 0)
		return parse_bytes(value);
	if (strcmp(setting->name, "loader") == 0)
		return parse_loader(DatumGetObjectId(DirectFunctionCall1(regprocedurein,
																 CStringGetDatum(value))));
	return value;
}

/*
 * Sets the settings of a cache that the members of an object name; options
 * says that only those may be named that create_cache has no argument for.
 */
static void
change_settings(const char *cache, Jsonb *changes, bool options)
{
	JsonbIterator *it = JsonbIteratorInit(&changes->root);
	JsonbIteratorToken token;
	JsonbValue	v;
	const Setting *setting = NULL;
	const char *args[2] = {cache};

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			setting = find_setting(pnstrdup(v.val.string.val,
											v.val.string.len), options);
			if (setting->is_run)
				cx_owner_require_itself(cx_catalog_get(cache, strlen(cache)));
		}
		else if (token == WJB_VALUE)
		{
			args[1] = setting_value(setting, &v);
			check_value(setting->name, args[1]);
			run_as_owner(psprintf("UPDATE cachex.cache_definition"
								  " SET %s = $2::%s WHERE name = $1",
								  setting->name, setting->type), 2, args);
		}
	}
}

/* ---- create, alter, drop ---- */

/*
 * create_cache(name, ttl, max_entries, max_memory, stale_for, negative_ttl,
 * consistency, loader, persist, options)
 */
Datum
cachex_create_cache(PG_FUNCTION_ARGS)
{
	text	   *name;
	const char *args[10];

	CX_REQUIRE_PRELOAD();
	cx_args_writable("cachex.create_cache()");
	name = cx_args_text(fcinfo, 0, "cache name", NAMEDATALEN - 1);
	cx_owner_require_create();
	args[0] = text_to_cstring(name);
	check_new_name(args[0], strlen(args[0]));
	if (PG_ARGISNULL(4) || PG_ARGISNULL(5) || PG_ARGISNULL(6) ||
		PG_ARGISNULL(8))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("stale_for, negative_ttl, consistency and persist must not be null")));
	if (!PG_ARGISNULL(9) && !JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(9)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object")));
	args[1] = as_text(fcinfo, 1);
	args[2] = as_text(fcinfo, 2);
	args[3] = PG_ARGISNULL(3) ? NULL
		: parse_bytes(text_to_cstring(PG_GETARG_TEXT_PP(3)));
	args[4] = as_text(fcinfo, 4);
	args[5] = as_text(fcinfo, 5);
	args[6] = as_text(fcinfo, 6);
	args[7] = PG_ARGISNULL(7) ? NULL : parse_loader(PG_GETARG_OID(7));
	args[8] = as_text(fcinfo, 8);
	args[9] = psprintf("%u", GetUserId());
	check_value("ttl", args[1]);
	check_value("max_entries", args[2]);
	check_value("stale_for", args[4]);
	check_value("negative_ttl", args[5]);
	check_value("consistency", args[6]);
	check_value("persist", args[8]);
	run_as_owner("INSERT INTO cachex.cache_definition"
				 " (name, ttl, max_entries, max_memory, stale_for,"
				 "  negative_ttl, consistency, loader, persist, owner)"
				 " VALUES ($1, $2::interval, $3::bigint, $4::bigint,"
				 "  $5::interval, $6::interval, $7, $8, $9,"
				 "  $10::oid::regrole)",
				 10, args);
	if (!PG_ARGISNULL(9))
		change_settings(args[0], PG_GETARG_JSONB_P(9), true);
	PG_RETURN_VOID();
}

/* A built-in cache gets a row when it is altered. */
static void
materialize(const CxCache *cache)
{
	const char *args[3];

	args[0] = cache->name;
	args[1] = psprintf(INT64_FORMAT, cache->id);
	args[2] = cache->exact ? "exact" : "ttl";
	run_as_owner("INSERT INTO cachex.cache_definition"
				 " (name, id, consistency, owner)"
				 " VALUES ($1, $2::bigint, $3, '10'::oid::regrole)",
				 3, args);
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
	if (cache->built_in)
		materialize(cache);
	change_settings(name, PG_GETARG_JSONB_P(1), false);
	PG_RETURN_VOID();
}

/* drop_cache(name, if_exists): whether there was one */
Datum
cachex_drop_cache(PG_FUNCTION_ARGS)
{
	text	   *name;
	const char *args[1];
	CxCache    *cache;

	CX_REQUIRE_PRELOAD();
	cx_args_writable("cachex.drop_cache()");
	name = cx_args_text(fcinfo, 0, "cache name", NAMEDATALEN - 1);
	cache = cx_catalog_find(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	if (cache == NULL && !PG_ARGISNULL(1) && PG_GETARG_BOOL(1))
		PG_RETURN_BOOL(false);
	cache = cx_args_cache(fcinfo, 0);
	cx_owner_require(cache);
	if (cache->built_in)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cache \"%s\" is built in and cannot be dropped",
						cache->name),
				 errhint("Clear it with cachex.clear(), or disable it with cachex.alter_cache().")));
	args[0] = pstrdup(cache->name);
	cx_roster_forget(args[0]);
	cx_jobs_forget(args[0]);
	PG_RETURN_BOOL(run_as_owner("DELETE FROM cachex.cache_definition"
								" WHERE name = $1", 1, args) > 0);
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

/* A row changed: new limits hold from the commit on. */
static void
row_changed(HeapTuple old, HeapTuple new, TupleDesc desc)
{
	CxLimits	limits;
	CxCache    *cache;
	char	   *name = row_string(new, desc, "name");

	limits.entries = (uint64) row_bigint(new, desc, "max_entries", -1);
	limits.bytes = (uint64) row_bigint(new, desc, "max_memory", -1);
	cx_cache_row_changed(CX_OP_ROW_CHANGED, row_bigint(new, desc, "id", 0),
						 &limits, is_kept(new, desc));
	/* under another name or identifier it is another cache */
	if (strcmp(row_string(old, desc, "name"), name) != 0 ||
		row_bigint(old, desc, "id", 0) != row_bigint(new, desc, "id", 0))
		cx_cache_row_changed(CX_OP_ROW_DELETED,
							 row_bigint(old, desc, "id", 0), NULL, false);
	/* what one kind of cache keeps is no answer in the other */
	if (has_table(old, desc) != has_table(new, desc))
		cx_cache_clear_stored(name);
	if (strcmp(row_string(old, desc, "consistency"),
			   row_string(new, desc, "consistency")) != 0 ||
		has_table(old, desc) != has_table(new, desc) ||
		strcmp(row_string(old, desc, "version"),
			   row_string(new, desc, "version")) != 0)
	{
		cache = cx_catalog_find(name, strlen(name));
		if (cache)
			cx_cache_clear(cache);
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
	desc = RelationGetDescr(t->tg_relation);
	if (TRIGGER_FIRED_BY_TRUNCATE(t->tg_event))
		cx_cache_database_dropped(MyDatabaseId);
	else if (TRIGGER_FIRED_BY_INSERT(t->tg_event))
	{
		if (has_table(t->tg_trigtuple, desc))
			cx_tier_define();
		cx_cache_row_changed(CX_OP_ROW_ADDED,
							 row_bigint(t->tg_trigtuple, desc, "id", 0), NULL,
							 is_kept(t->tg_trigtuple, desc));
	}
	else if (TRIGGER_FIRED_BY_DELETE(t->tg_event))
	{
		if (has_table(t->tg_trigtuple, desc))
			cx_cache_clear_stored(row_string(t->tg_trigtuple, desc, "name"));
		cx_cache_row_changed(CX_OP_ROW_DELETED,
							 row_bigint(t->tg_trigtuple, desc, "id", 0), NULL,
							 false);
	}
	else
		row_changed(t->tg_trigtuple, t->tg_newtuple, desc);
	CacheInvalidateRelcache(t->tg_relation);
	return PointerGetDatum(NULL);
}
