/*
 * cx_change.h
 *	  What the current transaction does to the cache when it commits.
 */
#ifndef CX_CHANGE_H
#define CX_CHANGE_H

#include "cx_cache.h"
#include "cx_link.h"

/*
 * What an atomic change, or a loader whose result is staged, started from.  At
 * the commit another generation than gen under the identity, or a dependency
 * that moved after check_gen, beats the change: the identity is then empty.
 * check_gen is drawn before the snapshot of the look.
 */
typedef struct CxBase
{
	uint64		gen;			/* or CX_BASE_ANY, CX_BASE_ABSENT */
	uint64		check_gen;		/* 0 = nothing beats it */
	uint8		frequency;		/* of the entry that it replaces */
	struct CxTierBase *tier;	/* where the cache has a table, or NULL */
	uint64		reads_gen;		/* as check_gen, for the relations of the
								 * entry's reads */
} CxBase;

extern CxStatus cx_change_base(CxAsk *ask, CxHit *hit, CxBase *base);
extern bool cx_change_stage(CxAsk *ask, CxNewEntry *entry, const CxBase *base);
extern CxFilled cx_change_stage_loaded(CxAsk *ask, CxNewEntry *entry,
									   uint64 gen, uint8 frequency);
extern void cx_change_stage_nowhere(const CxAsk *ask);
extern void cx_change_stage_removal(CxAsk *ask, const CxBase *base);
extern void cx_change_invalidate_key(CxCache *cache, const char *key, Size len);
extern void cx_change_invalidate_scoped(CxAsk *ask);
extern void cx_change_invalidate_tag(const char *tag, Size len);
extern void cx_change_clear_scope(CxCache *cache, const char *scope, Size len);
extern void cx_change_clear(CxCache *cache);
extern void cx_change_clear_stored(const char *name);
extern uint64 cx_change_invalidate_like(CxCache *cache, const char *pattern);
extern void cx_change_table_written(Oid rel, char command);
extern void cx_change_invalidate_table(Oid rel);
extern void cx_change_row_changed(CxOpKind kind, int64 id,
								  const CxLimits *limits, bool keep);
extern void cx_change_database_dropped(Oid db);

/* Called by cx_xact */
extern void cx_change_before_commit(bool prepare);

#endif							/* CX_CHANGE_H */
