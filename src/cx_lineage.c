/*
 * cx_lineage.c
 *	  Looks upwards in pg_inherits, and remembers what it found.
 *
 * Every write to a watched table asks, so the answers are kept for the
 * session.  A message about a relation empties all of it when any answer
 * names a table above: a table in the middle may have moved.
 *
 * Locking: none of cachex's; reads the catalogs.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_inherits.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "cx_lineage.h"

typedef struct Lineage
{
	Oid			rel;			/* hash key */
	int			n;
	Oid		   *above;			/* in context */
} Lineage;

static MemoryContext context = NULL;
static HTAB *lineages = NULL;	/* in context */
static bool any_above = false;
static bool stale = true;
static Oid	asking = InvalidOid;	/* being looked up */

static void
relcache_cb(Datum arg, Oid rel)
{
	if (stale)
		return;
	stale = any_above || !OidIsValid(rel) || rel == asking ||
		hash_search(lineages, &rel, HASH_FIND, NULL) != NULL;
}

static void
empty(void)
{
	HASHCTL		ctl = {0};

	if (context == NULL)
	{
		context = AllocSetContextCreate(CacheMemoryContext, "cachex lineage",
										ALLOCSET_SMALL_SIZES);
		CacheRegisterRelcacheCallback(relcache_cb, (Datum) 0);
	}
	MemoryContextReset(context);
	lineages = NULL;
	any_above = false;
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(Lineage);
	ctl.hcxt = context;
	lineages = hash_create("cachex lineage", 64, &ctl,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	stale = false;
}

/* The tables right above one, those being detached included. */
static List *
parents(Relation pg_inherits, Oid rel)
{
	List	   *result = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(rel));
	scan = systable_beginscan(pg_inherits, InheritsRelidSeqnoIndexId, true,
							  NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		result = lappend_oid(result,
							 ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
	systable_endscan(scan);
	return result;
}

static List *
look_up(Oid rel)
{
	Relation	pg_inherits = table_open(InheritsRelationId, AccessShareLock);
	List	   *above = parents(pg_inherits, rel);

	for (int i = 0; i < list_length(above); i++)
		above = list_concat_unique_oid(above,
									   parents(pg_inherits,
											   list_nth_oid(above, i)));
	table_close(pg_inherits, AccessShareLock);
	return above;
}

/*
 * The number of tables above a relation, at any distance; *above points to
 * them until the next call.  May raise an error.
 */
int
cx_lineage_above(Oid rel, const Oid **above)
{
	Lineage    *lineage;
	List	   *found;
	Oid		   *copy;
	bool		exists;
	int			i = 0;
	ListCell   *lc;

	if (stale)
		empty();
	lineage = hash_search(lineages, &rel, HASH_FIND, NULL);
	if (lineage)
	{
		*above = lineage->above;
		return lineage->n;
	}
	/* what a message that comes meanwhile says is for the next call */
	asking = rel;
	found = look_up(rel);
	copy = MemoryContextAlloc(context,
							  Max(list_length(found), 1) * sizeof(Oid));
	foreach(lc, found)
		copy[i++] = lfirst_oid(lc);
	lineage = hash_search(lineages, &rel, HASH_ENTER, &exists);
	lineage->n = i;
	lineage->above = copy;
	any_above |= i > 0;
	list_free(found);
	*above = copy;
	return i;
}
