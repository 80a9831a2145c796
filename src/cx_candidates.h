/*
 * cx_candidates.h
 *	  Functions that code may call, by what it mentions.
 */
#ifndef CX_CANDIDATES_H
#define CX_CANDIDATES_H

#include "catalog/pg_proc.h"
#include "nodes/pg_list.h"

#include "cx_lexer.h"

extern bool cx_candidates_callable(const FormData_pg_proc *form);
extern List *cx_candidates_mentioned(List *functions, const CxMention *mention,
									 bool xids);
extern List *cx_candidates_any(List *functions, const CxMention *mention);
extern List *cx_candidates_unnamed(List *functions);
extern List *cx_candidates_json(List *functions);

#endif							/* CX_CANDIDATES_H */
