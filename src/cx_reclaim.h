/*
 * cx_reclaim.h
 *	  Taking back, in the background, what is dead.
 */
#ifndef CX_RECLAIM_H
#define CX_RECLAIM_H

#include "datatype/timestamp.h"

extern bool cx_reclaim_sweep(TimestampTz now);
extern TimestampTz cx_reclaim_next_due(void);
extern void cx_reclaim_role_created(Oid role);

#endif							/* CX_RECLAIM_H */
