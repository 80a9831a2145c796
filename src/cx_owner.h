/*
 * cx_owner.h
 *	  Who may alter, clear and drop a cache.
 */
#ifndef CX_OWNER_H
#define CX_OWNER_H

#include "cx_catalog.h"

extern bool cx_owner_allows(const CxCache *cache);
extern bool cx_owner_is(const CxCache *cache, Oid role);
extern void cx_owner_require_itself(const CxCache *cache);
extern void cx_owner_require(const CxCache *cache);
extern void cx_owner_require_create(void);

#endif							/* CX_OWNER_H */
