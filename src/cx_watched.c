/*
 * cx_watched.c
 *	  Looks at a relation's kind and at its triggers.
 *
 * A table counts as watched while triggers that fire BEFORE each statement,
 * always, call cachex.on_change() for every kind of write; and the same holds
 * for each table above it, since a statement fires the triggers of the table
 * that it names.  The apply worker of a subscription fires row triggers only,
 * so a table that is replicated into needs one of these besides.
 *
 * To be asked after cx_cache_begin_fill(): then a change of the triggers
 * makes dead what is filled.
 *
 * Locking: none of cachex's.  The relation is locked by whoever reads it.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_subscription_rel.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"
#include "utils/syscache.h"

#include "cx_bug.h"
#include "cx_catalog.h"
#include "cx_lineage.h"
#include "cx_watched.h"

#define WRITES (TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | \
				TRIGGER_TYPE_DELETE | TRIGGER_TYPE_TRUNCATE)
#define ROW_WRITES (TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | \
					TRIGGER_TYPE_DELETE)

/*
 * The kinds of writes that call on_change under any condition: before each
 * statement, or (per_row) before each row in a session of replication.
 */
static int
covered_writes(Relation rel, bool per_row)
{
	/* this may read catalogs, and the relation's triggers be read anew */
	Oid			function = cx_catalog_on_change();
	TriggerDesc *triggers = rel->trigdesc;
	int			covered = 0;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];
		bool		is_row = TRIGGER_FOR_ROW(trigger->tgtype);

		if (trigger->tgfoid != function || is_row != per_row ||
			trigger->tgnargs > 0 || trigger->tgqual != NULL ||
			trigger->tgnattr > 0 ||
			!(TRIGGER_FOR_BEFORE(trigger->tgtype) ||
			  CX_BUG_IS(CX_BUG_AFTER_STATEMENT)))
			continue;
		if (trigger->tgenabled == TRIGGER_FIRES_ALWAYS ||
			(is_row && trigger->tgenabled == TRIGGER_FIRES_ON_REPLICA))
			covered |= trigger->tgtype;
	}
	return covered;
}

/* Whether statements that name the table are seen. */
bool
cx_watched_has_triggers(Relation rel)
{
	return (covered_writes(rel, false) & WRITES) == WRITES;
}

/* Whether a subscription writes to the table. */
bool
cx_watched_is_subscribed(Oid relid)
{
	CatCList   *list = SearchSysCacheList1(SUBSCRIPTIONRELMAP,
										   ObjectIdGetDatum(relid));
	bool		result = list->n_members > 0;

	ReleaseSysCacheList(list);
	return result;
}

static bool
is_table_watched(Oid relid, bool subscribed)
{
	Relation	rel = RelationIdGetRelation(relid);
	bool		result;

	if (!RelationIsValid(rel))
		return false;
	result = cx_watched_has_triggers(rel) &&
		(!subscribed || rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
		 (covered_writes(rel, true) & ROW_WRITES) == ROW_WRITES);
	RelationClose(rel);
	return result;
}

/* A table that a session has put below, for itself alone, or InvalidOid. */
static Oid
temporary_child(Oid relid)
{
	ListCell   *lc;

	foreach(lc, find_inheritance_children(relid, NoLock))
	{
		if (get_rel_persistence(lfirst_oid(lc)) == RELPERSISTENCE_TEMP)
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

static CxRefusal
judge_table(Oid relid, const char **culprit)
{
	const Oid  *above;
	int			n;
	bool		subscribed = cx_watched_is_subscribed(relid);
	Oid			child = temporary_child(relid);

	if (OidIsValid(child))
	{
		*culprit = get_rel_name(child);
		return CX_UNKNOWN_RELATION;
	}
	n = cx_lineage_above(relid, &above);

	/* a subscription to a partitioned table writes to its partitions */
	for (int i = 0; i < n && !subscribed && get_rel_relispartition(relid); i++)
		subscribed = cx_watched_is_subscribed(above[i]);
	if (!is_table_watched(relid, subscribed))
		return CX_UNWATCHED;
	/* again: above is valid until the next call */
	n = cx_lineage_above(relid, &above);
	for (int i = 0; i < n; i++)
	{
		if (!is_table_watched(above[i], false))
		{
			*culprit = get_rel_name(above[i]);
			return CX_UNWATCHED;
		}
	}
	return CX_NOT_REFUSED;
}

/*
 * Whether an exact cache may keep what was read from a relation; *culprit is
 * the name of the relation, or of the one above or below it that is in the
 * way; NULL when it is gone.
 */
CxRefusal
cx_watched_judge(Oid relid, const char **culprit)
{
	Relation	rel = RelationIdGetRelation(relid);
	Form_pg_class form;
	CxRefusal	refusal = CX_UNKNOWN_RELATION;
	bool		is_table = false;

	*culprit = NULL;
	if (!RelationIsValid(rel))
		return CX_UNKNOWN_RELATION;
	form = rel->rd_rel;
	*culprit = pstrdup(NameStr(form->relname));
	if (relid < FirstNormalObjectId || IsCatalogRelation(rel) ||
		form->relpersistence == RELPERSISTENCE_TEMP)
		refusal = CX_UNKNOWN_RELATION;
	else if (form->relkind == RELKIND_VIEW ||
			 form->relkind == RELKIND_MATVIEW)
		refusal = CX_NOT_REFUSED;	/* they change by messages only */
	else if (form->relkind == RELKIND_PARTITIONED_TABLE ||
			 (form->relkind == RELKIND_RELATION &&
			  rel->rd_tableam == GetHeapamTableAmRoutine()))
		is_table = true;
	RelationClose(rel);
	return is_table ? judge_table(relid, culprit) : refusal;
}
