/*
 * cx_overtake.h
 *	  Who comes before or after a write of a transaction that has committed.
 */
#ifndef CX_OVERTAKE_H
#define CX_OVERTAKE_H

#include "cx_pending.h"

extern void cx_overtake_begin(uint64 of);
extern void cx_overtake_settle(const CxOp *op);
extern void cx_overtake_committed(void);
extern bool cx_overtake_loaded(const CxOp *op);
extern bool cx_overtake_before_own(const CxOp *op);
extern bool cx_overtake_publish(const CxOp *op);
extern bool cx_overtake_own(uint32 n);

#endif							/* CX_OVERTAKE_H */
