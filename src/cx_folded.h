/*
 * cx_folded.h
 *	  Functions that a plan was made with and may show no more.
 */
#ifndef CX_FOLDED_H
#define CX_FOLDED_H

#include "nodes/plannodes.h"

extern void cx_folded_begin(void);
extern List *cx_folded_functions(const PlannedStmt *stmt);

#endif							/* CX_FOLDED_H */
