/*
 * cx_overtake.h
 *	  Who comes before or after a write of a transaction that has committed.
 */
#ifndef CX_OVERTAKE_H
#define CX_OVERTAKE_H

#include "cx_entry.h"
#include "cx_pending.h"

extern bool cx_overtake_own(uint32 n, int ntags, const uint64 *tag_id);
extern bool cx_overtake_before(const CxOp *op, uint64 xid, int ntags,
							   const uint64 *tag_id, uint64 latest);
extern bool cx_overtake_in_doubt(const CxOp *op, uint64 xid, int ntags,
								 const uint64 *tag_id, const CxReads *reads);
extern bool cx_overtake_since(const CxOp *op, int ntags,
							  const uint64 *tag_id, const CxReads *reads);

#endif							/* CX_OVERTAKE_H */
