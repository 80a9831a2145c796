/*
 * cx_proc.h
 *	  What a row of pg_proc says of a function.
 */
#ifndef CX_PROC_H
#define CX_PROC_H

#include "access/htup.h"
#include "catalog/pg_proc.h"
#include "nodes/pg_list.h"

extern bool cx_proc_takes_xid(const FormData_pg_proc *form);
extern bool cx_proc_sets(HeapTuple proc, const char *what);
extern bool cx_proc_is_our_reader(const FormData_pg_proc *form);
extern List *cx_proc_folded_defaults(HeapTuple proc, List *functions);

#endif							/* CX_PROC_H */
