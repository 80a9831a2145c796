/*
 * cx_rows.c
 *	  How are the first rows of a query taken without slowing it down?
 *
 * The executor does not run a plan in parallel when it is told a number of
 * rows to stop at.  So it is told none, and the receiver stops it instead.
 *
 * Locking: none.
 *
 * Not done here: spilling to disk; the rows are in memory.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/memutils.h"

#include "cx_rows.h"

typedef struct RowsReceiver
{
	DestReceiver pub;
	CxRows		rows;
	uint64		space;			/* of rows.tuples */
	uint64		limit;			/* 0 is none */
	MemoryContext context;		/* of all of it */
} RowsReceiver;

static void
start_cb(DestReceiver *self, int operation pg_attribute_unused(),
		 TupleDesc desc)
{
	RowsReceiver *receiver = (RowsReceiver *) self;
	MemoryContext old = MemoryContextSwitchTo(receiver->context);

	receiver->rows.desc = CreateTupleDescCopy(desc);
	MemoryContextSwitchTo(old);
}

/*
 * Keep one row; returns false when no more are wanted.
 */
static bool
receive_cb(TupleTableSlot *slot, DestReceiver *self)
{
	RowsReceiver *receiver = (RowsReceiver *) self;
	CxRows	   *rows = &receiver->rows;
	MemoryContext old = MemoryContextSwitchTo(receiver->context);

	if (rows->n == receiver->space)
	{
		receiver->space *= 2;
		rows->tuples = repalloc_huge(rows->tuples,
									 receiver->space * sizeof(HeapTuple));
	}
	rows->tuples[rows->n++] = ExecCopySlotHeapTuple(slot);
	MemoryContextSwitchTo(old);
	return receiver->limit == 0 || rows->n < receiver->limit;
}

static void
end_cb(DestReceiver *self pg_attribute_unused())
{
	/* The rows go with their memory context. */
}

/*
 * cx_rows_receiver
 *
 * Returns a receiver of one run of the executor that keeps its rows, at most
 * "limit" unless that is 0, in the current memory context.
 */
DestReceiver *
cx_rows_receiver(uint64 limit)
{
	RowsReceiver *receiver = palloc0(sizeof(RowsReceiver));

	receiver->pub.receiveSlot = receive_cb;
	receiver->pub.rStartup = start_cb;
	receiver->pub.rShutdown = end_cb;
	receiver->pub.rDestroy = end_cb;
	/* DestNone would tell SPI that no rows are wanted. */
	receiver->pub.mydest = DestTuplestore;
	receiver->context = CurrentMemoryContext;
	receiver->limit = limit;
	receiver->space = 2;
	receiver->rows.tuples = palloc(receiver->space * sizeof(HeapTuple));
	return (DestReceiver *) receiver;
}

/*
 * cx_rows_received
 *
 * Returns the rows that a receiver of cx_rows_receiver has kept.
 */
CxRows *
cx_rows_received(DestReceiver *receiver)
{
	return &((RowsReceiver *) receiver)->rows;
}
