/*
 * cx_wake.h
 *	  Wakes the sweeper when something is due before it would look.
 */
#ifndef CX_WAKE_H
#define CX_WAKE_H

#include "datatype/timestamp.h"
#include "storage/latch.h"

extern Size cx_wake_size(void);
extern void cx_wake_init(void *memory);
extern void cx_wake_before(TimestampTz due);
extern void cx_wake_register(Latch *latch);
extern void cx_wake_sleep_until(TimestampTz due);

#endif							/* CX_WAKE_H */
