/*
 * cx_compute.h
 *	  Computing what a fetch or a query asks for, and storing it.
 */
#ifndef CX_COMPUTE_H
#define CX_COMPUTE_H

#include "cx_fetch.h"
#include "cx_rows.h"

/* Raises an error where the columns of a result are not to be stored. */
typedef void (*CxCheckColumns) (TupleDesc desc, void *arg);

extern void cx_compute_value(CxFetch *f, CxLoaded *loaded);
extern void cx_compute_store(CxFetch *f, const CxLoaded *loaded);
extern CxRows *cx_compute_rows(CxFetch *f, CxCheckColumns check, void *arg);

#endif							/* CX_COMPUTE_H */
