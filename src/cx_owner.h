/*
 * cx_owner.h
 *	  Who may alter, clear and drop a cache.
 */
#ifndef CX_OWNER_H
#define CX_OWNER_H

#include "cx_catalog.h"

/* Why the owner's privileges are needed */
#define CX_OWNER_RUNS_IT	"What is asked for is run as role \"%s\"."
#define CX_OWNER_SAYS_WHO	"It is for role \"%s\" to say who uses it."

extern bool cx_owner_may_manage(const CxCache *cache);
extern bool cx_owner_has_rights(const CxCache *cache, Oid role);
extern void cx_owner_require_rights(const CxCache *cache, const char *detail);
extern void cx_owner_require(const CxCache *cache);
extern void cx_owner_require_create(void);

#endif							/* CX_OWNER_H */
