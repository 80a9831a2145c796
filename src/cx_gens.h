/*
 * cx_gens.h
 *	  Generations: numbers that only grow, and where the last one of a key, a
 *	  tag or a scope is kept.
 */
#ifndef CX_GENS_H
#define CX_GENS_H

#include "port/atomics.h"

typedef enum CxGenKind
{
	CX_GEN_KEY,
	CX_GEN_GROUP				/* tags and scopes, apart from keys */
} CxGenKind;

#define CX_GEN_PARTITIONS 64	/* id mod this: who may bump at a time */

extern Size cx_gens_size(uint32 max_entries);
extern void cx_gens_init(void *memory, uint32 max_entries);
extern uint64 cx_gens_next(void);
extern uint64 cx_gens_last(void);
extern uint64 cx_gens_others(void);
extern uint64 cx_gens_floor(uint64 id);
extern void cx_gens_raise(pg_atomic_uint64 *gen, uint64 to);
extern void cx_gens_raise_floor(uint64 id);
extern void cx_gens_restore(uint64 last);
extern uint64 cx_gens_known_from(void);
extern uint64 cx_gens_get(CxGenKind kind, uint64 id);
extern void cx_gens_bump(CxGenKind kind, uint64 id);

#endif							/* CX_GENS_H */
