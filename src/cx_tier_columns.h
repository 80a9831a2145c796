/*
 * cx_tier_columns.h
 *	  The columns of the tables of stored entries.
 */
#ifndef CX_TIER_COLUMNS_H
#define CX_TIER_COLUMNS_H

/* Columns of cachex.stored_entry, in order */
enum
{
	E_IDENT = 1,
	E_CACHE,
	E_ROLE,
	E_SCOPE,
	E_KEY,
	E_XID,
	E_SEEN,
	E_DEPS,
	E_MANUAL,
	E_TYPE,
	E_TYPHASH,
	E_LOADER,
	E_READS,
	E_ROLES,
	E_CREATED,
	E_EXPIRES,
	E_STALE_MS,
	E_STALE_BY_ROW,
	E_COST,
	E_TAGS,
	E_METADATA,
	E_VALUE,
	E_CHECKSUM,
	E_NCOLS = E_CHECKSUM
};

/* Columns of cachex.stored_invalidation, in order */
enum
{
	R_DEP = 1,
	R_XID,
	R_LATE,
	R_PATTERN,
	R_NCOLS = R_PATTERN
};

/* What was read, as bytes: this, then settings, then relations. */
typedef struct CxStoredReads
{
	uint64		settings_hash;
	uint16		exact;
	uint16		nread;
	uint16		nabove;
	uint16		settings_len;
} CxStoredReads;

#endif							/* CX_TIER_COLUMNS_H */
