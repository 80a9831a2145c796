/*
 * cx_parse.h
 *	  Queries given as text: what may be one.
 */
#ifndef CX_PARSE_H
#define CX_PARSE_H

#include "nodes/parsenodes.h"

/* What the text is, and which parameters have a type of their own. */
typedef enum CxPlanKind
{
	CX_PLAN_QUERY,				/* a SELECT; no parameter is fixed */
	CX_PLAN_KEYS,				/* a SELECT; $1 is text[] */
	CX_PLAN_EXPRESSION			/* a scalar expression; $1 is jsonb */
} CxPlanKind;

extern const char *cx_parse_noun(CxPlanKind kind);
extern RawStmt *cx_parse(const char *source, CxPlanKind kind);
extern void cx_parse_refuse_writes(Query *query, CxPlanKind kind);

#endif							/* CX_PARSE_H */
