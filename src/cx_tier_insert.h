/*
 * cx_tier_insert.h
 *	  Writing to the tables of stored entries.
 */
#ifndef CX_TIER_INSERT_H
#define CX_TIER_INSERT_H

#include "cx_tier_table.h"

/* What is to be a row. */
typedef struct CxTierNew
{
	int64		cache;
	uint64		stable;			/* of the cache */
	CxIdent		ident;
	CxNewEntry	entry;
	uint64		roles;
	Datum		seen;
} CxTierNew;

extern Datum cx_tier_snapshot(void);
extern void cx_tier_insert(CxTier *tier, const CxTierNew *row);
extern void cx_tier_record(CxTier *tier, uint64 dep, const char *pattern,
						   bool late);
extern void cx_tier_delete(Relation rel, ItemPointer tid);
extern void cx_tier_delete_older(CxTier *tier, Snapshot snapshot,
								 uint64 stable_ident, bool fills);

#endif							/* CX_TIER_INSERT_H */
