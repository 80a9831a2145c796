/*
 * cx_watch_put.c
 *	  Action "put" of a watch: changed rows become entries.
 *
 * An entry of a row must not show anybody more than the table does: it is made
 * only where its reader may read all of the table, and ends with the table's
 * definition and privileges.  And it is made only while the table's owner may
 * write to the cache: a watch finds its cache by name, and that may be another
 * one by now.
 *
 * Locking: none of cachex's on entry or return.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "cx_access.h"
#include "cx_gens.h"
#include "cx_grants.h"
#include "cx_watch_put.h"

/*
 * Whether the rows of a later command have been put already: a trigger that
 * fires before ours can write to the table, and then that command's rows come
 * here first.
 */
bool
cx_watch_put_is_overtaken(void)
{
	static TransactionId xid = InvalidTransactionId;
	static CommandId last = 0;
	TransactionId my_xid = GetTopTransactionIdIfAny();
	CommandId	cid;

	if (!ActiveSnapshotSet())
		return true;
	cid = GetActiveSnapshot()->curcid;
	if (xid == my_xid && cid < last)
		return true;
	xid = my_xid;
	last = cid;
	return false;
}

/*
 * Whether the current role may read whole rows of a table, by itself or
 * through one of its ancestors.  Else a put would show it more than the table
 * does.
 */
static bool
may_read(List *tables)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		Oid			rel = lfirst_oid(lc);

		if (pg_class_aclcheck(rel, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
			check_enable_rls(rel, InvalidOid, true) != RLS_ENABLED)
			return true;
	}
	return false;
}

/* Whether one of the tables has row security, whomever it is for. */
static bool
any_row_security(List *tables)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		if (cx_access_has_row_security(lfirst_oid(lc)))
			return true;
	}
	return false;
}

/* The owner of a relation, InvalidOid if it is gone. */
static Oid
owner_of(Oid rel)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(rel));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Whether who made a watch may write to the cache: the owner of its table, the
 * first one, or for a clone those of all above it, one of whom has made it.
 */
static bool
may_write(const CxCache *cache, List *tables, bool is_clone)
{
	int			first = is_clone && list_length(tables) > 1 ? 1 : 0;
	int			n = is_clone ? list_length(tables) : 1;

	for (int i = first; i < n; i++)
	{
		Oid			owner = owner_of(list_nth_oid(tables, i));

		if (!OidIsValid(owner) ||
			(cx_grants_of_role(cache, owner) & CX_MAY_WRITE) == 0)
			return false;
	}
	return true;
}

/*
 * Returns whether rows of a table are put by a trigger, which may be a clone of
 * one above.  Then put says what the entries depend on, and whom they are for:
 * in a shared cache, for those who may read all of the table, or of the topmost
 * one that it is a partition of.
 */
bool
cx_watch_put_prepare(CxWatchPut *put, const char *cache_name, Oid relid,
					 bool is_clone)
{
	List	   *tables = list_make1_oid(relid);
	CxCache    *cache;
	ListCell   *lc;

	/* first the generation, then the messages, then the catalogs: as a fill */
	put->reads_gen = cx_gens_last();
	pg_read_barrier();
	AcceptInvalidationMessages();
	cache = cx_catalog_find(cache_name, strlen(cache_name));
	if (get_rel_relispartition(relid))
		tables = list_concat(tables, get_partition_ancestors(relid));
	if (cache == NULL || list_length(tables) > CX_MAX_RELATIONS ||
		!may_write(cache, tables, is_clone))
		return false;
	put->cache_id = cache->id;
	put->reads.known = true;
	foreach(lc, tables)
		put->reads.rel[put->reads.nread++] = lfirst_oid(lc);
	if (!cache->is_shared)
		return may_read(tables);
	put->access = palloc(sizeof(CxAccess));
	cx_access_begin(put->access, InvalidOid);
	cx_access_add_table(put->access, llast_oid(tables));
	return !any_row_security(tables);
}

/* Puts a row as it is now, if the cache is still the one that was asked. */
void
cx_watch_put_row(const CxWatchPut *put, const char *cache_name,
				 StringInfo key, CxScope scope, TupleTableSlot *slot)
{
	Jsonb	   *row = cx_codec_to_jsonb(ExecFetchSlotHeapTupleDatum(slot), false,
										slot->tts_tupleDescriptor->tdtypeid);
	CxCache    *cache = cx_catalog_find(cache_name, strlen(cache_name));

	/* a cast to json may wait until there is another one */
	if (cache == NULL || cache->id != put->cache_id)
		return;
	cx_put_row(cache_name, key->data, key->len, scope, row, &put->reads,
			   put->reads_gen, put->access);
}
