/*
 * cx_tier_write.h
 *	  What a transaction does to the tables of stored entries.
 */
#ifndef CX_TIER_WRITE_H
#define CX_TIER_WRITE_H

#include "cx_cache.h"
#include "cx_tier_insert.h"

/* What an atomic change has started from; in TopTransactionContext */
typedef struct CxTierBase
{
	Datum		seen;			/* the snapshot under which it looked */
	uint64		xmin;			/* of that */
	uint64		roles;
} CxTierBase;

/* When a change is staged */
extern CxTierBase *cx_tier_base(const CxAsk *ask);
extern CxTierNew *cx_tier_keep(const CxAsk *ask, const CxNewEntry *entry);
extern void cx_tier_forget(CxTierNew *kept);
extern const CxTierNew *cx_tier_own(const CxAsk *ask, bool *is_own);
extern void cx_tier_discard(const CxAsk *ask);
extern void cx_tier_define(void);
extern void cx_tier_clean_at_commit(void);

/* When the transaction ends */
extern void cx_tier_before_marks(void);
extern void cx_tier_before_commit(bool prepare);
extern void cx_tier_late(void);
extern void cx_tier_published(const CxOp *op, uint64 gen);
extern void cx_tier_after(bool committed);
extern void cx_tier_after_locks(void);

/* For the worker, too */
extern void cx_tier_hold(void);
extern TimestampTz cx_tier_next_clean(TimestampTz now);

#endif							/* CX_TIER_WRITE_H */
