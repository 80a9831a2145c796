/*
 * cx_template.c
 *	  The arguments of a watch, and from its templates and a row to the names
 *	  of keys and tags.
 *
 * <column> stands for what column::text gives, << for a literal <.  A name
 * must not depend on the session that writes the row, since another one built
 * it to fill the cache.  Hence values whose text depends on settings are
 * written under fixed ones: DateStyle ISO, IntervalStyle postgres, TimeZone
 * GMT, extra_float_digits 1, bytea_output hex, lc_monetary C, an empty
 * search_path.
 *
 * Locking: none.
 *
 * Not here: what is done with a name, how long it may be.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "cx_compat.h"
#include "cx_template.h"

/* As pg_attribute.h has it from 18 on; such a column is not in a row. */
#define GENERATED_VIRTUAL 'v'

static const struct
{
	const char *name;
	const char *value;
}			fixed_settings[] =

{
	{"datestyle", "ISO, YMD"},
	{"intervalstyle", "postgres"},
	{"timezone", "GMT"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"lc_monetary", "C"},
	{"search_path", ""},
};

/* ---- parsing ---- */

static void
fail_at(const char *source, const char *at, const char *what,
		const char *message)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s template \"%s\": %s at character %d",
					what, source, message,
					pg_mbstrlen_with_len(source, (int) (at - source)) + 1),
			 errhint("Write <column> for the value of a column, and << for a literal <.")));
}

/*
 * Reads the literal at *source, and the column after it if there is one.
 * Moves *source behind them.
 */
static void
parse_piece(CxPiece *piece, const char **source, const char *whole,
			const char *what)
{
	StringInfoData literal;
	const char *p = *source;
	const char *end;

	initStringInfo(&literal);
	for (; *p != '\0'; p++)
	{
		if (*p == '<' && p[1] != '<')
			break;
		if (*p == '<')
			p++;
		appendStringInfoChar(&literal, *p);
	}
	piece->literal = literal.data;
	piece->literal_len = literal.len;
	piece->column = NULL;
	if (*p == '<')
	{
		end = strchr(p, '>');
		if (end == NULL)
			fail_at(whole, p, what, "unclosed \"<\"");
		if (end == p + 1)
			fail_at(whole, p, what, "no column between \"<\" and \">\"");
		piece->column = pnstrdup(p + 1, end - p - 1);
		p = end + 1;
	}
	*source = p;
}

/*
 * Parses a template into the current memory context; source is copied.
 * what ("key", "tag") is for errors.
 */
static void
parse_template(CxTemplate *t, const char *source, const char *what)
{
	int			max = 1;

	if (*source == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s template must not be empty", what)));
	t->source = pstrdup(source);
	for (const char *p = source; *p != '\0'; p++)
		max += (*p == '<');
	t->pieces = palloc0(max * sizeof(CxPiece));
	t->npieces = 0;
	t->has_columns = false;
	source = t->source;
	while (*source != '\0')
	{
		CxPiece    *piece = &t->pieces[t->npieces++];

		parse_piece(piece, &source, t->source, what);
		t->has_columns |= (piece->column != NULL);
	}
}

/* ---- arguments ---- */

static void
fail(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s", message),
			 hint ? errhint("%s", hint) : 0));
}

/*
 * Reads the arguments of watch() from the given one on into args, as a
 * trigger has them.
 */
void
cx_template_read_args(FunctionCallInfo fcinfo, int first, char **args)
{
	if (PG_ARGISNULL(first + CX_WATCH_ACTION))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("action must not be null")));
	for (int i = 0; i < CX_WATCH_NARGS; i++)
	{
		int			n = first + i;
		ArrayType  *array;

		args[i] = "";
		if (PG_ARGISNULL(n))
			continue;
		if (i == CX_WATCH_CACHE || i == CX_WATCH_ACTION || i == CX_WATCH_SCOPE)
		{
			args[i] = text_to_cstring(PG_GETARG_TEXT_PP(n));
			if (*args[i] == '\0')
				fail(i == CX_WATCH_CACHE ? "cache name must not be empty"
					 : i == CX_WATCH_SCOPE ? "scope template must not be empty"
					 : "action must not be empty", NULL);
			continue;
		}
		array = PG_GETARG_ARRAYTYPE_P(n);
		if (ARR_NDIM(array) > 0)
			args[i] = OidOutputFunctionCall(F_ARRAY_OUT,
											PointerGetDatum(array));
	}
}

/* How many arguments a trigger is given: a scope only if there is one. */
int
cx_template_count_args(char **args)
{
	return *args[CX_WATCH_SCOPE] == '\0' ? CX_WATCH_SCOPE : CX_WATCH_NARGS;
}

/* The same on every server and platform: FNV-1a. */
uint64
cx_template_hash_args(char **args)
{
	uint64		h = UINT64CONST(0xcbf29ce484222325);

	for (int i = 0; i < cx_template_count_args(args); i++)
	{
		const char *p = args[i];

		do
			h = (h ^ (uint8) *p) * UINT64CONST(0x100000001b3);
		while (*p++ != '\0');
	}
	return h;
}

/* The elements of an array in its text form. */
static char **
parse_list(char *list, const char *what, int *n)
{
	ArrayType  *array;
	Datum	   *elems;
	bool	   *nulls;
	char	  **strings;

	*n = 0;
	if (*list == '\0')
		return NULL;
	array = DatumGetArrayTypeP(OidInputFunctionCall(F_ARRAY_IN, list,
													TEXTOID, -1));
	if (ARR_NDIM(array) > 1)
		fail(psprintf("%s must be a one-dimensional array", what), NULL);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls,
					  n);
	strings = palloc(Max(*n, 1) * sizeof(char *));
	for (int i = 0; i < *n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not contain nulls", what)));
		strings[i] = TextDatumGetCString(elems[i]);
	}
	return strings;
}

static CxTemplate *
parse_templates(CxWatchSpec *spec, char *list, const char *plural,
				const char *what, int *n)
{
	char	  **sources = parse_list(list, plural, n);
	CxTemplate *templates = palloc0(Max(*n, 1) * sizeof(CxTemplate));

	for (int i = 0; i < *n; i++)
	{
		parse_template(&templates[i], sources[i], what);
		spec->has_columns |= templates[i].has_columns;
	}
	return templates;
}

static void
parse_action(CxWatchSpec *spec, const char *action)
{
	const char *hint = "Use \"invalidate\", \"stale\", \"put\" or \"refresh\".";

	spec->put = strcmp(action, "put") == 0;
	spec->refresh = strcmp(action, "refresh") == 0;
	spec->stale = strcmp(action, "stale") == 0;
	if (!spec->put && !spec->refresh && !spec->stale && *action != '\0' &&
		strcmp(action, "invalidate") != 0)
		fail(psprintf("invalid action \"%s\"", action), hint);
}

/* Raises the errors of what does not go together. */
static void
check_spec(const CxWatchSpec *spec)
{
	if (spec->cache == NULL && spec->nkeys == 0 && spec->ntags == 0 &&
		!spec->put && spec->ncolumns > 0)
		fail("columns need keys or tags to limit",
			 "Exact caches follow every change of a watched table.");
	if (spec->refresh && spec->nkeys == 0)
		fail("action \"refresh\" needs keys",
			 "Name the keys that are to be computed again.");
	if (spec->stale && spec->nkeys == 0 && spec->ntags == 0)
		fail("action \"stale\" needs keys or tags",
			 "A cleared cache has no stale values.");
	if (spec->cache == NULL && (spec->nkeys > 0 || spec->put))
		fail("a watch with keys needs a cache",
			 "Name the cache that the keys are in.");
	if (spec->cache == NULL && spec->scope)
		fail("a watch with a scope needs a cache",
			 "Name the cache that the scope is in.");
	if (spec->refresh && spec->scope)
		fail("action \"refresh\" cannot be used with a scope",
			 "Invalidate the keys; the next reader of the scope computes them.");
	if (spec->put && spec->nkeys != 1)
		fail("action \"put\" needs exactly one key template",
			 "The row is put under that key; to invalidate others, use a second watch.");
	if (spec->put && spec->ncolumns > 0)
		fail("action \"put\" cannot be limited to columns",
			 "The whole row is put, so any column counts.");
}

/*
 * Parses the arguments of a trigger into the current memory context.  Those
 * that are missing at the end count as ''.
 */
void
cx_template_parse_spec(CxWatchSpec *spec, int nargs, char **args)
{
	char	   *all[CX_WATCH_NARGS];

	if (nargs > CX_WATCH_NARGS)
		fail("function cachex.on_change() has six arguments at most", NULL);
	for (int i = 0; i < CX_WATCH_NARGS; i++)
		all[i] = i < nargs ? args[i] : "";
	memset(spec, 0, sizeof(CxWatchSpec));
	if (*all[CX_WATCH_CACHE] != '\0')
		spec->cache = pstrdup(all[CX_WATCH_CACHE]);
	spec->keys = parse_templates(spec, all[CX_WATCH_KEYS], "keys", "key",
								 &spec->nkeys);
	spec->tags = parse_templates(spec, all[CX_WATCH_TAGS], "tags", "tag",
								 &spec->ntags);
	parse_action(spec, all[CX_WATCH_ACTION]);
	spec->columns = parse_list(all[CX_WATCH_COLUMNS], "columns",
							   &spec->ncolumns);
	if (*all[CX_WATCH_SCOPE] != '\0')
	{
		spec->scope = palloc0(sizeof(CxTemplate));
		parse_template(spec->scope, all[CX_WATCH_SCOPE], "scope");
		spec->has_columns |= spec->scope->has_columns;
	}
	spec->bare = spec->cache == NULL && spec->nkeys == 0 &&
		spec->ntags == 0 && !spec->put && !spec->refresh;
	spec->attnums = palloc0(Max(spec->ncolumns, 1) * sizeof(AttrNumber));
	check_spec(spec);
}

/* ---- columns ---- */

/* The number of a column whose values are in rows; 0 when there is none. */
static AttrNumber
find_column(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && att->attgenerated != GENERATED_VIRTUAL &&
			strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	return 0;
}

/* Whether the text of a type's values depends on settings. */
static bool
depends_on_settings(Oid type)
{
	switch (type)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
		case CHAROID:
		case UUIDOID:
		case INETOID:
		case CIDROID:
			return false;
		default:
			return !type_is_enum(type);
	}
}

/*
 * Finds what gives a type's text.  Casts other than the server's own are not
 * used, since those may do anything.
 */
static void
find_to_text(CxPiece *piece, Oid type)
{
	Oid			function;
	bool		is_varlena;

	piece->is_cast = find_coercion_pathway(TEXTOID, type, COERCION_EXPLICIT,
										   &function) == COERCION_PATH_FUNC &&
		function < FirstNormalObjectId;
	if (!piece->is_cast)
		getTypeOutputInfo(type, &function, &is_varlena);
	fmgr_info(function, &piece->to_text);
}

/* Returns the name of a column that is not there, or NULL when all are. */
static const char *
bind_template(CxTemplate *t, TupleDesc desc, bool *needs_settings)
{
	for (int i = 0; i < t->npieces; i++)
	{
		CxPiece    *piece = &t->pieces[i];
		Oid			type;

		if (piece->column == NULL)
			continue;
		piece->attnum = find_column(desc, piece->column);
		if (piece->attnum == 0)
			return piece->column;
		type = getBaseType(TupleDescAttr(desc, piece->attnum - 1)->atttypid);
		find_to_text(piece, type);
		if (depends_on_settings(type))
			*needs_settings = true;
	}
	return NULL;
}

/*
 * Looks up the columns of the templates.  Returns the name of one that is not
 * there, or NULL when all are; then rows can be rendered.  Sets
 * *needs_settings when that is to be done under fixed settings, else leaves
 * it.  Memory is in the current context.
 */
const char *
cx_template_bind(CxWatchSpec *spec, TupleDesc desc, bool *needs_settings)
{
	const char *missing = NULL;

	for (int i = 0; i < spec->nkeys && !missing; i++)
		missing = bind_template(&spec->keys[i], desc, needs_settings);
	for (int i = 0; i < spec->ntags && !missing; i++)
		missing = bind_template(&spec->tags[i], desc, needs_settings);
	if (spec->scope && !missing)
		missing = bind_template(spec->scope, desc, needs_settings);
	return missing;
}

/* The same for the columns whose change counts. */
const char *
cx_template_bind_columns(CxWatchSpec *spec, TupleDesc desc)
{
	for (int i = 0; i < spec->ncolumns; i++)
	{
		spec->attnums[i] = find_column(desc, spec->columns[i]);
		if (spec->attnums[i] == 0)
			return spec->columns[i];
	}
	return NULL;
}

/* Whether rows lack the values of some columns. */
bool
cx_template_has_virtual(TupleDesc desc)
{
	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attgenerated == GENERATED_VIRTUAL)
			return true;
	}
	return false;
}

/* ---- rendering ---- */

static void
append_value(CxPiece *piece, Datum value, StringInfo name)
{
	if (piece->is_cast)
	{
		text	   *t = DatumGetTextPP(FunctionCall1(&piece->to_text, value));

		appendBinaryStringInfo(name, VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
	}
	else
		appendStringInfoString(name, OutputFunctionCall(&piece->to_text,
														value));
}

/*
 * Writes the name that a row has.  Returns false when a column is NULL: then
 * it names nothing.  slot may be NULL for a template without columns.  Leaves
 * garbage in the current memory context.
 */
bool
cx_template_render(CxTemplate *t, TupleTableSlot *slot, StringInfo name)
{
	resetStringInfo(name);
	for (int i = 0; i < t->npieces; i++)
	{
		CxPiece    *piece = &t->pieces[i];
		Datum		value;
		bool		isnull;

		appendBinaryStringInfo(name, piece->literal, piece->literal_len);
		if (piece->column == NULL)
			continue;
		value = slot_getattr(slot, piece->attnum, &isnull);
		if (isnull)
			return false;
		append_value(piece, value, name);
	}
	return true;
}

/* Whether one of the columns that count differs between two rows. */
bool
cx_template_differs(const CxWatchSpec *spec, TupleTableSlot *old_row,
					TupleTableSlot *new_row)
{
	TupleDesc	desc = old_row->tts_tupleDescriptor;

	for (int i = 0; i < spec->ncolumns; i++)
	{
		int			n = spec->attnums[i];
		Form_pg_attribute att = TupleDescAttr(desc, n - 1);
		bool		old_null;
		bool		new_null;
		Datum		old_value = slot_getattr(old_row, n, &old_null);
		Datum		new_value = slot_getattr(new_row, n, &new_null);

		if (old_null != new_null)
			return true;
		if (!old_null && !datum_image_eq(old_value, new_value, att->attbyval,
										 att->attlen))
			return true;
	}
	return false;
}

/*
 * Sets the settings that values are written under, until
 * cx_template_restore_settings or the end of the subtransaction.
 */
int
cx_template_fix_settings(void)
{
	int			nest = NewGUCNestLevel();

	for (int i = 0; i < (int) lengthof(fixed_settings); i++)
		(void) set_config_option(fixed_settings[i].name,
								 fixed_settings[i].value, PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
	return nest;
}

void
cx_template_restore_settings(int nest)
{
	AtEOXact_GUC(true, nest);
}
