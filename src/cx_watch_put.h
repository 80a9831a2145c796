/*
 * cx_watch_put.h
 *	  Action "put" of a watch: changed rows become entries.
 */
#ifndef CX_WATCH_PUT_H
#define CX_WATCH_PUT_H

#include "executor/tuptable.h"
#include "lib/stringinfo.h"

#include "cx_put.h"

/* What the entries of a table's rows depend on, and whom they are for. */
typedef struct CxWatchPut
{
	int64		cache_id;		/* of the one that the owner may write to */
	CxReads		reads;
	uint64		reads_gen;		/* drawn before it was asked who may read */
	CxAccess   *access;			/* in a shared cache, else NULL */
} CxWatchPut;

extern bool cx_watch_put_is_overtaken(void);
extern bool cx_watch_put_prepare(CxWatchPut *put, const char *cache_name,
								 Oid relid, bool is_clone);
extern void cx_watch_put_row(const CxWatchPut *put, const char *cache_name,
							 StringInfo key, CxScope scope,
							 TupleTableSlot *slot);

#endif							/* CX_WATCH_PUT_H */
