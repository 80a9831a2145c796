/*
 * cx_snapshot_format.h
 *	  What is in the file: a header, caches, entries.
 *
 * Each is written as it lies in memory; sizes and the format's number are in
 * front, so that another build's file is known before anything else is read.
 */
#ifndef CX_SNAPSHOT_FORMAT_H
#define CX_SNAPSHOT_FORMAT_H

#include "datatype/timestamp.h"

#include "cx_snapshot_state.h"

/*
 * To be changed with whatever changes the bytes of an entry, what its slot
 * means, how anything is hashed, or what may be kept at all.
 */
#define CX_SNAPSHOT_FORMAT 3

#define CX_SNAPSHOT_PATH	"pg_stat/cachex.snapshot"
#define CX_SNAPSHOT_CACHES	1024	/* at most */

typedef struct CxSnapshotHeader
{
	uint32		format;			/* CX_SNAPSHOT_FORMAT */
	uint32		sizes;			/* CX_SNAPSHOT_SIZES */
	CxServerState state;
	uint64		seed;			/* all hashes depend on it */
	uint64		last_gen;		/* no entry has a later generation */
	uint64		last_uid;		/* no cache has a greater one */
	uint64		nentries;
	uint32		ncaches;
	uint32		unused;
} CxSnapshotHeader;

typedef struct CxSnapshotCache
{
	Oid			db;
	uint32		unused;
	int64		id;
	uint64		uid;
	NameData	name;
} CxSnapshotCache;

/* What a slot says; the bytes of the entry follow. */
typedef struct CxSnapshotEntry
{
	uint32		len;
	uint32		hash;
	uint64		gen;
	TimestampTz expires;
	double		priority;		/* beyond the inflation of then */
	float		weight;
	uint16		cache;			/* place among the caches of the file */
	uint8		class;
	uint8		frequency;
	uint8		hits;
	uint8		unused[7];
} CxSnapshotEntry;

#define CX_SNAPSHOT_SIZES \
	((uint32) (sizeof(CxSnapshotHeader) << 20 | sizeof(CxSnapshotCache) << 8 | \
			   sizeof(CxSnapshotEntry)))

#endif							/* CX_SNAPSHOT_FORMAT_H */
