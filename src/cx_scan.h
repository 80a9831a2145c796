/*
 * cx_scan.h
 *	  A walk over the entries, bucket by bucket: others are held up for one
 *	  bucket at most.
 */
#ifndef CX_SCAN_H
#define CX_SCAN_H

#include "cx_store.h"

typedef struct CxScan CxScan;

/* A copy of an entry without its value. Valid until the next call. */
typedef struct CxScanned
{
	CxEntry		entry;
	uint16		cache;
	bool		staged;
	uint64		gen;
	TimestampTz expires;		/* no longer fresh */
	TimestampTz ends;			/* not even stale */
	double		cost_us;
	uint64		bytes;
	uint8		frequency;
	const char *scope;			/* not terminated, entry.scope_len bytes */
	const char *key;
	const uint64 *tag_id;
	const char *tags;			/* a length byte before each, tags_len bytes */
	const char *rels;			/* OIDs, not aligned: nread + nabove */
} CxScanned;

extern CxScan *cx_scan_begin(int cache);
extern bool cx_scan_next(CxScan *scan, CxScanned *entry);
extern Oid	cx_scan_relation(const CxScanned *entry, int n);
extern void cx_scan_one(const CxSlot *slot, CxScanned *entry);
extern void cx_scan_reads(const CxScanned *entry, CxReads *reads);
extern void cx_scan_end(CxScan *scan);
extern bool cx_scan_is_dead(const CxScanned *entry, uint64 cache_deps,
							TimestampTz now);

#endif							/* CX_SCAN_H */
