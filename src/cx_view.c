/*
 * cx_view.c
 *	  What a snapshot sees, by 64-bit top-level transaction ids.
 *
 * Locking: none; latestCompletedXid is read as 8 bytes at once.
 */
#include "postgres.h"

#include "access/transam.h"

#include "cx_compat.h"
#include "cx_view.h"

/* latestCompletedXid; 8 bytes, read without a lock (64-bit platforms). */
uint64
cx_view_latest(void)
{
	return U64FromFullTransactionId(*(volatile FullTransactionId *)
									&TransamVariables->latestCompletedXid);
}

static inline uint64
full_xid(TransactionId xid, uint64 base)
{
	return base + (int64) (int32) (xid - (uint32) base);
}

uint64
cx_view_full_xid(TransactionId xid)
{
	return full_xid(xid, cx_view_latest());
}

/* Fills view from an MVCC snapshot, which must outlive it. */
void
cx_view_make(CxView *view, Snapshot snapshot)
{
	view->snapshot = snapshot;
	view->base = cx_view_latest();
	view->xmin = full_xid(snapshot->xmin, view->base);
	view->xmax = full_xid(snapshot->xmax, view->base);
}

/* Whether the snapshot sees that xid has completed; top-level xids only. */
bool
cx_view_sees(const CxView *view, uint64 xid)
{
	Snapshot	s = view->snapshot;

	if (xid >= view->xmax)
		return false;
	if (xid < view->xmin)
		return true;
	for (uint32 i = 0; i < s->xcnt; i++)
	{
		if (s->xip[i] == (TransactionId) xid)
			return false;
	}
	return true;
}
