/*
 * cx_keylock.h
 *	  Locks for atomic changes: update, incr, push, take, touch, only_if,
 *	  if_version.
 */
#ifndef CX_KEYLOCK_H
#define CX_KEYLOCK_H

#include "cx_catalog.h"

extern void cx_keylock_acquire(const CxCache *cache, uint64 id);

#endif							/* CX_KEYLOCK_H */
