/*
 * cx_scopes.h
 *	  The entries of each scope, where a cache limits how many there may be.
 */
#ifndef CX_SCOPES_H
#define CX_SCOPES_H

#include "cx_entry.h"

extern Size cx_scopes_size(uint32 max_entries);
extern void cx_scopes_init(void *memory, uint32 max_entries);

extern bool cx_scopes_wants(void);
extern bool cx_scopes_is_ready(void);
extern void cx_scopes_give(uint32 granule);
extern bool cx_scopes_shrink(uint32 *granules, int max, int *n);
extern uint32 cx_scopes_granules(void);

extern void cx_scopes_enter(uint32 slot);
extern void cx_scopes_restore(uint32 slot);
extern void cx_scopes_leave(uint32 slot);
extern void cx_scopes_renew(uint32 slot);
extern uint32 cx_scopes_oldest(uint32 slot);
extern uint32 cx_scopes_next(uint32 slot);
extern uint32 cx_scopes_count(uint32 oldest);
extern bool cx_scopes_find_over(uint32 *bucket, uint32 end, int cache,
								uint64 limit, uint32 *oldest);
extern uint64 cx_scopes_entries(void);
extern const char *cx_scopes_check(void);

#endif							/* CX_SCOPES_H */
