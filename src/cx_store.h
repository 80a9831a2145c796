/*
 * cx_store.h
 *	  Finding and reading entries.
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

#endif							/* CX_STORE_H */
