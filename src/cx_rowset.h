/*
 * cx_rowset.h
 *	  Sets of rows as bytes: what query() stores and what it reads back.
 *
 * A set of rows is a value of type record.  Its bytes say the types of its
 * columns; its typhash stands for the layouts of all of them.
 */
#ifndef CX_ROWSET_H
#define CX_ROWSET_H

#include "cx_codec.h"
#include "cx_rows.h"

/* A set that is being read; its bytes belong to the caller. */
typedef struct CxRowset
{
	TupleDesc	desc;			/* without names */
	uint64		left;			/* rows not read yet */
	const char *next;
	const char *end;
} CxRowset;

extern Oid	cx_rowset_obstacle(TupleDesc desc);
extern void cx_rowset_encode(const CxRows *rows, Size limit, CxValue *out);
extern bool cx_rowset_open(CxRowset *set, const CxValue *value);
extern bool cx_rowset_next(CxRowset *set, Datum *values, bool *nulls);
extern bool cx_rowset_at_end(const CxRowset *set);

#endif							/* CX_ROWSET_H */
