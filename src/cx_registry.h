/*
 * cx_registry.h
 *	  The caches that occupy shared memory, by number.
 *
 * The rows of cachex.cache_definition say which caches exist; a cache takes a
 * number here when it is used for the first time since the server started.
 */
#ifndef CX_REGISTRY_H
#define CX_REGISTRY_H

#include "datatype/timestamp.h"
#include "port/atomics.h"

typedef enum CxCacheState
{
	CX_CACHE_FREE,
	CX_CACHE_USED,
	CX_CACHE_DROPPED			/* its entries are being reclaimed */
} CxCacheState;

/* What the committed row of a cache says */
#define CX_ROW_KEEP		0x01	/* entries outlive a clean restart */
#define CX_ROW_SCOPES	0x02	/* scopes are limited: entries are in them */

typedef struct CxSharedCache
{
	CxCacheState state;
	Oid			db;
	int64		id;				/* of the row that defines it */
	uint64		uid;			/* never used twice; 0 = free */
	NameData	name;
	pg_atomic_uint64 gen;		/* moves when the cache is cleared */
	pg_atomic_uint32 reclaim;	/* the sweeper has dead entries to take */
	pg_atomic_uint64 row;		/* CX_ROW_..., and as of which generation */
	pg_atomic_uint32 warmers;	/* runs are expected after a clear */
	pg_atomic_uint64 warmed;	/* see cx_warmth.c */
	TimestampTz stats_reset;
	TimestampTz last_sweep;		/* 0 = never */
	TimestampTz last_warm;
} CxSharedCache;

/* Whether it is one of those that everybody may change. */
static inline bool
cx_registry_is_public(int64 id)
{
	return id < 0;
}

/* Whether the row of a cache says so. */
static inline bool
cx_registry_says(CxSharedCache *cache, uint64 what)
{
	return (pg_atomic_read_u64(&cache->row) & what) != 0;
}

extern int	cx_registry_count(Size budget);
extern Size cx_registry_size(int ncaches);
extern void cx_registry_init(void *memory, int ncaches);
extern int	cx_registry_capacity(void);
extern CxSharedCache *cx_registry_get(int number);
extern uint64 cx_registry_pack(int number);
extern CxSharedCache *cx_registry_unpack(uint64 packed);
extern int	cx_registry_register(Oid db, int64 id, const char *name,
								 TimestampTz now, uint64 *uid);
extern int	cx_registry_restore(Oid db, int64 id, const char *name,
								TimestampTz now, uint64 uid);
extern void cx_registry_restore_last(uint64 uid);
extern uint64 cx_registry_last_uid(void);
extern uint64 cx_registry_changes(void);
extern void cx_registry_note_role(Oid role);
extern Oid	cx_registry_last_role(void);
extern int	cx_registry_find(Oid db, int64 id);
extern void cx_registry_set_row(int number, uint64 as_of, uint64 says);
extern void cx_registry_drop(int number, uint64 gen);
extern void cx_registry_drop_database(Oid db, uint64 gen);
extern void cx_registry_release(int number);

#endif							/* CX_REGISTRY_H */
