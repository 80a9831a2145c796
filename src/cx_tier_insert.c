/*
 * cx_tier_insert.c
 *	  Inserts and deletes rows of stored entries and records of invalidations.
 *
 * As the heap's own functions do it: nobody has privileges on these tables,
 * no trigger is on them, and a row that somebody else is deleting is neither
 * waited for nor an error.
 *
 * Locking: none of cachex's; the tables are open with RowExclusiveLock.
 *
 * Not done here: why and when (cx_tier_table.c, cx_tier_write.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/xid8.h"

#include "cx_compat.h"
#include "cx_tier_columns.h"
#include "cx_tier_insert.h"
#include "cx_tier_roles.h"

/* The active snapshot as a pg_snapshot, in the current memory context. */
Datum
cx_tier_snapshot(void)
{
	LOCAL_FCINFO(fcinfo, 0);

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	return pg_current_snapshot(fcinfo);
}

static Datum
write_reads(const CxReads *reads)
{
	CxStoredReads stored = {0};
	Size		rels = (reads->nread + reads->nabove) * sizeof(Oid);
	Size		len = VARHDRSZ + sizeof(stored) + reads->settings_len + rels;
	bytea	   *bytes = palloc(len);
	char	   *p = VARDATA(bytes);

	if (reads->settings_len > 0)
		stored.settings_hash = reads->settings_hash;
	stored.exact = reads->exact;
	stored.nread = reads->nread;
	stored.nabove = reads->nabove;
	stored.settings_len = reads->settings_len;
	SET_VARSIZE(bytes, len);
	memcpy(p, &stored, sizeof(stored));
	memcpy(p + sizeof(stored), reads->settings, reads->settings_len);
	memcpy(p + sizeof(stored) + reads->settings_len, reads->rel, rels);
	return PointerGetDatum(bytes);
}

/* What a row stands and falls with; relations come last. */
static int
collect_deps(const CxTierNew *new, uint64 *deps)
{
	const CxIdent *ident = &new->ident;
	const CxNewEntry *entry = &new->entry;
	int			n = 0;

	deps[n++] = cx_key_stable_ident(new->stable, ident);
	deps[n++] = cx_key_stable_cache(new->stable);
	deps[n++] = cx_key_stable_like(new->stable);
	deps[n++] = cx_key_stable_key(new->stable, ident->key, ident->key_len);
	if (ident->has_scope)
	{
		deps[n++] = cx_key_stable_scoped(new->stable, ident);
		deps[n++] = cx_key_stable_scope(new->stable, ident->scope,
										ident->scope_len);
	}
	for (int i = 0; i < entry->ntags; i++)
		deps[n++] = cx_key_stable_tag(entry->tag[i], entry->tag_len[i]);
	if (entry->reads && entry->reads->known)
	{
		deps[n++] = cx_key_stable_rel(InvalidOid);
		for (int i = 0; i < entry->reads->nread + entry->reads->nabove; i++)
			deps[n++] = cx_key_stable_rel(entry->reads->rel[i]);
	}
	Assert(n <= CX_TIER_MAX_DEPS);
	return n;
}

static void
insert(const CxTier *tier, Relation rel, CatalogIndexState *state, Datum *v,
	   bool *null)
{
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(rel), v + 1, null + 1);

	if (*state == NULL)
	{
		/* lasts longer than what a single row needs */
		MemoryContext old = MemoryContextSwitchTo(tier->context);

		*state = CatalogOpenIndexes(rel);
		MemoryContextSwitchTo(old);
	}
	CatalogTupleInsertWithInfo(rel, tuple, *state);
	heap_freetuple(tuple);
}

static Datum
bytes_datum(const char *bytes, Size len)
{
	return PointerGetDatum(cstring_to_text_with_len(bytes, (int) len));
}

static Datum
tags_datum(const CxNewEntry *entry)
{
	Datum		elems[CX_MAX_TAGS];

	for (int i = 0; i < entry->ntags; i++)
		elems[i] = bytes_datum(entry->tag[i], entry->tag_len[i]);
	return PointerGetDatum(construct_array(elems, entry->ntags, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

/*
 * Inserts a row for the current transaction.  The snapshot that is its
 * new->seen must be held until the transaction has ended.
 */
void
cx_tier_insert(CxTier *tier, const CxTierNew *new)
{
	const CxNewEntry *entry = &new->entry;
	const CxIdent *ident = &new->ident;
	Datum		v[E_NCOLS + 1];
	bool		null[E_NCOLS + 1];
	uint64		deps[CX_TIER_MAX_DEPS];
	Datum		elems[CX_TIER_MAX_DEPS];
	int			ndeps = collect_deps(new, deps);

	for (int i = 0; i < ndeps; i++)
		elems[i] = Int64GetDatum((int64) deps[i]);
	memset(null, 0, sizeof(null));
	v[E_IDENT] = elems[0];
	v[E_CACHE] = Int64GetDatum(new->cache);
	v[E_ROLE] = ObjectIdGetDatum(ident->role);
	null[E_SCOPE] = !ident->has_scope;
	if (ident->has_scope)
		v[E_SCOPE] = bytes_datum(ident->scope, ident->scope_len);
	v[E_KEY] = bytes_datum(ident->key, ident->key_len);
	v[E_XID] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	v[E_SEEN] = new->seen;
	v[E_DEPS] = PointerGetDatum(construct_array(elems, ndeps, INT8OID, 8,
												FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	v[E_MANUAL] = BoolGetDatum(entry->manual);
	v[E_TYPE] = ObjectIdGetDatum(entry->type);
	v[E_TYPHASH] = Int64GetDatum((int64) entry->typhash);
	null[E_LOADER] = !entry->has_loader;
	v[E_LOADER] = Int64GetDatum((int64) entry->loader);
	null[E_READS] = !(entry->reads && entry->reads->known);
	if (!null[E_READS])
		v[E_READS] = write_reads(entry->reads);
	v[E_ROLES] = Int64GetDatum((int64) (null[E_READS]
										? cx_tier_role(ident->role) : new->roles));
	v[E_CREATED] = TimestampTzGetDatum(entry->created);
	v[E_EXPIRES] = TimestampTzGetDatum(entry->expires);
	v[E_STALE_MS] = Int32GetDatum((int32) entry->stale_ms);
	v[E_STALE_BY_ROW] = BoolGetDatum(entry->stale_by_row);
	v[E_COST] = Float8GetDatum(entry->cost_us);
	null[E_TAGS] = entry->ntags == 0;
	if (entry->ntags > 0)
		v[E_TAGS] = tags_datum(entry);
	null[E_METADATA] = entry->metadata == NULL;
	if (entry->metadata)
		v[E_METADATA] = bytes_datum(entry->metadata, entry->metadata_len);
	null[E_VALUE] = entry->isnull;
	if (!entry->isnull)
		v[E_VALUE] = bytes_datum(entry->value, entry->value_len);
	v[E_CHECKSUM] = Int64GetDatum((int64) cx_tier_checksum(entry));
	insert(tier, tier->entries, &tier->entries_state, v, null);
}

/*
 * Records that the current transaction has invalidated a dependency; late:
 * after it has stored its puts.
 */
void
cx_tier_record(CxTier *tier, uint64 dep, const char *pattern, bool late)
{
	Datum		v[R_NCOLS + 1];
	bool		null[R_NCOLS + 1] = {0};

	v[R_DEP] = Int64GetDatum((int64) dep);
	v[R_XID] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	v[R_LATE] = BoolGetDatum(late);
	null[R_PATTERN] = pattern == NULL;
	if (pattern)
		v[R_PATTERN] = CStringGetTextDatum(pattern);
	insert(tier, tier->records, &tier->records_state, v, null);
}

/* Deletes a row, unless somebody else does or has. Does not wait. */
void
cx_tier_delete(Relation rel, ItemPointer tid)
{
	TM_FailureData failure;

	(void) heap_delete(rel, tid, GetCurrentCommandId(true), InvalidSnapshot,
					   false, &failure, false);
}

/*
 * Deletes the rows of an identity that a snapshot sees; fills: only what
 * loaders have returned.  Before a newer row is inserted that makes them
 * dead this keeps them few.
 */
void
cx_tier_delete_older(CxTier *tier, Snapshot snapshot, uint64 stable_ident,
					 bool fills)
{
	TupleDesc	desc = RelationGetDescr(tier->entries);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;

	/* reading here would be a conflict with others who do the same */
	if (IsolationIsSerializable())
		return;
	ScanKeyInit(&key, E_IDENT, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum((int64) stable_ident));
	scan = systable_beginscan(tier->entries, tier->entries_index, true,
							  snapshot, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (!fills ||
			!DatumGetBool(heap_getattr(tuple, E_MANUAL, desc, &isnull)))
			cx_tier_delete(tier->entries, &tuple->t_self);
	}
	systable_endscan(scan);
}
