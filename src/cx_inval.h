/*
 * cx_inval.h
 *	  What a transaction's invalidation messages mean to cached results.
 */
#ifndef CX_INVAL_H
#define CX_INVAL_H

#include "cx_rels.h"

extern void cx_inval_created(Oid rel);
extern void cx_inval_dropped(Oid rel);
extern void cx_inval_row_type(Oid rel);
extern void cx_inval_catalogs(void);
extern void cx_inval_cluster(void);
extern void cx_inval_callers(void);
extern void cx_inval_privileges(void);
extern void cx_inval_everything(void);
extern void cx_inval_table(Oid rel, CxAspect aspect, char command, bool late);
extern void cx_inval_gather(void);

#endif							/* CX_INVAL_H */
