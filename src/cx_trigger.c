/*
 * cx_trigger.c
 *	  Reads from pg_trigger which triggers call on_change.
 *
 * Locking: none of cachex's; AccessShareLock on pg_trigger while it is read.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "cx_catalog.h"
#include "cx_trigger.h"

/* What is named by arguments that lie one behind the other. */
static void
read_args(CxTrigger *found, int nargs, const char *args)
{
	if (*args != '\0')
		found->cache = pstrdup(args);
	for (int i = 0; i < nargs; i++)
	{
		if (i == CX_TRIGGER_TAGS)
			found->names_tags = *args != '\0' && strcmp(args, "{}") != 0;
		args += strlen(args) + 1;
	}
}

static CxTrigger *
read_trigger(Relation pg_trigger, HeapTuple tuple)
{
	Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
	CxTrigger  *found = palloc0(sizeof(CxTrigger));
	bool		isnull;
	Datum		args = heap_getattr(tuple, Anum_pg_trigger_tgargs,
									RelationGetDescr(pg_trigger), &isnull);

	found->relid = form->tgrelid;
	found->name = pstrdup(NameStr(form->tgname));
	found->is_clone = OidIsValid(form->tgparentid);
	found->is_bare = form->tgnargs == 0;
	found->always = form->tgenabled == TRIGGER_FIRES_ALWAYS;
	if (form->tgnargs > 0 && !isnull)
		read_args(found, form->tgnargs, VARDATA_ANY(DatumGetByteaPP(args)));
	return found;
}

/*
 * The triggers that call on_change: one by its OID, or all of a table.  The
 * former may be younger than any snapshot.
 */
List *
cx_trigger_find(Oid trigger, Oid relid)
{
	bool		by_oid = OidIsValid(trigger);
	Oid			function = cx_catalog_on_change();
	List	   *found = NIL;
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(function))
		return NIL;
	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyInit(&key,
				by_oid ? Anum_pg_trigger_oid : Anum_pg_trigger_tgrelid,
				BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(by_oid ? trigger : relid));
	scan = systable_beginscan(rel,
							  by_oid ? TriggerOidIndexId
							  : TriggerRelidNameIndexId,
							  true, by_oid ? SnapshotSelf : NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (((Form_pg_trigger) GETSTRUCT(tuple))->tgfoid == function)
			found = lappend(found, read_trigger(rel, tuple));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* The letter of a trigger that watch() named, else 0. */
char
cx_trigger_letter(const CxTrigger *found)
{
	return strlen(found->name) == CX_TRIGGER_PREFIX + 2 &&
		strncmp(found->name, "cachex_", 7) == 0 ? found->name[CX_TRIGGER_PREFIX + 1] : 0;
}

/* The one of a watch with a letter, or NULL. */
CxTrigger *
cx_trigger_by_name(List *triggers, const char *prefix, char letter)
{
	ListCell   *lc;

	foreach(lc, triggers)
	{
		CxTrigger  *found = lfirst(lc);

		if (cx_trigger_letter(found) == letter &&
			strncmp(found->name, prefix, CX_TRIGGER_PREFIX) == 0)
			return found;
	}
	return NULL;
}
