/*
 * cx_make.h
 *	  Makes the slot of a new entry: finds memory, evicts for it, writes it.
 */
#ifndef CX_MAKE_H
#define CX_MAKE_H

#include "cx_catalog.h"
#include "cx_entry.h"

#define CX_MAKE_TRIES 16		/* to link a slot, with cx_make_space between */

extern uint32 cx_make_slot(const CxCache *cache, const CxIdent *ident,
						   const CxNewEntry *entry, uint64 gen,
						   uint8 frequency, TimestampTz now);
extern void cx_make_space(TimestampTz now);
extern void cx_make_trim(int cache, const CxLimits *limits, TimestampTz now);

#endif							/* CX_MAKE_H */
