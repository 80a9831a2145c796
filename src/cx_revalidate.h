/*
 * cx_revalidate.h
 *	  Refreshing what was served though it is stale, or soon will be.
 */
#ifndef CX_REVALIDATE_H
#define CX_REVALIDATE_H

#include "cx_compute.h"

extern bool cx_revalidate_value(CxFetch *f, CxLoaded *loaded);
extern CxRows *cx_revalidate_rows(CxFetch *f, CxCheckColumns check, void *arg);

#endif							/* CX_REVALIDATE_H */
