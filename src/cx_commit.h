/*
 * cx_commit.h
 *	  Marks before a commit; cx_cache.h declares what follows it.
 */
#ifndef CX_COMMIT_H
#define CX_COMMIT_H

#include "cx_pending.h"
#include "cx_writes.h"

extern void cx_commit_begin(bool prepare);
extern void cx_commit_mark(CxOp *op);
extern void cx_commit_mark_if_ending(CxOp *op);
extern void cx_commit_mark_writes(void);
extern void cx_commit_mark_writes_if_ending(void);
extern void cx_commit_define_if_ending(void);
extern void cx_commit_refuse_prepare(const CxOp *op);
extern void cx_commit_refuse_if_preparing(const CxOp *op);
extern void cx_commit_unstage(CxOp *op);

#endif							/* CX_COMMIT_H */
