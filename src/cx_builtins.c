/*
 * cx_builtins.c
 *	  Which of the server's own STABLE functions may a kept result come from?
 *
 * Those named here: their results depend on nothing but
 * - arguments,
 * - rows of tables that the executor sees being read,
 * - settings that are part of an entry's identity (cx_settings.c), as is the
 *   current user,
 * - what the catalogs of this database say of the objects named; whoever
 *   keeps results looks after changes of the catalogs,
 * - what stays as it is while the server runs: its version, the encoding and
 *   the name of the database,
 * - the current time, which ages a result in every cache.
 * A name stands for all its stable functions.  What is not named here is
 * unknown, so a function that a later server brings is refused.
 *
 * Left out on purpose, besides what looks at sessions, statistics, files and
 * transactions:
 * - age: of xid, it counts transactions (of timestamps it is SQL or IMMUTABLE)
 * - functions to send and receive: the client's encoding is no such setting
 * - reg* of roles, and acl*: other databases change roles as well
 * - current_schemas: it names the session's temporary schema
 * - pg_get_*, pg_*_is_visible, has_*: what they read is not the caller's, and
 *   privileges come from roles
 * - pg_input_is_valid: it says what a domain's CHECK says
 * - pg_column_size: it depends on how a value is stored
 *
 * Locking: none.
 */
#include "postgres.h"

#include "cx_builtins.h"

/* Each list is sorted as strcmp does it. */

/* Dates and times: DateStyle, IntervalStyle, TimeZone and lc_time. */
static const char *const times[] = {
	"date", "date_add", "date_cmp_timestamptz", "date_eq_timestamptz",
	"date_ge_timestamptz", "date_gt_timestamptz", "date_in",
	"date_le_timestamptz", "date_lt_timestamptz", "date_ne_timestamptz",
	"date_out", "date_part", "date_subtract", "date_trunc", "extract",
	"generate_series", "in_range", "interval_in", "interval_out",
	"interval_pl_timestamptz", "make_timestamptz", "now", "overlaps",
	"statement_timestamp", "time", "time_in", "timestamp",
	"timestamp_cmp_timestamptz", "timestamp_eq_timestamptz",
	"timestamp_ge_timestamptz", "timestamp_gt_timestamptz", "timestamp_in",
	"timestamp_le_timestamptz", "timestamp_lt_timestamptz",
	"timestamp_ne_timestamptz", "timestamp_out", "timestamptz",
	"timestamptz_cmp_date", "timestamptz_cmp_timestamp",
	"timestamptz_eq_date", "timestamptz_eq_timestamp",
	"timestamptz_ge_date", "timestamptz_ge_timestamp",
	"timestamptz_gt_date", "timestamptz_gt_timestamp", "timestamptz_in",
	"timestamptz_le_date", "timestamptz_le_timestamp",
	"timestamptz_lt_date", "timestamptz_lt_timestamp",
	"timestamptz_mi_interval", "timestamptz_ne_date",
	"timestamptz_ne_timestamp", "timestamptz_out", "timestamptz_pl_interval",
	"timetz", "timetz_in", "timezone", "to_timestamp", "transaction_timestamp"
};

/* Numbers, money and text: lc_numeric, lc_monetary, the types' output. */
static const char *const texts[] = {
	"anytextcat", "array_to_string", "cash_in", "cash_out", "concat",
	"concat_ws", "convert", "convert_from", "convert_to", "format", "length",
	"money", "numeric", "pg_char_to_encoding", "pg_encoding_to_char",
	"quote_literal", "quote_nullable", "textanycat", "to_char", "to_date",
	"to_number"
};

/* JSON; the names ending in strict and unique are there from 16 on. */
static const char *const jsons[] = {
	"array_to_json", "json_agg", "json_agg_strict",
	"json_agg_strict_transfn", "json_agg_transfn", "json_build_array",
	"json_build_object", "json_object_agg", "json_object_agg_strict",
	"json_object_agg_strict_transfn", "json_object_agg_transfn",
	"json_object_agg_unique", "json_object_agg_unique_strict",
	"json_object_agg_unique_strict_transfn", "json_object_agg_unique_transfn",
	"json_populate_record", "json_populate_recordset", "json_to_record",
	"json_to_recordset", "json_to_tsvector", "jsonb_agg", "jsonb_agg_finalfn",
	"jsonb_agg_strict", "jsonb_agg_strict_transfn", "jsonb_agg_transfn",
	"jsonb_build_array", "jsonb_build_object", "jsonb_object_agg",
	"jsonb_object_agg_finalfn", "jsonb_object_agg_strict",
	"jsonb_object_agg_strict_transfn", "jsonb_object_agg_transfn",
	"jsonb_object_agg_unique", "jsonb_object_agg_unique_strict",
	"jsonb_object_agg_unique_strict_transfn",
	"jsonb_object_agg_unique_transfn", "jsonb_path_exists_tz",
	"jsonb_path_match_tz", "jsonb_path_query_array_tz",
	"jsonb_path_query_first_tz", "jsonb_path_query_tz",
	"jsonb_populate_record", "jsonb_populate_recordset", "jsonb_to_record",
	"jsonb_to_recordset", "jsonb_to_tsvector", "row_to_json", "to_json",
	"to_jsonb"
};

/* Input and output of what consists of values of other types. */
static const char *const containers[] = {
	"anyarray_out", "anycompatiblearray_out", "anycompatiblemultirange_out",
	"anycompatiblerange_out", "anyenum_out", "anymultirange_out",
	"anyrange_out", "array_in", "array_out", "domain_in", "multirange_in",
	"multirange_out", "range_in", "range_out", "record_in", "record_out"
};

/*
 * What the catalogs say of a type, or of a name along the search_path.  Not
 * whether a relation or type of a name exists: a new one is not noticed unless
 * it hides another.
 */
static const char *const catalogs[] = {
	"enum_first", "enum_in", "enum_last", "enum_out", "enum_range",
	"format_type", "oidvectortypes", "pg_collation_for", "pg_typeof",
	"regclassout", "regcollationin", "regcollationout", "regconfigin",
	"regconfigout", "regdictionaryin", "regdictionaryout", "regnamespacein",
	"regnamespaceout", "regoperatorin", "regoperatorout", "regoperin",
	"regoperout", "regprocedurein", "regprocedureout", "regprocin",
	"regprocout", "regtypeout", "to_regcollation", "to_regnamespace",
	"to_regoper", "to_regoperator", "to_regproc", "to_regprocedure"
};

/* The user, the database, the server. */
static const char *const surroundings[] = {
	"current_database", "current_user", "getdatabaseencoding", "getpgusername",
	"version"
};

/* Text search: default_text_search_config, and what the catalogs say. */
static const char *const searches[] = {
	"get_current_ts_config", "phraseto_tsquery", "plainto_tsquery",
	"to_tsquery", "to_tsvector", "ts_debug", "ts_headline", "ts_match_tq",
	"ts_match_tt", "ts_parse", "ts_token_type", "websearch_to_tsquery"
};

/* XML: xmlbinary and xmloption. */
static const char *const xmls[] = {
	"xml", "xml_in", "xml_is_well_formed"
};

/*
 * What is not keepable and still tells nothing of a session: by chance or the
 * clock, of roles, whose changes end every entry, or by queries that the
 * executor sees.
 */
static const char *const impersonal[] = {
	"clock_timestamp", "gen_random_uuid", "pg_has_role", "pg_sleep",
	"query_to_xml", "query_to_xml_and_xmlschema", "query_to_xmlschema",
	"random", "random_normal", "timeofday", "uuidv4", "uuidv7"
};

/* These run queries, which the executor sees. */
static const char *const queries[] = {
	"table_to_xml", "table_to_xml_and_xmlschema", "table_to_xmlschema"
};

typedef struct Names
{
	const char *const *names;
	int			n;
} Names;

#define LIST(names) {names, lengthof(names)}

static const Names lists[] = {
	LIST(times), LIST(texts), LIST(jsons), LIST(containers), LIST(catalogs),
	LIST(surroundings), LIST(searches), LIST(xmls), LIST(queries)
};

static int
compare(const void *name, const void *element)
{
	return strcmp(name, *(const char *const *) element);
}

/*
 * cx_builtins_keepable
 *
 * Returns whether results of the server's stable functions of that name can
 * be kept; *runs_queries is set to whether they run queries themselves.
 */
bool
cx_builtins_keepable(const char *name, bool *runs_queries)
{
	int			i;

	*runs_queries = false;
	for (i = 0; i < (int) lengthof(lists); i++)
		if (bsearch(name, lists[i].names, lists[i].n, sizeof(char *), compare))
		{
			*runs_queries = lists[i].names == queries;
			return true;
		}
	return false;
}

/* Whether functions of that name, not keepable, tell nothing of a session. */
bool
cx_builtins_impersonal(const char *name)
{
	return bsearch(name, impersonal, lengthof(impersonal), sizeof(char *),
				   compare) != NULL;
}

/* Whether functions of that name tell who the user is. */
bool
cx_builtins_user(const char *name)
{
	return strcmp(name, "current_user") == 0 ||
		strcmp(name, "getpgusername") == 0;
}

/* Those that tell what a role may do with a table, a function ... */
bool
cx_builtins_privileges(const char *name)
{
	Size		len = strlen(name);

	return strcmp(name, "row_security_active") == 0 ||
		(strncmp(name, "has_", 4) == 0 && len > 10 &&
		 strcmp(name + len - 10, "_privilege") == 0);
}

/* Whether they run a query of a cursor, which may have been begun unseen. */
bool
cx_builtins_cursor(const char *name)
{
	return strcmp(name, "cursor_to_xml") == 0 ||
		strcmp(name, "cursor_to_xmlschema") == 0;
}
