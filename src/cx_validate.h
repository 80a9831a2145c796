/*
 * cx_validate.h
 *	  The condition that the values of a cache must meet (its "validate").
 */
#ifndef CX_VALIDATE_H
#define CX_VALIDATE_H

#include "utils/jsonb.h"

#include "cx_catalog.h"

extern void cx_validate_check(const char *expression);
extern bool cx_validate(const CxCache *cache, Jsonb *value);
extern bool cx_validate_quietly(const CxCache *cache, Jsonb *value);

#endif							/* CX_VALIDATE_H */
