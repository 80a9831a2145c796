/*
 * cx_link.h
 *	  Putting entries into the table, and taking them off it.
 */
#ifndef CX_LINK_H
#define CX_LINK_H

#include "cx_deps.h"
#include "cx_entry.h"
#include "cx_policy.h"

/* An entry to be put in the place of the one with its identity. */
typedef struct CxPublish
{
	CxDep		mark;			/* the writer's mark, resolved with it */
	uint64		xid;
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

typedef enum CxLinked
{
	CX_LINKED,
	CX_LINK_REFUSED,			/* evicted, forbidden, or a newer one is there */
	CX_LINK_NO_MEMORY			/* evict something and try again */
} CxLinked;

extern CxLinked cx_link_fill(const CxIdent *ident, uint32 slot,
							 const CxView *view, CxDep fills);
extern CxLinked cx_link_stage(uint64 id, uint32 slot);
extern CxPublished cx_link_publish(uint64 id, const CxPublish *p);
extern bool cx_link_unstage(uint64 id, uint32 slot, uint64 stage_gen);
extern void cx_link_drop(const CxVictims *victims);
extern void cx_link_drop_one(uint32 slot);
extern bool cx_link_restore(uint64 id, uint32 slot);
extern void cx_link_remove_dead(const CxIdent *ident, uint64 gen);

#endif							/* CX_LINK_H */
