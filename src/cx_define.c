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

/* ---- values that are stored as something else ---- */

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

/* ---- checks ---- */

/* "a, b and c", in the current memory context. */
static char *
list_words(const char *const *words, int n)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoString(&list, i < n - 1 ? ", " : " and ");
		appendStringInfoString(&list, words[i]);
	}
	return list.data;
}

static void
check_word(const CxSetting *setting, const char *value)
{
	int			n = 0;

	for (; setting->words[n]; n++)
	{
		if (strcmp(value, setting->words[n]) == 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for %s: \"%s\"", setting->name, value),
			 errhint("Valid values are %s.", list_words(setting->words, n))));
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

static void
check_positive_time(const CxSetting *setting, const char *value)
{
	if (parse_interval_us(value) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be positive", setting->name)));
}

static void
check_time(const CxSetting *setting, const char *value)
{
	if (parse_interval_us(value) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", setting->name)));
}

static int64
parse_count(const char *value)
{
	return DatumGetInt64(DirectFunctionCall1(int8in, CStringGetDatum(value)));
}

static void
check_positive_count(const CxSetting *setting, const char *value)
{
	if (parse_count(value) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be positive", setting->name),
				 errhint("Use null for no limit.")));
}

static void
check_count(const CxSetting *setting, const char *value)
{
	if (parse_count(value) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", setting->name),
				 errhint("Use null for no limit.")));
}

static void
check_number(const CxSetting *setting, const char *value)
{
	double		number = DatumGetFloat8(DirectFunctionCall1(float8in,
															CStringGetDatum(value)));

	if (!(number >= 0 && number <= setting->max))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between 0 and %g", setting->name,
						setting->max)));
}

/*
 * Whether a session could have a setting of that name, and everybody may see
 * what it is: a scope is shown beside what is in it.
 */
static void
check_setting_name(const CxSetting *setting, const char *value)
{
	const char *dot = strchr(value, '.');

	if (dot == NULL || dot == value || dot[1] == '\0' ||
		strlen(value) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for %s: \"%s\"", setting->name, value),
				 errhint("Name a setting of the application, such as app.user_id.")));
	if (GetConfigOptionFlags(value, true) & GUC_SUPERUSER_ONLY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("setting \"%s\" cannot be used as %s", value,
						setting->name),
				 errdetail("Not everybody may see its value."),
				 errhint("Name a setting of the application, such as app.user_id.")));
}

static void
check_condition(const CxSetting *setting, const char *value)
{
	cx_validate_check(value);
}

/* ---- the settings ---- */

static const char *const consistencies[] = {"exact", "ttl", NULL};
static const char *const persists[] = {"none", "snapshot", "table", NULL};

/*
 * Who may set what is run as the owner must have all of his privileges
 * (owner_only).
 */
static const CxSetting settings[] =
{
	{"ttl", "interval",.nullable = true,.check = check_positive_time},
	{"negative_ttl", "interval",.check = check_positive_time},
	{"max_entries", "bigint",.nullable = true,.check = check_count},
	{"max_memory", "bigint",.nullable = true},
	{"max_entries_per_scope", "bigint",.nullable = true,
	.check = check_positive_count},
	{"shared", "boolean",.owner_only = true},
	{"scoped_by", "text",.nullable = true,.option = true,
	.check = check_setting_name},
	{"consistency", "text",.check = check_word,.words = consistencies},
	{"loader", "text",.nullable = true,.owner_only = true},
	{"enabled", "boolean"},
	{"version", "integer"},
	{"stale_for", "interval",.check = check_time},
	{"persist", "text",.check = check_word,.words = persists},
	{"beta", "double precision",.option = true,.check = check_number,
	.max = 100},
	{"jitter", "double precision",.option = true,.check = check_number,
	.max = 1},
	{"validate", "text",.nullable = true,.option = true,.owner_only = true,
	.check = check_condition},
};

StaticAssertDecl(lengthof(settings) <= CX_MAX_CHANGES, "all can be changed");

static const CxSetting *
find(const char *name)
{
	for (int i = 0; i < (int) lengthof(settings); i++)
	{
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	}
	return NULL;
}

/* The names of all settings, or of those that options can hold. */
static char *
list_names(bool options)
{
	const char *names[lengthof(settings)];
	int			n = 0;

	for (int i = 0; i < (int) lengthof(settings); i++)
	{
		if (!options || settings[i].option)
			names[n++] = settings[i].name;
	}
	return list_words(names, n);
}

/* Raises the errors of a setting's value, given as text; NULL is unset. */
void
cx_define_check(const char *name, const char *value)
{
	const CxSetting *setting = find(name);

	if (value != NULL && setting->check)
		setting->check(setting, value);
}

/*
 * The setting of a name, for options one of those that they can hold.  Raises
 * an error where there is none.
 */
const CxSetting *
cx_define_find(const char *name, bool options)
{
	const CxSetting *setting = find(name);

	if (setting && (!options || setting->option))
		return setting;
	if (options)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized cache option \"%s\"", name),
				 errhint("Options are %s.", list_names(true))));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized cache setting \"%s\"", name),
			 errhint("Settings are %s.", list_names(false))));
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
