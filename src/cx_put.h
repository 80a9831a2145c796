/*
 * cx_put.h
 *	  Building entries and putting them, for functions, triggers and warmers.
 */
#ifndef CX_PUT_H
#define CX_PUT_H

#include "cx_args.h"
#include "cx_change.h"
#include "cx_codec.h"

/* What an explicit put is taken to have cost, in microseconds */
#define CX_PUT_COST_US 1000.0

extern bool cx_put_make_entry(CxNewEntry *entry, const CxCache *cache,
							  const CxValue *value, const CxLife *life);
extern void cx_put_json(CxValue *value, Jsonb *json);
extern bool cx_put_stage(CxAsk *ask, CxNewEntry *entry, bool keep,
						 const CxBase *base);
extern bool cx_put_is_valid(const CxCache *cache, const CxValue *value);
extern void cx_put_row(const char *cache_name, const char *key, Size key_len,
					   CxScope scope, Jsonb *row, const CxReads *reads,
					   uint64 reads_gen, const CxAccess *access);
extern Jsonb *cx_put_read_json(const CxAsk *ask, const CxHit *hit);
extern void cx_put_copy_entry(const CxHit *hit, CxNewEntry *entry);

#endif							/* CX_PUT_H */
