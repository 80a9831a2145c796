/*
 * cx_tier_table.c
 *	  Reads the rows of stored entries and the records of what was invalidated,
 *	  and says which rows are still right.
 *
 * Rows and records are only ever inserted and deleted, so nobody who writes
 * one waits for a row of somebody else, or fails because of one.
 *
 * Why a row that is not dead may be served.  A row holds a snapshot F, with
 * which its value agrees: it is what the cache would have answered under F.
 * Each transaction that invalidates inserts a record for each dependency that it
 * names, and a put one for its identity, so a record is visible to just those
 * snapshots that see the invalidation.  A row is dead for a snapshot S if S sees a
 * record for one of the row's dependencies whose transaction F does not see.
 * If there is none, all invalidations that S sees F has seen; and S sees what
 * F saw, since it sees the transaction that wrote the row, which took F before
 * it completed.  So the value is right for S.  No order of commits is needed,
 * no number that grows, nothing that a restart could lose; a prepared
 * transaction's records appear with its COMMIT PREPARED.
 * What a transaction invalidated before its own put is no objection (the same
 * xid); what it put and then invalidated it does not store.
 * What happens to the shape of a relation is not MVCC-safe and counts at once:
 * these records are looked for under a snapshot of now as well.
 *
 * A record may go when every row that it makes dead has been deleted by a
 * transaction that completed before, and no row can come whose F misses it:
 * when its xid is older than the horizon of vacuum, and F is held back by a
 * registered snapshot until the row's transaction has ended (cx_tier_write,
 * cx_tier_visit).
 *
 * Locking: none of cachex's.  Readers lock the tables only if that is possible
 * at once, and release them; writers keep RowExclusiveLock.
 *
 * Not done here: writing rows and records (cx_tier_insert.c), and when
 * (cx_tier_write.c, cx_tier_visit.c); who may have a row (cx_tier.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "cx_compat.h"
#include "cx_like.h"
#include "cx_tier_columns.h"
#include "cx_tier_table.h"

/* ---- opening ---- */

static Relation
lock_and_open(Oid table, LOCKMODE mode, bool wait)
{
	Relation	rel;

	if (!OidIsValid(table))
		return NULL;
	if (wait)
		LockRelationOid(table, mode);
	else if (!ConditionalLockRelationOid(table, mode))
		return NULL;
	rel = try_relation_open(table, NoLock);
	if (rel == NULL)
		UnlockRelationOid(table, mode);
	return rel;
}

/* An index that can be scanned without waiting; its lock is kept. */
static Oid
lock_index(const char *name, Oid schema, LOCKMODE mode, bool wait)
{
	Oid			index = get_relname_relid(name, schema);

	if (!OidIsValid(index))
		return InvalidOid;
	if (wait)
		LockRelationOid(index, mode);
	else if (!ConditionalLockRelationOid(index, mode))
		return InvalidOid;
	return index;
}

/*
 * Opens the tables.  false: they are not there, or are those of another
 * version; or (not wait) somebody has locked them.
 */
bool
cx_tier_open(CxTier *tier, LOCKMODE mode, bool wait)
{
	Oid			schema;

	memset(tier, 0, sizeof(CxTier));
	tier->mode = mode;
	tier->context = CurrentMemoryContext;
	tier->entries = lock_and_open(cx_catalog_table("stored_entry"), mode, wait);
	if (tier->entries == NULL)
		return false;
	tier->records = lock_and_open(cx_catalog_table("stored_invalidation"),
								  mode, wait);
	schema = RelationGetNamespace(tier->entries);
	if (tier->records)
		tier->entries_index = lock_index("stored_entry_ident", schema,
										 AccessShareLock, wait);
	if (OidIsValid(tier->entries_index))
		tier->records_index = lock_index("stored_invalidation_dep", schema,
										 AccessShareLock, wait);
	if (OidIsValid(tier->records_index) &&
		RelationGetDescr(tier->entries)->natts == E_NCOLS &&
		RelationGetDescr(tier->records)->natts == R_NCOLS)
		return true;
	cx_tier_close(tier);
	return false;
}

/* Closes them; only readers release the locks. */
void
cx_tier_close(CxTier *tier)
{
	bool		release = tier->mode == AccessShareLock;

	if (tier->entries_state)
		CatalogCloseIndexes(tier->entries_state);
	if (tier->records_state)
		CatalogCloseIndexes(tier->records_state);
	if (OidIsValid(tier->records_index))
		UnlockRelationOid(tier->records_index, AccessShareLock);
	if (OidIsValid(tier->entries_index))
		UnlockRelationOid(tier->entries_index, AccessShareLock);
	if (tier->records)
		relation_close(tier->records, release ? AccessShareLock : NoLock);
	if (tier->entries)
		relation_close(tier->entries, release ? AccessShareLock : NoLock);
}

static bool
sees(Datum snapshot, uint64 xid)
{
	return DatumGetBool(DirectFunctionCall2(pg_visible_in_snapshot,
											FullTransactionIdGetDatum(FullTransactionIdFromU64(xid)),
											snapshot));
}

/* ---- rows ---- */

/* Returns false for what cx_tier_insert.c cannot have written. */
static bool
read_reads(Datum datum, CxReads *reads)
{
	bytea	   *bytes = DatumGetByteaPP(datum);
	const char *p = VARDATA_ANY(bytes);
	Size		len = VARSIZE_ANY_EXHDR(bytes);
	CxStoredReads stored;
	Size		nrels;

	if (len < sizeof(stored))
		return false;
	memcpy(&stored, p, sizeof(stored));
	nrels = (Size) stored.nread + stored.nabove;
	if (stored.exact > 1 || nrels > CX_MAX_RELATIONS ||
		stored.settings_len > CX_MAX_SETTINGS ||
		len != sizeof(stored) + stored.settings_len + nrels * sizeof(Oid))
		return false;
	reads->known = true;
	reads->exact = stored.exact == 1;
	reads->nread = stored.nread;
	reads->nabove = stored.nabove;
	reads->settings_len = stored.settings_len;
	reads->settings_hash = stored.settings_hash;
	memcpy(reads->settings, p + sizeof(stored), stored.settings_len);
	memcpy(reads->rel, p + sizeof(stored) + stored.settings_len,
		   nrels * sizeof(Oid));
	return stored.settings_len == 0 ? stored.settings_hash == 0
		: reads->settings[stored.settings_len - 1] == '\0';
}

static bool
read_deps(Datum datum, CxTierRow *row)
{
	ArrayType  *array = DatumGetArrayTypeP(datum);
	int			n = ARR_NDIM(array) == 1 ? ARR_DIMS(array)[0] : 0;

	row->nrels = row->reads.known ? row->reads.nread + row->reads.nabove + 1 : 0;
	if (ARR_HASNULL(array) || ARR_ELEMTYPE(array) != INT8OID || n < 4 ||
		n > CX_TIER_MAX_DEPS || n < row->nrels)
		return false;
	row->ndeps = n;
	memcpy(row->deps, ARR_DATA_PTR(array), n * sizeof(uint64));
	return true;
}

static uint64
hash_part(const void *bytes, Size len, uint64 seed)
{
	return hash_bytes_extended(bytes, (int) len, cx_key_mix(seed + len));
}

/* The texts of tags lie one behind the other, a length byte before each. */
static bool
read_tags(Datum datum, CxNewEntry *entry)
{
	Datum	   *elems;
	bool	   *nulls;
	int			n;
	char	   *p;

	deconstruct_array(DatumGetArrayTypeP(datum), TEXTOID, -1, false,
					  TYPALIGN_INT, &elems, &nulls, &n);
	if (n > CX_MAX_TAGS)
		return false;
	p = palloc(Max(n, 1) * (1 + CX_MAX_TAG));
	for (int i = 0; i < n; i++)
	{
		text	   *tag = nulls[i] ? NULL : DatumGetTextPP(elems[i]);

		if (tag == NULL || VARSIZE_ANY_EXHDR(tag) > CX_MAX_TAG)
			return false;
		entry->tag_len[i] = (uint8) VARSIZE_ANY_EXHDR(tag);
		*p++ = (char) entry->tag_len[i];
		entry->tag[i] = memcpy(p, VARDATA_ANY(tag), entry->tag_len[i]);
		p += entry->tag_len[i];
	}
	entry->ntags = n;
	return true;
}

static const char *
read_bytes(Datum datum, Size *len)
{
	struct varlena *bytes = PG_DETOAST_DATUM_COPY(datum);

	*len = VARSIZE(bytes) - VARHDRSZ;
	return VARDATA(bytes);
}

/*
 * A hash of what an entry is decoded by: bytes that have been damaged could
 * not be told from a value of their type, nor be read safely.
 */
uint64
cx_tier_checksum(const CxNewEntry *entry)
{
	uint64		loader = entry->has_loader ? entry->loader : 0;
	uint64		fixed[] = {entry->type, entry->typhash, loader,
	entry->isnull, entry->manual, entry->has_loader};
	uint64		h = hash_part(fixed, sizeof(fixed), 0);

	if (entry->reads && entry->reads->known)
	{
		const CxReads *reads = entry->reads;

		h = hash_part(reads->rel,
					  (reads->nread + reads->nabove) * sizeof(Oid), h);
		if (reads->settings_len > 0)
			h = hash_part(reads->settings, reads->settings_len,
						  h + reads->settings_hash);
		h = cx_key_mix(h + reads->nread * 2 + reads->exact);
	}
	for (int i = 0; i < entry->ntags; i++)
		h = hash_part(entry->tag[i], entry->tag_len[i], h);
	if (entry->metadata)
		h = hash_part(entry->metadata, entry->metadata_len, h);
	return entry->isnull ? h : hash_part(entry->value, entry->value_len, h);
}

/*
 * Reads a row into the current memory context.  false: it is not one that this
 * library has written.
 */
bool
cx_tier_read(CxTier *tier, HeapTuple tuple, CxTierRow *row)
{
	Datum		v[E_NCOLS + 1];
	bool		null[E_NCOLS + 1];
	CxNewEntry *entry = &row->entry;
	Size		len;

	heap_deform_tuple(tuple, RelationGetDescr(tier->entries), v + 1, null + 1);
	memset(entry, 0, offsetof(CxNewEntry, tag_id));
	entry->metadata = NULL;
	entry->metadata_len = 0;
	entry->value = NULL;
	entry->value_len = 0;
	row->cache = DatumGetInt64(v[E_CACHE]);
	row->role = DatumGetObjectId(v[E_ROLE]);
	row->key = read_bytes(v[E_KEY], &row->key_len);
	row->scope = NULL;
	row->scope_len = 0;
	if (!null[E_SCOPE])
		row->scope = read_bytes(v[E_SCOPE], &row->scope_len);
	row->xid = U64FromFullTransactionId(DatumGetFullTransactionId(v[E_XID]));
	row->seen = PointerGetDatum(PG_DETOAST_DATUM_COPY(v[E_SEEN]));
	row->roles = (uint64) DatumGetInt64(v[E_ROLES]);
	entry->isnull = null[E_VALUE];
	entry->manual = DatumGetBool(v[E_MANUAL]);
	entry->has_loader = !null[E_LOADER];
	entry->loader = null[E_LOADER] ? 0 : (uint64) DatumGetInt64(v[E_LOADER]);
	entry->type = DatumGetObjectId(v[E_TYPE]);
	entry->typhash = (uint32) DatumGetInt64(v[E_TYPHASH]);
	entry->created = DatumGetTimestampTz(v[E_CREATED]);
	entry->expires = DatumGetTimestampTz(v[E_EXPIRES]);
	entry->stale_ms = (uint32) DatumGetInt32(v[E_STALE_MS]);
	entry->stale_by_row = DatumGetBool(v[E_STALE_BY_ROW]);
	entry->cost_us = DatumGetFloat8(v[E_COST]);
	row->version = (UINT64CONST(1) << 62) |
		(cx_key_mix(row->xid + (uint64) entry->created) >> 3);
	row->reads.known = false;
	if (!null[E_READS])
	{
		if (!read_reads(v[E_READS], &row->reads))
			return false;
		entry->reads = &row->reads;
	}
	if (!read_deps(v[E_DEPS], row) ||
		(!null[E_TAGS] && !read_tags(v[E_TAGS], entry)))
		return false;
	if (!null[E_METADATA])
	{
		entry->metadata = read_bytes(v[E_METADATA], &len);
		entry->metadata_len = (uint32) len;
	}
	if (!null[E_VALUE])
		entry->value = read_bytes(v[E_VALUE], &entry->value_len);
	return cx_tier_checksum(entry) == (uint64) DatumGetInt64(v[E_CHECKSUM]);
}

static bool
is_of(const CxTierRow *row, int64 cache, const CxIdent *ident)
{
	return row->cache == cache && row->role == ident->role &&
		(row->scope != NULL) == ident->has_scope &&
		row->scope_len == ident->scope_len &&
		row->key_len == ident->key_len &&
		memcmp(row->key, ident->key, ident->key_len) == 0 &&
		(row->scope == NULL ||
		 memcmp(row->scope, ident->scope, ident->scope_len) == 0);
}

/*
 * The newest row of an identity that a snapshot sees, that is not dead for it
 * and that is accepted.  In the current memory context.
 */
bool
cx_tier_get(CxTier *tier, Snapshot snapshot, int64 cache, uint64 stable,
			const CxIdent *ident,
			bool (*accept) (const CxTierRow *row, void *arg), void *arg,
			CxTierRow *row)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	CxTierRow  *one = palloc(sizeof(CxTierRow));
	bool		found = false;

	ScanKeyInit(&key, E_IDENT, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum((int64) cx_key_stable_ident(stable, ident)));
	scan = systable_beginscan(tier->entries, tier->entries_index, true,
							  snapshot, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (!cx_tier_read(tier, tuple, one) || !is_of(one, cache, ident) ||
			(found && one->entry.created <= row->entry.created) ||
			!accept(one, arg) || cx_tier_is_dead(tier, snapshot, one))
			continue;
		*row = *one;
		if (row->entry.reads)
			row->entry.reads = &row->reads;
		found = true;
	}
	systable_endscan(scan);
	pfree(one);
	return found;
}

/* ---- records ---- */

/* Whether a record makes a row dead. */
static bool
record_kills(CxTier *tier, HeapTuple tuple, const CxTierRow *row)
{
	Datum		v[R_NCOLS + 1];
	bool		null[R_NCOLS + 1];
	uint64		xid;
	text	   *pattern;

	heap_deform_tuple(tuple, RelationGetDescr(tier->records), v + 1, null + 1);
	xid = U64FromFullTransactionId(DatumGetFullTransactionId(v[R_XID]));
	if (xid == row->xid ? !DatumGetBool(v[R_LATE]) : sees(row->seen, xid))
		return false;
	if (null[R_PATTERN])
		return true;
	pattern = DatumGetTextPP(v[R_PATTERN]);
	return cx_like_match(row->key, row->key_len, VARDATA_ANY(pattern),
						 VARSIZE_ANY_EXHDR(pattern));
}

static bool
dep_kills(CxTier *tier, Snapshot snapshot, uint64 dep, const CxTierRow *row)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		killed = false;

	ScanKeyInit(&key, R_DEP, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum((int64) dep));
	scan = systable_beginscan(tier->records, tier->records_index, true,
							  snapshot, 1, &key);
	while (!killed && HeapTupleIsValid(tuple = systable_getnext(scan)))
		killed = record_kills(tier, tuple, row);
	systable_endscan(scan);
	return killed;
}

/* Whether a row that the snapshot sees must not be served to it. */
bool
cx_tier_is_dead(CxTier *tier, Snapshot snapshot, const CxTierRow *row)
{
	bool		dead = false;
	Snapshot	now;

	for (int i = 0; i < row->ndeps; i++)
	{
		if (dep_kills(tier, snapshot, row->deps[i], row))
			return true;
	}
	if (row->nrels == 0)
		return false;
	/* a fresh one, to be had within a parallel query as well */
	now = RegisterSnapshot(GetCatalogSnapshot(RelationGetRelid(tier->records)));
	for (int i = row->ndeps - row->nrels; i < row->ndeps && !dead; i++)
		dead = dep_kills(tier, now, row->deps[i], row);
	UnregisterSnapshot(now);
	return dead;
}

/* The transaction of a record. */
uint64
cx_tier_record_xid(CxTier *tier, HeapTuple tuple)
{
	bool		isnull;

	return U64FromFullTransactionId(DatumGetFullTransactionId(heap_getattr(tuple, R_XID,
																		   RelationGetDescr(tier->records),
																		   &isnull)));
}
