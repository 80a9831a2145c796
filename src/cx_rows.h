/*
 * cx_rows.h
 *	  The rows of a query, gathered up to a limit.
 */
#ifndef CX_ROWS_H
#define CX_ROWS_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "tcop/dest.h"

typedef struct CxRows
{
	TupleDesc	desc;
	HeapTuple  *tuples;
	uint64		n;
} CxRows;

extern DestReceiver *cx_rows_receiver(uint64 limit);
extern CxRows *cx_rows_received(DestReceiver *receiver);

#endif							/* CX_ROWS_H */
