/*
 * cx_read.h
 *	  What get, lookup and fetch have in common: looking up with counting, and
 *	  values in the type that was asked for.
 */
#ifndef CX_READ_H
#define CX_READ_H

#include "cx_cache.h"

extern bool cx_read_enabled(const CxAsk *ask);
extern CxStatus cx_read_sampled(CxAsk *ask, bool whole, CxHit *hit);
extern CxStatus cx_read_lookup(CxAsk *ask, bool whole, CxHit *hit);
extern void cx_read_count(const CxAsk *ask, CxStatus status,
						  const CxHit *hit);
extern bool cx_read_layout_is_current(const CxHit *hit);
extern void cx_read_refuse_rows(const CxAsk *ask, const CxHit *hit);
extern Datum cx_read_value(const CxAsk *ask, const CxHit *hit, Oid type);

#endif							/* CX_READ_H */
