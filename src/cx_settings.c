/*
 * cx_settings.c
 *	  Would the same query text return the same bytes in this session?
 *
 * Every setting that changes the bytes of a result, other than by what the
 * query reads with current_setting(), goes into one hash.  It is taken on
 * every fetch, so the values are read from the server's C variables, never by
 * name.  search_path counts as written and as resolved: "$user" and schemas
 * that come and go change the one without the other.
 *
 * Locking: none.  A search_path that was not resolved yet is resolved, which
 * reads the catalogs: a transaction is needed, and no LWLock may be held.
 *
 * Not covered: settings that only choose a plan; settings of extensions;
 * temporary tables; and who the user is, which is part of an entry's
 * identity.  test/sql/settings.sql tries every setting there is.
 */
#include "postgres.h"

#include "access/gin.h"
#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "parser/parse_expr.h"
#include "parser/parser.h"
#include "pgtime.h"
#include "tsearch/ts_cache.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/rls.h"
#include "utils/xml.h"

#include "cx_compat.h"
#include "cx_settings.h"

/*
 * As utils/pg_locale.h has them, which includes headers of ICU.  A server is
 * built with those; whoever builds an extension need not have them.
 */
extern PGDLLIMPORT char *locale_messages;
extern PGDLLIMPORT char *locale_monetary;
extern PGDLLIMPORT char *locale_numeric;
extern PGDLLIMPORT char *locale_time;

/* Longer search paths count in full as written, but not as resolved. */
#define MAX_PATH_SCHEMAS 16

/*
 * The settings that count, one after the other, as they were the last time;
 * while they are compared, how far they are the same.
 */
typedef struct Picture
{
	Size		at;
	bool		differs;
	char		bytes[2000];	/* what is longer is not compared but hashed */
	uint64		folded;
} Picture;

static void
put(Picture *picture, const void *bytes, Size len)
{
	char	   *known = picture->bytes + picture->at;

	if (len > sizeof(picture->bytes) - picture->at)
	{
		picture->folded = hash_bytes_extended(bytes, (int) len,
											  picture->folded + 1);
		picture->differs = true;
		return;
	}
	if (!picture->differs && memcmp(known, bytes, len) != 0)
		picture->differs = true;
	if (picture->differs)
		memcpy(known, bytes, len);
	picture->at += len;
}

/* The zero byte at the end keeps strings apart. */
static inline void
put_string(Picture *picture, const char *string)
{
	if (string == NULL)
		string = "";
	put(picture, string, strlen(string) + 1);
}

/*
 * timezone_abbreviations, whose variable the server keeps to itself: where it
 * lies is looked up once.
 */
static const char *
zone_abbreviations(void)
{
	static char **variable = NULL;

	if (variable == NULL)
	{
		struct config_generic *setting =
		cx_compat_find_setting("timezone_abbreviations");

		if (setting == NULL || setting->vartype != PGC_STRING)
			elog(ERROR, "there is no setting timezone_abbreviations");
		variable = ((struct config_string *) setting)->variable;
	}
	return *variable;
}

static void
put_path(Picture *picture)
{
	Oid			schemas[MAX_PATH_SCHEMAS];
	int			n = fetch_search_path_array(schemas, MAX_PATH_SCHEMAS);

	put(picture, schemas, Min(n, MAX_PATH_SCHEMAS) * sizeof(Oid));
	put_string(picture, namespace_search_path);
}

/*
 * The settings by name, for another process to take them over, and how long
 * what it stores is to live.
 */
static const char *const names[] = {
	"DateStyle",
	"IntervalStyle",
	"extra_float_digits",
	"bytea_output",
	"xmlbinary",
	"xmloption",
	"quote_all_identifiers",
	"array_nulls",
	"transform_null_equals",
	"standard_conforming_strings",
	"backslash_quote",
	"row_security",
	"gin_fuzzy_search_limit",
	"TimeZone",
	"lc_messages",
	"lc_monetary",
	"lc_numeric",
	"lc_time",
	"default_text_search_config",
	"timezone_abbreviations",
	"search_path",
	"cachex.ttl_factor"
};

/*
 * Takes the picture.  This and the names above are the one place that lists
 * the settings.
 */
static void
take_picture(Picture *picture)
{
	const int	numbers[] = {
		DateStyle,
		DateOrder,
		IntervalStyle,
		extra_float_digits,
		bytea_output,
		xmlbinary,
		xmloption,
		quote_all_identifiers,
		Array_nulls,
		Transform_null_equals,
		standard_conforming_strings,
		backslash_quote,
		row_security,
		GinFuzzySearchLimit
	};
	const char *const strings[] = {
		pg_get_timezone_name(session_timezone),
		locale_messages,
		locale_monetary,
		locale_numeric,
		locale_time,
		TSCurrentConfig,
		zone_abbreviations()
	};

	picture->at = 0;
	picture->differs = false;
	picture->folded = 0;
	put(picture, numbers, sizeof(numbers));
	for (int i = 0; i < (int) lengthof(strings); i++)
		put_string(picture, strings[i]);
	put_path(picture);
}

/*
 * cx_settings_hash
 *
 * Returns a hash of all settings that change results.  They seldom change, and
 * comparing is faster than hashing.
 */
uint64
cx_settings_hash(void)
{
	static Picture picture;
	static Size len = 0;
	static uint64 hash;
	Size		before = len;

	/* an error leaves half a picture */
	len = 0;
	take_picture(&picture);
	len = picture.at;
	if (!picture.differs && len == before)
		return hash;
	hash = hash_bytes_extended((const unsigned char *) picture.bytes,
							   (int) len, picture.folded);
	return hash;
}

/* ---- taking them to another process ---- */

static bool
is_listed(const char *name)
{
	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

/* A setting that no library has defined, such as an application's own. */
static const char *
placeholder_value(const struct config_generic *setting)
{
	const char *value;

	if ((setting->flags & GUC_CUSTOM_PLACEHOLDER) == 0)
		return NULL;
	value = *((const struct config_string *) setting)->variable;
	/* it was reset */
	return value ? value : "";
}

/* Appends a setting as cx_settings_apply reads it. */
void
cx_settings_append(StringInfo out, const char *name, const char *value)
{
	appendBinaryStringInfo(out, name, (int) strlen(name) + 1);
	appendBinaryStringInfo(out, value, (int) strlen(value) + 1);
}

/*
 * Appends every setting that changes results, those of applications included,
 * which a query or a policy may read: each name and each value ends with a
 * zero byte.
 */
void
cx_settings_write(StringInfo out)
{
	int			n;
	struct config_generic **all = cx_compat_all_settings(&n);

	for (int i = 0; i < (int) lengthof(names); i++)
	{
		const char *value = GetConfigOption(names[i], false, false);

		cx_settings_append(out, names[i], value ? value : "");
	}
	for (int i = 0; i < n; i++)
	{
		const char *value = placeholder_value(all[i]);

		if (value)
			cx_settings_append(out, all[i]->name, value);
	}
}

/* Whether cx_settings_write would write a setting of this name. */
bool
cx_settings_counts(const char *name)
{
	struct config_generic *setting;

	if (is_listed(name))
		return true;
	if (strchr(name, '.') == NULL)
		return false;
	setting = cx_compat_find_setting(name);
	return setting == NULL || (setting->flags & GUC_CUSTOM_PLACEHOLDER) != 0;
}

/*
 * Sets what cx_settings_write has written, until AtEOXact_GUC ends the nest
 * level.  The settings of applications are set with no more rights than the
 * current role has, since a library that is loaded later takes them over.
 */
void
cx_settings_apply(const char *settings, Size len)
{
	const char *end = settings + len;

	while (settings < end)
	{
		const char *name = settings;
		const char *value = name + strlen(name) + 1;
		const char *now = GetConfigOption(name, true, false);

		settings = value + strlen(value) + 1;
		if (now == NULL || strcmp(now, value) != 0)
			(void) set_config_option(name, value,
									 is_listed(name) ? PGC_SUSET : PGC_USERSET,
									 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
									 false);
	}
}

/*
 * How many settings of applications there are.  One that was ever set stays,
 * if only as an empty string.
 */
int
cx_settings_placeholders(void)
{
	int			n;
	int			count = 0;
	struct config_generic **all = cx_compat_all_settings(&n);

	for (int i = 0; i < n; i++)
		count += (all[i]->flags & GUC_CUSTOM_PLACEHOLDER) != 0;
	return count;
}

/* Whether settings that cx_settings_write has written name all of those. */
bool
cx_settings_cover(const char *settings, Size len)
{
	int			n;
	struct config_generic **all = cx_compat_all_settings(&n);

	for (int i = 0; i < n; i++)
	{
		const char *name = settings;

		if ((all[i]->flags & GUC_CUSTOM_PLACEHOLDER) == 0)
			continue;
		while (name < settings + len && strcmp(name, all[i]->name) != 0)
		{
			name += strlen(name) + 1;
			name += strlen(name) + 1;
		}
		if (name >= settings + len)
			return false;
	}
	return true;
}
