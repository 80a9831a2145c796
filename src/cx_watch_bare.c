/*
 * cx_watch_bare.c
 *	  Making and dropping the triggers by which a table counts as watched
 *	  (cx_watched.c): one that fires before each statement, on the table and
 *	  on every table below it, and where a subscription writes one before
 *	  each row: no other trigger may see a row before it counts as written.
 *
 * A table that comes below a watched one gets its trigger with the command
 * that brings it there.
 *
 * Locking: none of cachex's; ShareRowExclusiveLock on the tables, as CREATE
 * TRIGGER takes it.  SPI is connected by the caller, but for adopt.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "cx_bug.h"
#include "cx_catalog.h"
#include "cx_lineage.h"
#include "cx_watch_bare.h"
#include "cx_watched.h"

#define STATEMENT_TRIGGER "cachex_watch"
#define ROW_TRIGGER "cachex_watch_apply"

static char *
qualified_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

static void
run(char *command)
{
	(void) SPI_execute(command, false, 0);	/* raises what goes wrong */
}

static bool
has_statement_trigger(Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);
	bool		result = RelationIsValid(rel) && cx_watched_has_triggers(rel);

	if (RelationIsValid(rel))
		RelationClose(rel);
	return result;
}

static void
install_one(Oid relid)
{
	char	   *name = qualified_name(relid);

	if (has_statement_trigger(relid))
		return;
	if (!OidIsValid(get_trigger_oid(relid, STATEMENT_TRIGGER, true)))
		run(psprintf("CREATE TRIGGER " STATEMENT_TRIGGER
					 " %s INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s"
					 " FOR EACH STATEMENT EXECUTE FUNCTION cachex.on_change()",
					 CX_BUG_IS(CX_BUG_AFTER_STATEMENT) ? "AFTER" : "BEFORE",
					 name));
	run(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER " STATEMENT_TRIGGER,
				 name));
}

/* A partitioned table hands its row trigger on to its partitions. */
static void
install_for_rows(Oid relid)
{
	char	   *name = qualified_name(relid);

	if (!cx_watched_is_subscribed(relid) ||
		OidIsValid(get_trigger_oid(relid, ROW_TRIGGER, true)))
		return;
	run(psprintf("CREATE TRIGGER " ROW_TRIGGER
				 " BEFORE INSERT OR UPDATE OR DELETE ON %s"
				 " FOR EACH ROW EXECUTE FUNCTION cachex.on_change()", name));
	run(psprintf("ALTER TABLE %s ENABLE REPLICA TRIGGER " ROW_TRIGGER, name));
}

/* Makes the triggers of a table and of all below it. */
void
cx_watch_bare_install(Oid relid)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, ShareRowExclusiveLock, NULL))
	{
		Oid			rel = lfirst_oid(lc);

		/* these are never kept by exact caches */
		if (get_rel_relkind(rel) == RELKIND_FOREIGN_TABLE ||
			get_rel_persistence(rel) == RELPERSISTENCE_TEMP)
			continue;
		install_one(rel);
		install_for_rows(rel);
	}
}

static bool
is_below_a_watched(Oid relid)
{
	const Oid  *above;
	int			n = cx_lineage_above(relid, &above);
	List	   *copy = NIL;
	ListCell   *lc;

	for (int i = 0; i < n; i++)
		copy = lappend_oid(copy, above[i]);
	foreach(lc, copy)
	{
		if (has_statement_trigger(lfirst_oid(lc)))
			return true;
	}
	return false;
}

/*
 * A table may have come below a watched one: then it and those below it are
 * watched as well, by the hand of its owner.
 */
void
cx_watch_bare_adopt(Oid relid)
{
	Relation	rel;
	Oid			owner;
	Oid			user;
	int			security;

	if (!OidIsValid(cx_catalog_on_change()) || !is_below_a_watched(relid) ||
		has_statement_trigger(relid))
		return;
	rel = RelationIdGetRelation(relid);
	owner = rel->rd_rel->relowner;
	RelationClose(rel);
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(owner, security | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	cx_watch_bare_install(relid);
	SPI_finish();
	SetUserIdAndSecContext(user, security);
}

/* Drops the triggers of a table and of all below, unless one above needs them. */
void
cx_watch_bare_remove(Oid relid)
{
	static const char *const names[] = {STATEMENT_TRIGGER, ROW_TRIGGER};
	ListCell   *lc;

	if (is_below_a_watched(relid))
		return;
	foreach(lc, find_all_inheritors(relid, AccessExclusiveLock, NULL))
	{
		for (int i = 0; i < (int) lengthof(names); i++)
		{
			Oid			rel = lfirst_oid(lc);

			/* a clone goes with the one above it */
			if (OidIsValid(get_trigger_oid(rel, names[i], true)) &&
				!(i == 1 && rel != relid && get_rel_relispartition(rel)))
				run(psprintf("DROP TRIGGER %s ON %s", names[i],
							 qualified_name(rel)));
		}
	}
}
