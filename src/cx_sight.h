/*
 * cx_sight.h
 *	  What the views show of caches, and to whom.
 */
#ifndef CX_SIGHT_H
#define CX_SIGHT_H

#include "cx_catalog.h"
#include "cx_scan.h"

extern bool cx_sight_counters(CxCache *cache);
extern bool cx_sight_every_entry(const CxCache *cache);
extern bool cx_sight_entry(const CxCache *cache, const CxScanned *e);

#endif							/* CX_SIGHT_H */
