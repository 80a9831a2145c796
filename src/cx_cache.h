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

/*
 * What an atomic change, or a loader whose result is staged, started from.  At the commit another generation than
 * gen under the identity, or a dependency that moved after check_gen, beats
 * the change: the identity is then empty.
 */
typedef struct CxBase
{
	uint64		gen;			/* or CX_BASE_ANY, CX_BASE_ABSENT */
	uint64		check_gen;		/* 0 = nothing beats it */
	uint8		frequency;		/* of the entry that it replaces */
	struct CxTierBase *tier;	/* where the cache has a table, or NULL */
} CxBase;

typedef enum CxFilled
{
	CX_FILLED,
	CX_FILL_REFUSED,			/* this time */
	CX_FILL_IMPOSSIBLE			/* too large, or no memory */
} CxFilled;

/* Questions and fills: cx_cache.c */
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

/* Changes of the current transaction: cx_change.c */
extern CxStatus cx_cache_base(CxAsk *ask, CxHit *hit, CxBase *base);
extern bool cx_cache_stage(CxAsk *ask, CxNewEntry *entry, const CxBase *base);
extern CxFilled cx_cache_stage_loaded(CxAsk *ask, CxNewEntry *entry,
									  uint64 gen, uint8 frequency);
extern void cx_cache_stage_nowhere(const CxAsk *ask);
extern void cx_cache_stage_removal(CxAsk *ask, const CxBase *base);
extern void cx_cache_invalidate_key(CxCache *cache, const char *key, Size len);
extern void cx_cache_invalidate_scoped(CxAsk *ask);
extern void cx_cache_blame(Oid rel, char command);
extern void cx_cache_invalidate_tag(const char *tag, Size len);
extern void cx_cache_clear_scope(CxCache *cache, const char *scope, Size len);
extern void cx_cache_clear(CxCache *cache);
extern void cx_cache_clear_stored(const char *name);
extern uint64 cx_cache_invalidate_like(CxCache *cache, const char *pattern);
extern void cx_cache_table_written(Oid rel, char command);
extern void cx_cache_invalidate_table(Oid rel);
extern void cx_cache_row_changed(CxOpKind kind, int64 id,
								 const CxLimits *limits, bool keep);

extern void cx_cache_database_dropped(Oid db);

/* Called by cx_xact */
extern void cx_cache_before_commit(bool prepare);
extern void cx_cache_after_commit(void);
extern void cx_cache_after_locks(void);
extern void cx_cache_after_prepare(void);
extern void cx_cache_after_abort(void);
extern void cx_cache_cut(uint32 n);

/* Background: cx_reclaim.c */
extern bool cx_cache_sweep(TimestampTz now);
extern TimestampTz cx_cache_next_due(void);
extern void cx_cache_role_created(Oid role);

#endif							/* CX_CACHE_H */
