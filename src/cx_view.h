/*
 * cx_view.h
 *	  Snapshots and transaction ids in 64 bits, so that wraparound is no issue.
 */
#ifndef CX_VIEW_H
#define CX_VIEW_H

#include "utils/snapshot.h"

/* A snapshot, as the protocol needs it */
typedef struct CxView
{
	Snapshot	snapshot;
	uint64		xmin;
	uint64		xmax;
	uint64		base;			/* latestCompletedXid when the view was made */
} CxView;

extern void cx_view_make(CxView *view, Snapshot snapshot);
extern bool cx_view_sees(const CxView *view, uint64 xid);
extern uint64 cx_view_latest(void);
extern uint64 cx_view_full_xid(TransactionId xid);

#endif							/* CX_VIEW_H */
