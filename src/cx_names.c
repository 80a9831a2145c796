/*
 * cx_names.c
 *	  Do temporary relations and types of this session hide others?
 *
 * They come first in every search path, so a query may read them in place of
 * what other sessions read under the same name.  Which names a query uses is
 * not known any more when its entry is found; so if one name is hidden, none
 * is trusted.  The answer is kept until a relation or type comes or goes.
 *
 * Locking: none of cachex's; reads the catalogs.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "cx_names.h"

static bool known = false;
static bool hidden = false;
static uint64 version = 0;

static void
syscache_cb(Datum arg, int cache, uint32 hash)
{
	known = false;
}

/*
 * How many relations (RELNAMENSP) or types (TYPENAMENSP) have a name, those
 * of temporary schemas not counted.
 */
int
cx_names_count(int cache, const char *name)
{
	CatCList   *list = SearchSysCacheList1(cache, CStringGetDatum(name));
	int			n = 0;

	for (int i = 0; i < list->n_members; i++)
	{
		HeapTuple	tuple = &list->members[i]->tuple;
		Oid			schema = cache == RELNAMENSP
		? ((Form_pg_class) GETSTRUCT(tuple))->relnamespace
		: ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;

		if (!isAnyTempNamespace(schema))
			n++;
	}
	ReleaseSysCacheList(list);
	return n;
}

/* Whether an object in our temporary schema has a name that others have. */
static bool
hides(const FormData_pg_depend *object)
{
	char	   *name = NULL;

	if (object->classid == RelationRelationId)
		name = get_rel_name(object->objid);
	else if (object->classid == TypeRelationId)
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID,
											ObjectIdGetDatum(object->objid));

		if (HeapTupleIsValid(tuple))
		{
			name = pstrdup(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname));
			ReleaseSysCache(tuple);
		}
	}
	return name != NULL && (cx_names_count(RELNAMENSP, name) > 0 ||
							cx_names_count(TYPENAMENSP, name) > 0);
}

static bool
look(Oid schema)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(schema));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2,
							  key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = hides((Form_pg_depend) GETSTRUCT(tuple));
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

/* Whether a temporary relation or type hides another one. */
bool
cx_names_hidden(void)
{
	static bool registered = false;
	Oid			schema;
	Oid			toast;

	GetTempNamespaceState(&schema, &toast);
	if (!OidIsValid(schema))
		return false;
	if (!registered)
	{
		CacheRegisterSyscacheCallback(RELOID, syscache_cb, (Datum) 0);
		CacheRegisterSyscacheCallback(TYPEOID, syscache_cb, (Datum) 0);
		registered = true;
	}
	if (!known)
	{
		/* a change that is noticed meanwhile counts */
		known = true;
		hidden = true;			/* if looking fails */
		version++;
		hidden = look(schema);
	}
	return hidden;
}

/* Another number whenever what is hidden may be something else. */
uint64
cx_names_version(void)
{
	return cx_names_hidden() ? version : 0;
}
