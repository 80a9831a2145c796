/*
 * cx_watch.c
 *	  Watches: the triggers that they consist of, and what these do.
 *
 * A watch is nothing but its triggers, and what it says are their arguments:
 * cache, keys, tags, action, columns, scope; '' is what NULL is to watch().  A
 * trigger per statement reads the rows from transition tables, a trigger per
 * row has them at hand.  Where there are no rows to look at (TRUNCATE, a
 * trigger that is dropped, a column that is gone), the cache that the watch
 * names is cleared, or every cache where it names tags of rows and no cache.
 *
 * More than MAX_KEYS keys from one statement become one clear of the cache, or
 * of each scope that rows name from then on.
 *
 * Locking: none of cachex's on entry or return.
 *
 * Not here: templates (cx_template.c), the hooks that report DDL (cx_ddl.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "cx_owner.h"
#include "cx_put.h"
#include "cx_preload.h"
#include "cx_refresh.h"
#include "cx_notes.h"
#include "cx_template.h"
#include "cx_watch.h"
#include "cx_watch_put.h"

#define MAX_KEYS 10000			/* from one statement and table */

/* A name that the statement has staged already. */
typedef struct Seen
{
	uint64		id;
	char		status;
} Seen;

#define SH_PREFIX seen
#define SH_ELEMENT_TYPE Seen
#define SH_KEY_TYPE uint64
#define SH_KEY id
#define SH_HASH_KEY(tb, key) ((uint32) ((key) ^ ((key) >> 32)))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* A trigger while one statement fires it on one table; lives in fn_extra. */
typedef struct Firing
{
	CxWatchSpec spec;
	bool		blind;			/* a template's column is gone */
	bool		every_update;	/* "columns" tells nothing */
	bool		may_put;
	CxWatchPut	put;			/* what entries of rows are made with */
	bool		fix_settings;
	bool		by_scope;		/* whole scopes end, not keys */
	bool		cleared;		/* keys no longer matter */
	int			nkeys;			/* distinct ones, so far */
	int			nscopes;		/* that were ended */
	MemoryContext context;		/* it lives in */
	ArrayBuildState *refresh;	/* keys that jobs are to be asked for */
	seen_hash  *seen;
	StringInfoData name;
	StringInfoData scope;
} Firing;

PG_FUNCTION_INFO_V1(cachex_on_change);

/* ---- whole caches ---- */

/*
 * The cache, or NULL when it is gone.  Callers compute first and ask for it
 * last, since it is valid until the next look-up.
 */
static CxCache *
find_cache(const char *name)
{
	return name ? cx_catalog_find(name, strlen(name)) : NULL;
}

/* Clears a cache, all of the database for NULL. One that is gone is none. */
void
cx_watch_clear(const char *name)
{
	CxCache   **all;
	int			n;

	if (name)
	{
		CxCache    *cache = find_cache(name);

		if (cache)
			cx_change_clear(cache);
		return;
	}
	all = cx_catalog_all(&n);
	for (int i = 0; i < n; i++)
		cx_change_clear(all[i]);
}

/* ---- names ---- */

/* Whether this is the first time in the statement; notes it. */
static bool
is_new(Firing *f, uint64 id)
{
	bool		found;

	seen_insert(f->seen, id, &found);
	return !found;
}

static void
stage_tag(Firing *f)
{
	StringInfo	tag = &f->name;

	/* no entry can have a longer one */
	if (tag->len == 0 || tag->len > CX_MAX_TAG)
		return;
	if (is_new(f, cx_key_of_tag(MyDatabaseId, tag->data, tag->len)))
		cx_change_invalidate_tag(tag->data, tag->len);
}

static void
clear_own(Firing *f)
{
	if (!f->cleared && f->spec.cache)
		cx_watch_clear(f->spec.cache);
	f->cleared = true;
}

/*
 * The scope that a row names, name NULL where the watch has none.  Returns
 * false where no entry can have it.
 */
static bool
find_scope(Firing *f, TupleTableSlot *slot, CxScope *scope)
{
	scope->name = NULL;
	scope->len = 0;
	if (f->spec.scope == NULL)
		return true;
	if ((slot == NULL && f->spec.scope->has_columns) ||
		!cx_template_render(f->spec.scope, slot, &f->scope) ||
		f->scope.len == 0 || f->scope.len > CX_MAX_SCOPE)
		return false;
	scope->name = f->scope.data;
	scope->len = f->scope.len;
	return true;
}

/* Whether one more key of a statement counts. */
static bool
count_key(Firing *f)
{
	if (++f->nkeys <= MAX_KEYS)
		return true;
	if (f->spec.scope)
		f->by_scope = true;
	else
		clear_own(f);
	return false;
}

static void
stage_key(Firing *f, CxScope scope)
{
	StringInfo	key = &f->name;
	uint64		id;
	CxCache    *cache;
	CxAsk		ask;

	if (key->len == 0 || key->len > CX_MAX_KEY)
		return;
	id = cx_key_of_key(0, key->data, key->len);
	if (scope.name)
		id = cx_key_of_scoped_key(id, cx_key_of_scope(0, scope.name, scope.len));
	if (!is_new(f, id) || !count_key(f) ||
		(cache = find_cache(f->spec.cache)) == NULL)
		return;
	if (scope.name)
	{
		cx_cache_ask(&ask, cache, key->data, key->len, scope.name, scope.len);
		cx_change_invalidate_scoped(&ask);
	}
	else
		cx_change_invalidate_key(cache, key->data, key->len);
	if (f->spec.refresh)
		f->refresh = accumArrayResult(f->refresh,
									  CStringGetTextDatum(key->data),
									  false, TEXTOID, f->context);
}

/* Ends a scope, or where the watch names none the cache. */
static void
stage_whole(Firing *f, CxScope scope)
{
	CxCache    *cache;

	if (f->cleared || (f->spec.scope &&
					   !is_new(f, cx_key_of_scope(0, scope.name, scope.len))))
		return;
	if (f->spec.scope == NULL || ++f->nscopes > MAX_KEYS)
		clear_own(f);
	else if ((cache = find_cache(f->spec.cache)) != NULL)
		cx_change_clear_scope(cache, scope.name, scope.len);
}

/*
 * Has each key refreshed, in the name of the cache's owner, if he is the
 * table's as well: nobody else has his loader run.  That makes no writer wait.
 */
static void
refresh_keys(Firing *f, Oid table_owner)
{
	CxCache    *cache = find_cache(f->spec.cache);
	ArrayBuildState *keys = f->refresh;

	f->refresh = NULL;
	if (cache && cache->enabled && cx_owner_has_rights(cache, table_owner))
		cx_refresh_keys(f->spec.cache, cache->owner,
						DatumGetArrayTypeP(makeArrayResult(keys, CurrentMemoryContext)));
}

/* Stages what a row names; slot NULL: what is named without any row. */
static void
stage_row(Firing *f, TupleTableSlot *slot)
{
	CxWatchSpec *spec = &f->spec;
	CxScope		scope;

	for (int i = 0; i < spec->ntags; i++)
	{
		if ((slot || !spec->tags[i].has_columns) &&
			cx_template_render(&spec->tags[i], slot, &f->name))
			stage_tag(f);
	}
	if (!find_scope(f, slot, &scope))
		return;
	for (int i = 0; i < spec->nkeys && !f->cleared && !f->by_scope; i++)
	{
		if ((slot || !spec->keys[i].has_columns) &&
			cx_template_render(&spec->keys[i], slot, &f->name))
			stage_key(f, scope);
	}
	if (f->by_scope || (spec->nkeys == 0 && spec->ntags == 0))
		stage_whole(f, scope);
}

/* Stages that any row may have changed. */
static void
stage_unknown(Firing *f)
{
	stage_row(f, NULL);
	if (f->spec.cache)
		clear_own(f);
	else if (f->spec.has_columns)
		cx_watch_clear(NULL);
}

/* ---- action put ---- */

static void
put_row(Firing *f, TupleTableSlot *slot)
{
	CxScope		scope;

	if (!f->may_put || f->cleared || !find_scope(f, slot, &scope) ||
		!cx_template_render(&f->spec.keys[0], slot, &f->name) ||
		f->name.len == 0 || f->name.len > CX_MAX_KEY)
		return;
	cx_watch_put_row(&f->put, f->spec.cache, &f->name, scope, slot);
}

/* ---- rows ---- */

/* One row; either may be NULL. */
static void
row_changed(Firing *f, TupleTableSlot *old_row, TupleTableSlot *new_row)
{
	if (old_row && new_row && !f->every_update &&
		!cx_template_differs(&f->spec, old_row, new_row))
		return;
	if (old_row)
		stage_row(f, old_row);
	if (new_row)
		stage_row(f, new_row);
	if (new_row && f->spec.put)
		put_row(f, new_row);
}

static TupleTableSlot *
open_rows(Tuplestorestate *rows, TupleDesc desc)
{
	int			pointer;

	if (rows == NULL)
		return NULL;
	/* as a scan of a transition table does it */
	pointer = tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND);
	tuplestore_select_read_pointer(rows, pointer);
	tuplestore_rescan(rows);
	return MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
}

static TupleTableSlot *
next_row(Tuplestorestate *rows, TupleTableSlot *slot)
{
	return slot && tuplestore_gettupleslot(rows, true, false, slot)
		? slot : NULL;
}

/* The rows of a statement, from its transition tables. */
static void
rows_changed(Firing *f, Tuplestorestate *old_rows, Tuplestorestate *new_rows,
			 TupleDesc desc)
{
	TupleTableSlot *old_slot = open_rows(old_rows, desc);
	TupleTableSlot *new_slot = open_rows(new_rows, desc);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext,
													  "cachex row",
													  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(row_context);

	/* an UPDATE's rows are in the same order, unless some are missing */
	if (old_rows && new_rows &&
		tuplestore_tuple_count(old_rows) != tuplestore_tuple_count(new_rows))
		f->every_update = true;
	while (!f->cleared || f->spec.ntags > 0)
	{
		TupleTableSlot *old_row;
		TupleTableSlot *new_row;

		/* the slots free their tuples themselves */
		MemoryContextSwitchTo(old_context);
		old_row = next_row(old_rows, old_slot);
		new_row = next_row(new_rows, new_slot);
		MemoryContextSwitchTo(row_context);
		if (!old_row && !new_row)
			break;
		CHECK_FOR_INTERRUPTS();
		row_changed(f, old_row, new_row);
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(row_context);
	if (old_slot)
		ExecDropSingleTupleTableSlot(old_slot);
	if (new_slot)
		ExecDropSingleTupleTableSlot(new_slot);
}

/* ---- the trigger ---- */

static void
statement_changed(Firing *f, TriggerData *data)
{
	bool		has_old = !TRIGGER_FIRED_BY_INSERT(data->tg_event);
	bool		has_new = !TRIGGER_FIRED_BY_DELETE(data->tg_event);
	bool		lacks_old = has_old && data->tg_oldtable == NULL;
	bool		lacks_new = has_new && data->tg_newtable == NULL;
	bool		complete = !lacks_old && !lacks_new;
	Tuplestorestate *rows = has_new ? data->tg_newtable : data->tg_oldtable;

	if (!complete && (f->spec.has_columns || f->spec.put))
		stage_unknown(f);
	else if (!complete)
		stage_row(f, NULL);
	else if (!f->blind)
		rows_changed(f, has_old ? data->tg_oldtable : NULL,
					 has_new ? data->tg_newtable : NULL,
					 RelationGetDescr(data->tg_relation));
	else if (tuplestore_tuple_count(rows) > 0)
		stage_unknown(f);
}

static void
one_row_changed(Firing *f, TriggerData *data)
{
	if (f->blind)
		stage_unknown(f);
	else if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
		row_changed(f, NULL, data->tg_trigslot);
	else if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
		row_changed(f, data->tg_trigslot, NULL);
	else
		row_changed(f, data->tg_trigslot, data->tg_newslot);
}

/* Says once in a session that a trigger has lost a column. */
static void
warn_missing(TriggerData *data, const char *column)
{
	static List *warned = NIL;
	MemoryContext old;

	if (list_member_oid(warned, data->tg_trigger->tgoid))
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	warned = lappend_oid(warned, data->tg_trigger->tgoid);
	MemoryContextSwitchTo(old);
	ereport(WARNING,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" that trigger \"%s\" on table \"%s\" refers to does not exist",
					column, data->tg_trigger->tgname,
					RelationGetRelationName(data->tg_relation)),
			 errdetail("Changes of the table invalidate more than they have to."),
			 errhint("Use cachex.unwatch() and cachex.watch() to watch the table anew.")));
}

/* Reads the trigger's arguments, for the rest of the statement. */
static Firing *
begin_firing(TriggerData *data)
{
	Trigger    *trigger = data->tg_trigger;
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	Firing	   *f = palloc0(sizeof(Firing));
	const char *missing;

	cx_template_parse_spec(&f->spec, trigger->tgnargs, trigger->tgargs);
	f->fix_settings = f->spec.put;
	missing = cx_template_bind(&f->spec, desc, &f->fix_settings);
	if (missing)
	{
		f->blind = true;
		warn_missing(data, missing);
	}
	missing = cx_template_bind_columns(&f->spec, desc);
	if (missing)
		warn_missing(data, missing);
	f->every_update = missing || f->spec.ncolumns == 0;
	if (f->spec.put && !cx_template_has_virtual(desc))
		f->may_put = cx_watch_put_prepare(&f->put, f->spec.cache,
										  RelationGetRelid(data->tg_relation),
										  trigger->tgisclone);
	f->seen = seen_create(CurrentMemoryContext, 16, NULL);
	initStringInfo(&f->name);
	initStringInfo(&f->scope);
	f->context = CurrentMemoryContext;
	return f;
}

static void
check_call(FunctionCallInfo fcinfo)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function cachex.on_change() must be called as a trigger")));
	if (!TRIGGER_FIRED_AFTER(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" on table \"%s\" must be an AFTER trigger",
						data->tg_trigger->tgname,
						RelationGetRelationName(data->tg_relation)),
				 errhint("Drop it and use CREATE TRIGGER ... AFTER, or cachex.watch().")));
}

static char
command_of(TriggerEvent event)
{
	if (TRIGGER_FIRED_BY_INSERT(event))
		return CX_COMMAND_INSERT;
	if (TRIGGER_FIRED_BY_UPDATE(event))
		return CX_COMMAND_UPDATE;
	if (TRIGGER_FIRED_BY_DELETE(event))
		return CX_COMMAND_DELETE;
	return CX_COMMAND_TRUNCATE;
}

/* The table is written: exact caches follow it. */
static void
table_written(TriggerData *data)
{
	cx_change_table_written(RelationGetRelid(data->tg_relation),
							TRIGGER_FIRED_FOR_ROW(data->tg_event)
							? CX_COMMAND_APPLY : command_of(data->tg_event));
}

/* What a trigger returns that leaves the row to be written alone. */
static HeapTuple
row_as_it_is(TriggerData *data)
{
	if (!TRIGGER_FIRED_FOR_ROW(data->tg_event) ||
		!TRIGGER_FIRED_BEFORE(data->tg_event))
		return NULL;
	return TRIGGER_FIRED_BY_UPDATE(data->tg_event)
		? data->tg_newtuple : data->tg_trigtuple;
}

/*
 * on_change('cache', '{keys}', '{tags}', 'action', '{columns}', 'scope')
 * after a change: of a watch.  on_change() without arguments, before it: exact
 * caches follow the table.
 */
Datum
cachex_on_change(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	Firing	   *f;
	int			nest = 0;

	/* without shared memory there is nothing to invalidate */
	if (!cx_preloaded)
		return PointerGetDatum(CALLED_AS_TRIGGER(fcinfo) ? row_as_it_is(data)
							   : NULL);
	if (CALLED_AS_TRIGGER(fcinfo) && data->tg_trigger->tgnargs == 0 &&
		!TRIGGER_FIRED_INSTEAD(data->tg_event))
	{
		table_written(data);
		return PointerGetDatum(row_as_it_is(data));
	}
	check_call(fcinfo);
	f = fcinfo->flinfo->fn_extra;
	if (f == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		f = begin_firing(data);
		MemoryContextSwitchTo(old);
		fcinfo->flinfo->fn_extra = f;
	}
	if (f->spec.put && cx_watch_put_is_overtaken())
		f->may_put = false;
	if (f->fix_settings)
		nest = cx_template_fix_settings();
	cx_pending_blame(RelationGetRelid(data->tg_relation),
					 command_of(data->tg_event));
	if (TRIGGER_FIRED_BY_TRUNCATE(data->tg_event))
		stage_unknown(f);
	else if (TRIGGER_FIRED_FOR_ROW(data->tg_event))
		one_row_changed(f, data);
	else
		statement_changed(f, data);
	cx_pending_blame(InvalidOid, CX_COMMAND_CALL);
	if (f->fix_settings)
		cx_template_restore_settings(nest);
	if (f->refresh)
		refresh_keys(f, data->tg_relation->rd_rel->relowner);
	return PointerGetDatum(NULL);
}
