/*
 * cx_tier_table.h
 *	  The tables behind caches with persist => 'table': rows and records.
 */
#ifndef CX_TIER_TABLE_H
#define CX_TIER_TABLE_H

#include "access/htup.h"
#include "catalog/indexing.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "cx_catalog.h"
#include "cx_entry.h"

/* Identity, cache, pattern, key, key in scope, scope, tags, relations */
#define CX_TIER_MAX_DEPS (7 + CX_MAX_TAGS + CX_MAX_RELATIONS)

/* The tables, open. */
typedef struct CxTier
{
	LOCKMODE	mode;
	MemoryContext context;		/* in which they were opened */
	Relation	entries;
	Relation	records;
	Oid			entries_index;
	Oid			records_index;
	CatalogIndexState entries_state;	/* for inserts, made when needed */
	CatalogIndexState records_state;
} CxTier;

/* A row, in the memory context of who asked for it. */
typedef struct CxTierRow
{
	int64		cache;			/* id of the cache */
	Oid			role;
	const char *scope;			/* NULL: none */
	Size		scope_len;
	const char *key;
	Size		key_len;
	uint64		xid;			/* of who wrote it */
	Datum		seen;			/* pg_snapshot whose value it is */
	int			ndeps;
	int			nrels;			/* the last of them are relations */
	uint64		deps[CX_TIER_MAX_DEPS];
	uint64		roles;			/* as cx_tier_roles said; of a put without
								 * reads: cx_tier_role */
	uint64		version;		/* no generation; the same as long as it is
								 * the same row */
	CxReads		reads;
	CxNewEntry	entry;			/* its tag_id are not set */
} CxTierRow;

extern bool cx_tier_open(CxTier *tier, LOCKMODE mode, bool wait);
extern void cx_tier_close(CxTier *tier);

extern bool cx_tier_get(CxTier *tier, Snapshot snapshot, int64 cache,
						uint64 stable, const CxIdent *ident,
						bool (*accept) (const CxTierRow *row, void *arg),
						void *arg, CxTierRow *row);
extern uint64 cx_tier_checksum(const CxNewEntry *entry);
extern bool cx_tier_read(CxTier *tier, HeapTuple tuple, CxTierRow *row);
extern bool cx_tier_is_dead(CxTier *tier, Snapshot snapshot,
							const CxTierRow *row);
extern uint64 cx_tier_record_xid(CxTier *tier, HeapTuple tuple);

#endif							/* CX_TIER_TABLE_H */
