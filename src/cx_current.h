/*
 * cx_current.h
 *	  What a caller asks, and whether what an entry depends on has moved since.
 */
#ifndef CX_CURRENT_H
#define CX_CURRENT_H

#include "cx_catalog.h"
#include "cx_hidden.h"
#include "cx_pending.h"
#include "cx_reads.h"

/* A caller's question: who it is and what it sees. */
typedef struct CxAsk
{
	CxCache    *cache;
	CxIdent		ident;
	CxView		view;
	uint8		may;			/* CX_MAY_...: what the caller may do */
	bool		usable;			/* false: neither read nor fill */
	bool		background;		/* for a table: settings are compared later */
	TimestampTz now;
	int64		stale_us;		/* how stale a value may be: 0 = fresh only */
} CxAsk;

#define CX_STALE_AS_DEFINED (-1)	/* as the cache, or the loader's row, says */

extern CX_HIDDEN bool cx_current_admits(const CxAsk *ask, int ntags,
										const uint64 *tag_id,
										const CxReads *reads);
extern CX_HIDDEN bool cx_current_moved_since(const CxAsk *ask, uint64 gen,
											 int ntags, const uint64 *tag_id,
											 const CxReads *reads);
extern CX_HIDDEN bool cx_current_own_moved_after(const CxAsk *ask, uint32 n,
												 int ntags,
												 const uint64 *tag_id);
extern bool cx_current_patterns_since(const CxAsk *ask, uint64 gen);

/* Whether this transaction has invalidated a dependency. */
static inline bool
cx_current_own_moved(const CxAsk *ask, int ntags, const uint64 *tag_id)
{
	return cx_pending_any &&
		cx_current_own_moved_after(ask, CX_OP_NONE, ntags, tag_id);
}

#endif							/* CX_CURRENT_H */
