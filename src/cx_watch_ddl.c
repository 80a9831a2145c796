/*
 * cx_watch_ddl.c
 *	  watch() and unwatch(): making and dropping a watch's triggers, and what
 *	  follows when one of them comes, changes or goes.
 *
 * A trigger is named cachex_<hash of its arguments>_<letter>, so the same
 * watch finds its own again and repairs them.  Where statements do not name
 * the table that they write to (partitions, inheritance, a subscription's
 * tables), triggers are per row, else per statement.  Whenever one comes or
 * goes, rows may have changed unseen: the cache that it names is cleared.
 *
 * Locking: none of cachex's; ShareRowExclusiveLock on the tables, as CREATE
 * TRIGGER takes it, until the end of the transaction.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "cx_catalog.h"
#include "cx_compat.h"
#include "cx_grants.h"
#include "cx_owner.h"
#include "cx_preload.h"
#include "cx_template.h"
#include "cx_trigger.h"
#include "cx_watch.h"
#include "cx_watch_bare.h"
#include "cx_watched.h"

/* The letters at the end of triggers' names */
static const struct
{
	char		letter;
	const char *events;
	const char *rows;
}			kinds[] =

{
	{'i', "INSERT", "REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT"},
	{'u', "UPDATE", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT"},
	{'d', "DELETE", "REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT"},
	{'t', "TRUNCATE", "FOR EACH STATEMENT"},
	/* a partitioned table's, which its partitions have clones of */
	{'r', "INSERT OR UPDATE OR DELETE", "FOR EACH ROW"},
	/* of one table only */
	{'l', "INSERT OR UPDATE OR DELETE", "FOR EACH ROW"},
	/* of a partition or child, for the watch of the table above */
	{'c', "INSERT OR UPDATE OR DELETE", "FOR EACH ROW"},
	{'p', "TRUNCATE", "FOR EACH STATEMENT"},
};

/* A watch that is being made */
typedef struct WatchPlan
{
	char		prefix[CX_TRIGGER_PREFIX + 1];	/* of the triggers' names */
	char	   *call;			/* of on_change, with its arguments */
	bool		changed;		/* a trigger was made, changed or dropped */
} WatchPlan;

PG_FUNCTION_INFO_V1(cachex_watch);
PG_FUNCTION_INFO_V1(cachex_unwatch);

StaticAssertDecl((int) CX_WATCH_TAGS == CX_TRIGGER_TAGS, "the same argument");

/* ---- who may ---- */

/*
 * Raises an error unless the current role may invalidate what a watch names.
 * This is asked when a trigger is made, and never again: a watch does not stop
 * when a privilege is taken back, since then old values would be served.
 */
static void
check_rights(const char *cache_name, bool tags)
{
	CxCache    *cache = NULL;
	Oid			function;

	if (cache_name)
		cache = cx_catalog_find(cache_name, strlen(cache_name));
	if (cache)
		cx_grants_require(cache, CX_MAY_WRITE);
	/* somebody else may create it; but a dump need not have it */
	else if (cache_name && !cx_compat_owns_database(MyDatabaseId, GetUserId()))
		(void) cx_catalog_get(cache_name, strlen(cache_name));
	if (!tags && cache_name)
		return;
	function = cx_catalog_invalidate_tags();
	if (!OidIsValid(function) || !cx_compat_may_execute(function, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function cachex.invalidate_tags"),
				 errdetail("A watch that names tags, or no cache, reaches into every cache of the database."),
				 errhint("GRANT EXECUTE ON FUNCTION cachex.invalidate_tags(text[]) gives the privilege.")));
}

/* ---- when triggers change ---- */

/* Clears what the triggers name, unless the extension itself is going. */
static void
clear_named(List *triggers)
{
	ListCell   *lc;

	foreach(lc, triggers)
	{
		CxTrigger  *found = lfirst(lc);

		/* exact caches have an invalidation message for it */
		if (!found->is_bare && OidIsValid(cx_catalog_table("cache_definition")))
			cx_watch_clear(found->cache);
	}
}

/*
 * A trigger is about to be dropped.  One that does not call on_change is none
 * of our business.
 */
void
cx_watch_trigger_dropped(Oid trigger_oid)
{
	if (cx_preloaded && !IsInParallelMode() && !RecoveryInProgress())
		clear_named(cx_trigger_find(trigger_oid, InvalidOid));
}

/*
 * A trigger was made.  Its maker must have the rights that watch() asks for;
 * clones are made by who owns the table above.
 */
void
cx_watch_trigger_created(Oid trigger_oid)
{
	ListCell   *lc;

	if (!cx_preloaded)
		return;
	foreach(lc, cx_trigger_find(trigger_oid, InvalidOid))
	{
		CxTrigger  *made = lfirst(lc);

		if (!made->is_bare && !made->is_clone)
			check_rights(made->cache, made->names_tags);
	}
	cx_watch_trigger_changed(trigger_oid);
}

static bool
may_have_rows(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	char		kind = rel->rd_rel->relkind;
	bool		result = kind == RELKIND_FOREIGN_TABLE ||
	(RELKIND_HAS_STORAGE(kind) && RelationGetNumberOfBlocks(rel) > 0);

	relation_close(rel, NoLock);
	return result;
}

/*
 * A trigger was made, enabled, disabled or renamed.  The rows of a table that
 * is attached come with a clone; an empty partition is no reason to clear.
 */
void
cx_watch_trigger_changed(Oid trigger_oid)
{
	List	   *triggers;

	if (!cx_preloaded)
		return;
	triggers = cx_trigger_find(trigger_oid, InvalidOid);
	if (triggers != NIL)
	{
		CxTrigger  *found = linitial(triggers);

		if (!found->is_clone || may_have_rows(found->relid))
			clear_named(triggers);
	}
}

/*
 * A table is about to be truncated, and need not be locked yet.  Partitions
 * that came after the watch have clones of its row trigger, but no trigger on
 * TRUNCATE.
 */
void
cx_watch_table_truncated(Oid relid)
{
	List	   *clones = NIL;
	ListCell   *lc;

	if (!cx_preloaded || !get_rel_relispartition(relid))
		return;
	foreach(lc, cx_trigger_find(InvalidOid, relid))
	{
		if (((CxTrigger *) lfirst(lc))->is_clone)
			clones = lappend(clones, lfirst(lc));
	}
	clear_named(clones);
}

/* ---- statements ---- */

static char *
qualified_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

static void
run(WatchPlan *plan, char *command)
{
	(void) SPI_execute(command, false, 0);	/* raises what goes wrong */
	plan->changed = true;
}

static void
drop_trigger(WatchPlan *plan, const CxTrigger *trigger)
{
	run(plan, psprintf("DROP TRIGGER %s ON %s",
					   quote_identifier(trigger->name),
					   qualified_name(trigger->relid)));
}

static void
create_trigger(WatchPlan *plan, Oid relid, char letter)
{
	int			kind = 0;

	while (kinds[kind].letter != letter)
		kind++;
	run(plan, psprintf("CREATE TRIGGER %s_%c AFTER %s ON %s %s "
					   "EXECUTE FUNCTION cachex.on_change(%s)",
					   plan->prefix, letter, kinds[kind].events,
					   qualified_name(relid), kinds[kind].rows, plan->call));
}

/*
 * Makes the triggers of a table that are wanted and drops those that are
 * not; both are letters.
 */
static void
set_triggers(WatchPlan *plan, Oid relid, const char *wanted, const char *unwanted)
{
	List	   *triggers = cx_trigger_find(InvalidOid, relid);
	CxTrigger  *found;

	for (const char *p = unwanted; *p != '\0'; p++)
	{
		found = cx_trigger_by_name(triggers, plan->prefix, *p);
		if (found && !found->is_clone)
			drop_trigger(plan, found);
	}
	for (const char *p = wanted; *p != '\0'; p++)
	{
		found = cx_trigger_by_name(triggers, plan->prefix, *p);
		if (!found)
			create_trigger(plan, relid, *p);
		if (!found || !found->always)
			run(plan, psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s_%c",
							   qualified_name(relid), plan->prefix, *p));
	}
}

/* ---- tables ---- */

/* Whether a table changes without a statement that names it. */
static bool
needs_row_triggers(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);

	return rel->rd_rel->relispartition || has_superclass(relid) ||
		find_inheritance_children(relid, NoLock) != NIL ||
		cx_watched_is_subscribed(relid);
}

/* Raises an error unless the relation is there and the caller's own. */
static void
check_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (!has_privs_of_role(GetUserId(), form->relowner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of relation \"%s\"",
						NameStr(form->relname)),
				 errdetail("The triggers of a watch are set to ENABLE ALWAYS, which only the owner may do.")));
	ReleaseSysCache(tuple);
}

/* Raises an error unless it is a table that can be watched. */
static void
check_kind(Relation rel)
{
	Form_pg_class form = rel->rd_rel;
	const char *hint = NULL;

	if (form->relkind == RELKIND_VIEW ||
		form->relkind == RELKIND_MATVIEW)
		hint = "Watch the tables that it reads.";
	else if (form->relkind == RELKIND_FOREIGN_TABLE)
		hint = "Changes on the foreign server fire no triggers here; use a short time to live.";
	else if (form->relkind != RELKIND_RELATION &&
			 form->relkind != RELKIND_PARTITIONED_TABLE)
		hint = "Only tables can be watched.";
	else if (IsCatalogRelation(rel))
		hint = "System catalogs have no triggers.";
	else if (form->relpersistence == RELPERSISTENCE_TEMP)
		hint = "No other session sees a temporary table; invalidate by hand.";
	if (hint)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot watch \"%s\"", NameStr(form->relname)),
				 errhint("%s", hint)));
}

/* Raises an error unless the table has what a watch needs. */
static void
check_columns(CxWatchSpec *spec, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		ignored = false;
	const char *missing = cx_template_bind(spec, desc, &ignored);

	if (missing == NULL)
		missing = cx_template_bind_columns(spec, desc);
	if (missing)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist or is not stored",
						missing, RelationGetRelationName(rel)),
				 errhint("Names in templates are taken as they are: without quotes, in their own case.")));
	if (spec->put && cx_template_has_virtual(desc))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("action \"put\" cannot be used with table \"%s\"",
						RelationGetRelationName(rel)),
				 errdetail("Its virtual generated columns are not stored in rows.")));
}

/*
 * Raises an error unless there is a cache that can do what is asked for, and
 * the current role may have it done.
 */
static void
check_cache(const CxWatchSpec *spec)
{
	CxCache    *cache;

	if (spec->bare)
		return;
	if (spec->cache)
		(void) cx_catalog_get(spec->cache, strlen(spec->cache));
	check_rights(spec->cache, spec->ntags > 0);
	if (spec->cache == NULL)
		return;
	cache = cx_catalog_get(spec->cache, strlen(spec->cache));
	if (spec->refresh && cache->loader == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("action \"refresh\" needs a cache with a loader"),
				 errhint("Give cache \"%s\" one with cachex.alter_cache().",
						 spec->cache)));
	if (spec->refresh)
		cx_owner_require_rights(cache, CX_OWNER_RUNS_IT);
	if (cache->scoped_by && spec->scope == NULL &&
		(spec->refresh || spec->put))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("values in cache \"%s\" need a scope", spec->cache),
				 spec->put ? errhint("Name the scope of a row in a template.")
				 : errhint("Invalidate the keys; the next reader of the scope computes them.")));
	if (spec->stale && cache->stale_us == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("action \"stale\" needs a cache with stale_for"),
				 errhint("Give cache \"%s\" one with cachex.alter_cache().",
						 spec->cache)));
}

static Oid
relid_argument(FunctionCallInfo fcinfo, const char *function)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("rel must not be null")));
	PreventCommandIfReadOnly(function);
	return PG_GETARG_OID(0);
}

/* ---- watch ---- */

static void
make_plan(WatchPlan *plan, char **args)
{
	StringInfoData call;

	snprintf(plan->prefix, sizeof(plan->prefix), "cachex_%016llx",
			 (unsigned long long) cx_template_hash_args(args));
	initStringInfo(&call);
	for (int i = 0; i < cx_template_count_args(args); i++)
		appendStringInfo(&call, "%s%s", i > 0 ? ", " : "",
						 quote_literal_cstr(args[i]));
	plan->call = call.data;
	plan->changed = false;
}

/* The tables below one, itself not among them. */
static List *
tables_below(Oid relid, LOCKMODE lockmode)
{
	return list_delete_oid(find_all_inheritors(relid, lockmode, NULL), relid);
}

/*
 * Makes the triggers of a partitioned table, or of a family of tables, and of
 * those below it.  A partition's own row trigger of the same watch has the
 * name that the clone will have, so it goes first.
 */
static void
install_below(WatchPlan *plan, Oid relid, bool partitioned)
{
	ListCell   *lc;

	foreach(lc, tables_below(relid, ShareRowExclusiveLock))
	{
		Oid			below = lfirst_oid(lc);
		bool		foreign = get_rel_relkind(below) == RELKIND_FOREIGN_TABLE;

		if (partitioned)
			set_triggers(plan, below, foreign ? "" : "p", "r");
		else if (get_rel_persistence(below) != RELPERSISTENCE_TEMP)
			set_triggers(plan, below, foreign ? "c" : "cp", "");
	}
	if (partitioned)
		set_triggers(plan, relid, "rt", "");
	else
		set_triggers(plan, relid, "lt", "iud");
}

/* watch(rel, cache, keys, tags, action, columns, scope) */
Datum
cachex_watch(PG_FUNCTION_ARGS)
{
	Oid			relid;
	char	   *args[CX_WATCH_NARGS];
	CxWatchSpec spec;
	Relation	rel;
	WatchPlan	plan;
	bool		partitioned;
	bool		family;

	CX_REQUIRE_PRELOAD();
	cx_template_read_args(fcinfo, 1, args);
	cx_template_parse_spec(&spec, CX_WATCH_NARGS, args);
	check_cache(&spec);
	relid = relid_argument(fcinfo, "cachex.watch()");
	check_owner(relid);
	rel = relation_open(relid, ShareRowExclusiveLock);
	check_kind(rel);
	check_columns(&spec, rel);
	partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	family = !partitioned && needs_row_triggers(rel);
	/* ALTER TABLE wants it for itself; the lock stays */
	relation_close(rel, NoLock);
	make_plan(&plan, args);
	SPI_connect();
	if (spec.bare)
		;
	else if (partitioned || family)
		install_below(&plan, relid, partitioned);
	else
		set_triggers(&plan, relid, "iudt", "rl");
	cx_watch_bare_install(relid);
	SPI_finish();
	if (plan.changed)
		cx_watch_clear(spec.cache);
	PG_RETURN_VOID();
}

/* ---- unwatch ---- */

/* Drops what a watch of the table above has put on the tables below it. */
static void
drop_below(WatchPlan *plan, Oid relid, List *triggers)
{
	List	   *below = tables_below(relid, AccessExclusiveLock);
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, triggers)
	{
		CxTrigger  *found = lfirst(lc);

		if (cx_trigger_letter(found) == 0)
			continue;
		strlcpy(plan->prefix, found->name, sizeof(plan->prefix));
		foreach(lc2, below)
			set_triggers(plan, lfirst_oid(lc2), "", "cp");
	}
}

/* Whether a trigger is what a watch of the table above has put here. */
static bool
belongs_to_clone(List *triggers, const CxTrigger *trigger)
{
	CxTrigger  *clone;

	if (cx_trigger_letter(trigger) != 'p')
		return false;
	clone = cx_trigger_by_name(triggers, trigger->name, 'r');
	return clone && clone->is_clone;
}

/* unwatch(rel) */
Datum
cachex_unwatch(PG_FUNCTION_ARGS)
{
	Oid			relid;
	List	   *triggers;
	List	   *own = NIL;
	ListCell   *lc;
	WatchPlan	plan;

	CX_REQUIRE_PRELOAD();
	relid = relid_argument(fcinfo, "cachex.unwatch()");
	triggers = cx_trigger_find(InvalidOid, relid);
	foreach(lc, triggers)
	{
		CxTrigger  *found = lfirst(lc);

		/* clones, and what came with them, belong to the table above */
		if (!found->is_clone && !found->is_bare &&
			!belongs_to_clone(triggers, found))
			own = lappend(own, found);
	}
	if (triggers == NIL)
		PG_RETURN_VOID();
	check_owner(relid);
	LockRelationOid(relid, AccessExclusiveLock);
	SPI_connect();
	foreach(lc, own)
		drop_trigger(&plan, lfirst(lc));
	if (own != NIL)
		drop_below(&plan, relid, own);
	cx_watch_bare_remove(relid);
	SPI_finish();
	foreach(lc, own)
		cx_watch_clear(((CxTrigger *) lfirst(lc))->cache);
	PG_RETURN_VOID();
}
