/*
 * cx_refresh.h
 *	  Refreshing a key: in a worker, or at once.
 */
#ifndef CX_REFRESH_H
#define CX_REFRESH_H

#include "cx_fetch.h"
#include "cx_requests.h"

extern bool cx_refresh_compute(CxFetch *f);
extern bool cx_refresh_now(CxFetch *f);
extern void cx_refresh_keys(const char *cache, Oid role, ArrayType *keys);
extern char *cx_refresh_run(const CxRefresh *r);

#endif							/* CX_REFRESH_H */
