/*
 * cx_keylock.h
 *	  Locks for atomic changes: update, incr, push, take, touch, only_if,
 *	  if_version.
 */
#ifndef CX_KEYLOCK_H
#define CX_KEYLOCK_H

#include "cx_catalog.h"
#include "cx_key.h"

extern void cx_keylock_acquire(const CxCache *cache, const CxIdent *ident);

#endif							/* CX_KEYLOCK_H */
