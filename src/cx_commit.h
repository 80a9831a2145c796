/*
 * cx_commit.h
 *	  Marks before a commit, and what follows it.
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

/* Called by cx_xact */
extern void cx_commit_after_commit(void);
extern void cx_commit_after_locks(void);
extern void cx_commit_after_prepare(void);
extern void cx_commit_after_abort(void);
extern void cx_commit_cut(uint32 n);

#endif							/* CX_COMMIT_H */
