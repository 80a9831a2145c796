/*
 * cx_plan.h
 *	  Queries given as text: checked, planned once a session, and run.
 */
#ifndef CX_PLAN_H
#define CX_PLAN_H

#include "executor/spi.h"
#include "utils/array.h"

#include "cx_parse.h"
#include "cx_rows.h"

typedef struct CxPlan CxPlan;

/* Called with the queries of a plan, rewritten and not planned, before it runs */
extern void (*cx_plan_queries_hook) (List *queries);
extern void cx_plan_show_queries(SPIPlanPtr plan);

extern CxPlan *cx_plan_acquire(const char *source, CxPlanKind kind);
extern void cx_plan_release(CxPlan *plan);
extern int	cx_plan_count_params(const CxPlan *plan);
extern CxRows *cx_plan_execute(const CxPlan *plan, Datum first,
							   bool first_isnull, ArrayType *params,
							   uint64 limit);

#endif							/* CX_PLAN_H */
