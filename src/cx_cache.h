/*
 * cx_cache.h
 *	  The engine: the only way from the adapters to the store.
 */
#ifndef CX_CACHE_H
#define CX_CACHE_H

#include "cx_counters.h"
#include "cx_current.h"
#include "cx_store.h"

typedef enum CxStatus
{
	CX_MISS,					/* nothing there */
	CX_HIT,
	CX_NEGATIVE,				/* there, and SQL NULL */
	CX_STALE,					/* there, not fresh, and the caller allows it */
	CX_DEAD						/* something is there that may not be served */
} CxStatus;

/* Whether a look-up has found what the caller gets. */
static inline bool
cx_cache_is_served(CxStatus status)
{
	return status == CX_HIT || status == CX_NEGATIVE || status == CX_STALE;
}

typedef enum CxFilled
{
	CX_FILLED,
	CX_FILL_REFUSED,			/* this time */
	CX_FILL_IMPOSSIBLE			/* too large, or no memory */
} CxFilled;

extern void cx_cache_ask(CxAsk *ask, CxCache *cache, const char *key,
						 Size key_len, const char *scope, Size scope_len);
extern CxStatus cx_cache_lookup(CxAsk *ask, bool whole, CxHit *hit);
extern bool cx_cache_serves_exact(void);
extern int64 cx_cache_may_be_stale(const CxAsk *ask, uint32 stale_ms,
								   bool by_row);
extern uint64 cx_cache_absent_version(void);
extern uint64 cx_cache_begin_fill(bool exact);
extern CxCounter cx_cache_objection(const CxAsk *ask, const CxNewEntry *entry,
									uint64 gen, bool staged);
extern CxFilled cx_cache_fill(CxAsk *ask, CxNewEntry *entry, uint64 gen,
							  uint8 frequency);
extern void cx_cache_discard(const CxAsk *ask, uint64 gen);

#endif							/* CX_CACHE_H */
