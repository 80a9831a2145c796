/*
 * cx_wheel.h
 *	  A timing wheel of slots: what expires next, without looking at what
 *	  does not.
 */
#ifndef CX_WHEEL_H
#define CX_WHEEL_H

#include "cx_slot.h"

#define CX_WHEEL_FINE	256		/* buckets of a second */
#define CX_WHEEL_MIDDLE	256		/* of 256 seconds */
#define CX_WHEEL_COARSE	64		/* of 65536 seconds, 48 days in all */
#define CX_WHEEL_BUCKETS (CX_WHEEL_FINE + CX_WHEEL_MIDDLE + CX_WHEEL_COARSE)

typedef struct CxWheel
{
	int64		now;			/* the second that was swept last */
	uint32		count;			/* slots in the wheel */
	uint32		bucket[CX_WHEEL_BUCKETS];	/* first slot, or 0 */
} CxWheel;

extern void cx_wheel_init(CxWheel *wheel, TimestampTz now);
extern void cx_wheel_add(CxWheel *wheel, uint32 slot);
extern void cx_wheel_remove(CxWheel *wheel, uint32 slot);
extern int	cx_wheel_due(CxWheel *wheel, TimestampTz now, uint32 *slots,
						 int max, bool *more);
extern TimestampTz cx_wheel_next(const CxWheel *wheel);

#endif							/* CX_WHEEL_H */
