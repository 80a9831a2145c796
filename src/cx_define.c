/*
 * cx_define.c
 *	  The settings of a cache: their names, their types, and which values they
 *	  can have.
 *
 * Locking: none.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "cx_books.h"
#include "cx_define.h"
#include "cx_loader.h"
#include "cx_validate.h"

/* Who may set what is run as the owner must have all of his privileges. */
static const CxSetting settings[] =
{
	{"ttl", "interval", true},
	{"negative_ttl", "interval", false},
	{"max_entries", "bigint", true},
	{"max_memory", "bigint", true},
	{"max_entries_per_scope", "bigint", true},
	{"shared", "boolean", false, false, true},
	{"scoped_by", "text", true, true},
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

StaticAssertDecl(lengthof(settings) <= CX_MAX_CHANGES, "all can be changed");

/* Bytes from a text such as 64MB, as for server settings. */
const char *
cx_define_bytes(const char *size)
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
const char *
cx_define_loader(Oid function)
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

/* Raises an error unless a session could have a setting of that name. */
static void
check_setting_name(const char *name)
{
	const char *dot = strchr(name, '.');

	if (dot == NULL || dot == name || dot[1] == '\0' ||
		strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for scoped_by: \"%s\"", name),
				 errhint("Name a setting of the application, such as app.user_id.")));
}

/* Raises the errors of a setting's value, given as text; NULL is unset. */
void
cx_define_check(const char *name, const char *value)
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
	else if (strcmp(name, "max_entries_per_scope") == 0)
	{
		if (DatumGetInt64(DirectFunctionCall1(int8in,
											  CStringGetDatum(value))) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("max_entries_per_scope must be positive"),
					 errhint("Use null for no limit.")));
	}
	else if (strcmp(name, "scoped_by") == 0)
		check_setting_name(value);
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

/* The setting of a name; options: one of those that options can hold. */
const CxSetting *
cx_define_find(const char *name, bool options)
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
				 errhint("Options are beta, jitter, scoped_by and validate.")));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized cache setting \"%s\"", name),
			 errhint("Settings are ttl, negative_ttl, max_entries, max_memory, max_entries_per_scope, shared, scoped_by, consistency, loader, enabled, version, stale_for, persist, beta, jitter and validate.")));
}

/*
 * The text of a new value as its column takes it; raises the errors of values
 * that it cannot have.  NULL: it is unset.
 */
const char *
cx_define_value(const CxSetting *setting, const JsonbValue *v)
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
		return cx_define_bytes(value);
	if (strcmp(setting->name, "loader") == 0)
		return cx_define_loader(DatumGetObjectId(DirectFunctionCall1(regprocedurein,
																	 CStringGetDatum(value))));
	cx_define_check(setting->name, value);
	return value;
}

/* Gives a built-in cache, which has none, a row that can be changed. */
void
cx_define_built_in(const CxCache *cache)
{
	CxBooksArgs args = {0};

	cx_books_text(&args, cache->name);
	cx_books_arg(&args, INT8OID, Int64GetDatum(cache->id), false);
	cx_books_text(&args, cache->exact ? "exact" : "ttl");
	cx_books_run_alone(CX_DEFINITIONS,
					   "INSERT INTO cachex.cache_definition"
					   " (name, id, consistency, owner, readers, writers)"
					   " VALUES ($1, $2, $3, '10'::oid::regrole, '{-}', '{-}')",
					   &args);
}
