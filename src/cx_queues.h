/*
 * cx_queues.h
 *	  Entries by what they are worth: lazy GreedyDual queues, and ghosts.
 */
#ifndef CX_QUEUES_H
#define CX_QUEUES_H

#include "cx_slot.h"

#define CX_CLASSES	64			/* queues of a cache */

extern Size cx_queues_size(int ncaches, uint32 max_entries);
extern void cx_queues_init(void *memory, int ncaches, uint32 max_entries);

extern void cx_queues_enter(uint32 slot, uint8 frequency, uint64 entries);
extern void cx_queues_restore(uint32 slot, int class, double priority);
extern void cx_queues_remove(uint32 slot);
extern void cx_queues_promote(uint32 slot);
extern uint32 cx_queues_lowest(int cache);
extern int	cx_queues_lowest_cache(int ncaches);
extern uint32 cx_queues_head(int cache, int class);
extern uint32 cx_queues_any(int cache);
extern void cx_queues_inflate(double priority);
extern double cx_queues_inflation(void);
extern void cx_queues_leave_ghost(const CxSlot *slot);
extern void cx_queues_reset(int cache);

#endif							/* CX_QUEUES_H */
