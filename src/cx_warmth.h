/*
 * cx_warmth.h
 *	  Whether what warmers had stored in a cache is still there.
 */
#ifndef CX_WARMTH_H
#define CX_WARMTH_H

#include "cx_catalog.h"

extern int64 cx_warmth_epoch(const CxCache *cache);
extern void cx_warmth_expect(const CxCache *cache);
extern void cx_warmth_publish(const CxCache *cache, uint64 required,
							  int64 epoch);
extern bool cx_warmth_loading(const CxCache *cache);

#endif							/* CX_WARMTH_H */
