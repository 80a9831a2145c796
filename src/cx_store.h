/*
 * cx_store.h
 *	  The table: from an identity to its slot.
 */
#ifndef CX_STORE_H
#define CX_STORE_H

#include "cx_deps.h"
#include "cx_entry.h"
#include "cx_policy.h"

#define CX_SMALL_VALUE 1024		/* bytes that are copied under the lock */

/* What a reader gets of an entry. Release it with cx_store_release. */
typedef struct CxHit
{
	CxEntry		entry;
	uint64		gen;
	TimestampTz expires;		/* no longer fresh */
	TimestampTz ends;			/* not even stale */
	TimestampTz stale_until;	/* for this caller; of cx_cache_lookup */
	double		cost_us;
	uint16		charge;			/* chunks */
	uint8		frequency;
	uint8		hits;
	bool		admitted;		/* the identity's writers admit the view */
	uint32		pinned;			/* slot that is held, or CX_NONE */
	uint64		tag_id[CX_MAX_TAGS];
	CxReads		reads;
	CxAccess	access;			/* if entry.has_access */
	char		small[CX_SMALL_VALUE];	/* the value, unless pinned */
	const CxNewEntry *copy;		/* all of an entry that is not in the store,
								 * or NULL */
} CxHit;

/* What an entry in its place takes over: cx_queues.c counts so as well. */
static inline uint8
cx_hit_frequency(const CxHit *hit)
{
	return (uint8) Min(CX_MAX_FREQUENCY, hit->frequency + hit->hits);
}

/* An entry to be put in the place of the one with its identity. */
typedef struct CxPublish
{
	CxDep		mark;			/* the writer's mark, resolved with it */
	uint64		xid;
	uint64		latest;
	uint32		slot;			/* staged slot, or CX_NONE: remove only */
	uint64		stage_gen;
	uint64		base_gen;		/* generation of the entry that the writer
								 * started from, or one of the below */
	uint64		gen;			/* what the entry's generation becomes */
	bool		publish;		/* false: the staged slot is given up */
} CxPublish;

#define CX_BASE_ANY		PG_UINT64_MAX	/* replace whatever there is */
#define CX_BASE_ABSENT	0		/* there was no entry, alive or dead */

typedef enum CxPublished
{
	CX_PUBLISHED,
	CX_PUBLISH_GONE,			/* evicted or expired before the commit */
	CX_PUBLISH_CONFLICT			/* another entry than the base was there */
} CxPublished;

extern uint32 cx_store_buckets(uint32 max_entries);
extern Size cx_store_size(uint32 nbuckets);
extern void cx_store_init(void *memory, uint32 nbuckets);

extern bool cx_store_find(const CxIdent *ident, bool whole,
						  const CxView *view, CxHit *hit);
extern bool cx_store_find_staged(const CxIdent *ident, uint32 slot,
								 uint64 stage_gen, bool whole, CxHit *hit);
extern int	cx_store_staged(uint64 id, uint32 slot, uint64 stage_gen,
							uint64 *tag_id, CxReads *reads);
extern void cx_store_value(const CxHit *hit, char *to);
extern void cx_store_release(CxHit *hit);
extern void cx_store_release_stale(void);
extern void cx_store_note(const CxIdent *ident, uint64 gen,
						  void (*set) (const CxSlot *, uint32), uint32 value);

typedef enum CxLinked
{
	CX_LINKED,
	CX_LINK_REFUSED,			/* evicted, forbidden, or a newer one is there */
	CX_LINK_NO_MEMORY			/* evict something and try again */
} CxLinked;

extern CxLinked cx_store_fill(const CxIdent *ident, uint32 slot,
							  const CxView *view, CxDep fills);
extern CxLinked cx_store_stage(uint64 id, uint32 slot);
extern CxPublished cx_store_publish(uint64 id, const CxPublish *p);
extern bool cx_store_unstage(uint64 id, uint32 slot, uint64 stage_gen);
extern void cx_store_drop(const CxVictims *victims);
extern void cx_store_drop_one(uint32 slot);
extern bool cx_store_restore(uint64 id, uint32 slot);
extern void cx_store_remove_dead(const CxIdent *ident, uint64 gen);

/* Called for every entry of a bucket, its partition locked: no error, no
 * allocation, no other lock. */
typedef void (*CxScanCallback) (const CxSlot *slot, void *arg);
extern uint32 cx_store_nbuckets(void);
extern uint32 cx_store_bucket(uint64 id);
extern void cx_store_scan(uint32 bucket, CxScanCallback callback, void *arg);
extern uint32 cx_store_granules(uint32 bucket);

#endif							/* CX_STORE_H */
